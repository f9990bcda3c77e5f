//! `m2 line`

use clap::{Args, Subcommand};
use m2_proto::api::v1::{AddLineRequest, Line, ListLinesRequest, RemoveLineRequest};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::short_id;
use crate::output::Output;
use crate::{input, sanitize, table};

/// The flags of `m2 line`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "To see what others learn with your relays: m2 network doctor"
)]
pub struct LineArgs {
    #[command(subcommand)]
    command: LineCommand,
}

#[derive(Debug, Subcommand)]
enum LineCommand {
    /// Use the relay that issued an invitation
    Add {
        /// The relay's invitation, m2://…; read from stdin if it is `-` or omitted
        invite: Option<String>,
        /// Use it in front of other relays; contacts are not told about it
        #[arg(long)]
        entry: bool,
    },
    /// List your relays
    List,
    /// Stop using a relay
    Remove {
        /// The relay's peer id, or at least its first 10 characters
        relay: String,
    },
}

pub(crate) async fn run(args: LineArgs, context: &Context) -> Result<(), Failure> {
    match args.command {
        LineCommand::Add { invite, entry } => add(invite, entry, context).await,
        LineCommand::List => list(context).await,
        LineCommand::Remove { relay } => remove(relay, context).await,
    }
}

async fn add(invitation: Option<String>, entry: bool, context: &Context) -> Result<(), Failure> {
    let invitation = input::invitation(invitation)?;
    let client = context.client().await?;
    let request = AddLineRequest { invitation, entry };
    let answer = call(client.lines().add_line(request)).await?;
    let line = answer
        .line
        .ok_or_else(|| Failure::Local("The daemon's answer holds no relay.".to_owned()))?;
    context.out.show(&line, |_| {
        let relay = short_id(&line.relay_id);
        let what = if line.entry {
            "is used in front of your other relays"
        } else {
            "is where contacts can reach you"
        };
        format!("{relay} {what}. `m2 line list` shows its state.")
    })
}

async fn list(context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let answer = call(client.lines().list_lines(ListLinesRequest {})).await?;
    if context.out.is_json() {
        return answer
            .lines
            .iter()
            .try_for_each(|line| context.out.json(line));
    }
    if answer.lines.is_empty() {
        context
            .out
            .note("No relays. Use one with `m2 line add INVITE`.");
        return Ok(());
    }
    context.out.text(&human(&context.out, &answer.lines))
}

async fn remove(relay: String, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = RemoveLineRequest { relay };
    let answer = call(client.lines().remove_line(request)).await?;
    context.out.show(&answer, |_| {
        "Removed. Contacts are told in their next session.".to_owned()
    })
}

fn human(out: &Output, lines: &[Line]) -> String {
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    table::columns(out, &["KIND", "ONLINE", "OPEN", "FAILURE", "RELAY"], &rows)
}

fn row(line: &Line) -> Vec<String> {
    vec![
        if line.entry { "entry" } else { "meeting" }.to_owned(),
        if line.online { "yes" } else { "no" }.to_owned(),
        line.open.to_string(),
        sanitize::line(&line.last_failure),
        sanitize::line(&line.relay_id),
    ]
}
