//! `m2 invite`

use std::time::Duration;

use clap::{Args, Subcommand};
use m2_proto::api::v1::{
    CreateInvitationRequest, Invitation, ListInvitationsRequest, RevokeInvitationRequest,
};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::output::Output;
use crate::{qr, sanitize, table, time};

/// The flags of `m2 invite`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct InviteArgs {
    #[command(subcommand)]
    command: InviteCommand,
}

#[derive(Debug, Subcommand)]
enum InviteCommand {
    /// Create an invitation and print it
    Create(CreateArgs),
    /// List the open invitations
    List,
    /// Revoke an invitation; contacts made with it remain
    Revoke {
        /// The invitation's id, from `m2 invite list`
        id: String,
    },
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// Allow any number of peers to use it until it expires, instead of one
    #[arg(long)]
    reusable: bool,
    /// How long it is valid: 1 minute to 365 days
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = time::parse_validity)]
    expires: Duration,
    /// The local name of the contact that uses it
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    name: String,
    /// Show it also as a QR code (not with --json)
    #[arg(long)]
    qr: bool,
}

pub(crate) async fn run(args: InviteArgs, context: &Context) -> Result<(), Failure> {
    match args.command {
        InviteCommand::Create(args) => create(args, context).await,
        InviteCommand::List => list(context).await,
        InviteCommand::Revoke { id } => revoke(id, context).await,
    }
}

async fn create(args: CreateArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = CreateInvitationRequest {
        reusable: args.reusable,
        valid_for: Some(time::to_proto(args.expires)),
        contact_name: args.name,
    };
    let answer = call(client.invitations().create_invitation(request)).await?;
    if args.qr && !context.out.is_json() {
        context.out.text(&qr::render(&context.out, &answer.uri)?)?;
    }
    context.out.show(&answer, |_| sanitize::line(&answer.uri))?;
    let until = time::local(answer.invitation.as_ref().and_then(|i| i.expires.as_ref()));
    context.out.note(&format!(
        "Valid until {until}. Give it to the other side over a channel that you trust. The other side runs: m2 contact add INVITE"
    ));
    Ok(())
}

async fn list(context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = ListInvitationsRequest {};
    let answer = call(client.invitations().list_invitations(request)).await?;
    if context.out.is_json() {
        return answer
            .invitations
            .iter()
            .try_for_each(|invitation| context.out.json(invitation));
    }
    if answer.invitations.is_empty() {
        context
            .out
            .note("No open invitations. Create one with `m2 invite create`.");
        return Ok(());
    }
    context.out.text(&human(&context.out, &answer.invitations))
}

async fn revoke(id: String, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = RevokeInvitationRequest { invitation_id: id };
    let answer = call(client.invitations().revoke_invitation(request)).await?;
    context.out.show(&answer, |_| "Revoked.".to_owned())
}

fn human(out: &Output, invitations: &[Invitation]) -> String {
    let rows: Vec<Vec<String>> = invitations.iter().map(row).collect();
    table::columns(out, &["ID", "EXPIRES", "KIND", "USES", "FOR"], &rows)
}

fn row(invitation: &Invitation) -> Vec<String> {
    let kind = if invitation.reusable {
        "reusable"
    } else {
        "once"
    };
    vec![
        sanitize::line(&invitation.invitation_id),
        time::local(invitation.expires.as_ref()),
        kind.to_owned(),
        invitation.uses.to_string(),
        sanitize::line(&invitation.contact_name),
    ]
}
