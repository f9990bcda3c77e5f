//! `m2 mailbox`

use clap::{Args, Subcommand};
use m2_proto::api::v1::{
    CollectMailboxesRequest, ListMailboxesRequest, Mailbox, RegisterMailboxRequest,
    RekeyMailboxRequest, RemoveMailboxRequest,
};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::{mailbox_state, short_id};
use crate::output::Output;
use crate::{input, sanitize, table};

/// The flags of `m2 mailbox`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "To let a contact leave messages in your boxes: m2 contact policy CONTACT --mailbox on"
)]
pub struct MailboxArgs {
    #[command(subcommand)]
    command: MailboxCommand,
}

#[derive(Debug, Subcommand)]
enum MailboxCommand {
    /// Register a mailbox with the provider that issued an invitation
    Register {
        /// The provider's invitation, m2://…; read from stdin if it is `-` or omitted
        invite: Option<String>,
    },
    /// List your boxes
    List,
    /// Ask the provider to delete a box. Repeat it to remove the box although the provider is
    /// unreachable
    Remove {
        /// The provider's peer id, or at least its first 10 characters
        provider: String,
    },
    /// Draw a new key for a box, which ends all permissions to deposit into it. Contacts get new ones
    /// when they are connected next
    Rekey {
        /// The provider's peer id, or at least its first 10 characters
        provider: String,
    },
    /// Collect the waiting messages from all providers now
    Collect,
}

pub(crate) async fn run(args: MailboxArgs, context: &Context) -> Result<(), Failure> {
    match args.command {
        MailboxCommand::Register { invite } => register(invite, context).await,
        MailboxCommand::List => list(context).await,
        MailboxCommand::Remove { provider } => remove(provider, context).await,
        MailboxCommand::Rekey { provider } => rekey(provider, context).await,
        MailboxCommand::Collect => collect(context).await,
    }
}

async fn register(invitation: Option<String>, context: &Context) -> Result<(), Failure> {
    let invitation = input::invitation(invitation)?;
    let client = context.client().await?;
    let request = RegisterMailboxRequest { invitation };
    let answer = call(client.mailboxes().register_mailbox(request)).await?;
    let mailbox = answer
        .mailbox
        .ok_or_else(|| Failure::Local("The daemon's answer holds no mailbox.".to_owned()))?;
    context.out.show(&mailbox, |_| {
        let provider = short_id(&mailbox.provider_id);
        format!("Asked {provider} for a box. `m2 mailbox list` shows when it is open.")
    })?;
    context
        .out
        .note("Then allow contacts to use it: m2 contact policy CONTACT --mailbox on");
    Ok(())
}

async fn list(context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let answer = call(client.mailboxes().list_mailboxes(ListMailboxesRequest {})).await?;
    if answer.mailboxes.is_empty() && !context.out.is_json() {
        context
            .out
            .note("No boxes. Get one with `m2 mailbox register INVITE`.");
        return Ok(());
    }
    show(&answer.mailboxes, context)
}

async fn remove(provider: String, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = RemoveMailboxRequest { provider };
    let answer = call(client.mailboxes().remove_mailbox(request)).await?;
    context.out.show(&answer, |_| {
        match answer.forgotten {
            true => {
                "Forgotten. The provider was not told and may keep the box, whose letters are not collected any more."
            }
            false => "The provider deletes it once it is reached.",
        }
        .to_owned()
    })
}

async fn rekey(provider: String, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = RekeyMailboxRequest { provider };
    let answer = call(client.mailboxes().rekey_mailbox(request)).await?;
    let mailbox = answer
        .mailbox
        .ok_or_else(|| Failure::Local("The daemon's answer holds no mailbox.".to_owned()))?;
    context.out.show(&mailbox, |_| {
        "The provider gets the new key once it is reached.".to_owned()
    })
}

async fn collect(context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = CollectMailboxesRequest {};
    let answer = call(client.mailboxes().collect_mailboxes(request)).await?;
    show(&answer.mailboxes, context)
}

fn show(mailboxes: &[Mailbox], context: &Context) -> Result<(), Failure> {
    if context.out.is_json() {
        return mailboxes
            .iter()
            .try_for_each(|mailbox| context.out.json(mailbox));
    }
    context.out.text(&human(&context.out, mailboxes))
}

fn human(out: &Output, mailboxes: &[Mailbox]) -> String {
    let rows: Vec<Vec<String>> = mailboxes.iter().map(row).collect();
    let header = ["STATE", "ONLINE", "TAKEN", "FAILURE", "PROVIDER"];
    table::columns(out, &header, &rows)
}

fn row(mailbox: &Mailbox) -> Vec<String> {
    vec![
        mailbox_state(mailbox.state),
        if mailbox.online { "yes" } else { "no" }.to_owned(),
        mailbox.letters_taken.to_string(),
        sanitize::line(&mailbox.last_failure),
        sanitize::line(&mailbox.provider_id),
    ]
}
