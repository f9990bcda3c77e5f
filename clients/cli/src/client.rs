//! `m2 client`

mod dead_letters;

use clap::{Args, Subcommand};
use m2_proto::api::v1::{EventClient, ListClientsRequest, RemoveClientRequest};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::output::{Output, Style};
use crate::{sanitize, table, time};

/// The flags of `m2 client`.
#[derive(Debug, Args)]
#[command(
    arg_required_else_help = true,
    after_help = "`m2 listen --client NAME` creates a name. The daemon deletes a name that was not \
                  connected for 90 days, and one that never acknowledged an event after 30 days."
)]
pub struct ClientArgs {
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Debug, Subcommand)]
enum ClientCommand {
    /// List the names, with the number of events that each has not acknowledged
    List,
    /// List the events that the workers of a shared name could not handle, retry them or drop them
    DeadLetters(dead_letters::DeadLettersArgs),
    /// Delete a name and its position; no front-end may be listening under it
    Remove {
        /// The name, from `m2 client list`
        name: String,
    },
}

pub(crate) async fn run(args: ClientArgs, context: &Context) -> Result<(), Failure> {
    match args.command {
        ClientCommand::List => list(context).await,
        ClientCommand::DeadLetters(args) => dead_letters::run(args, context).await,
        ClientCommand::Remove { name } => remove(name, context).await,
    }
}

async fn list(context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let answer = call(client.events().list_clients(ListClientsRequest {})).await?;
    if context.out.is_json() {
        let mut clients = answer.clients.iter();
        return clients.try_for_each(|client| context.out.json(client));
    }
    if answer.clients.is_empty() {
        context
            .out
            .note("No names. `m2 listen --client NAME` creates one.");
        return Ok(());
    }
    context.out.text(&human(&context.out, &answer.clients))
}

async fn remove(name: String, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let request = RemoveClientRequest { client: name };
    let answer = call(client.events().remove_client(request)).await?;
    context.out.show(&answer, |_| "Removed.".to_owned())
}

fn human(out: &Output, clients: &[EventClient]) -> String {
    let rows: Vec<Vec<String>> = clients.iter().map(row).collect();
    let mut text = table::columns(
        out,
        &["NAME", "CONNECTED", "WAITING", "DEAD LETTERS", "LAST SEEN"],
        &rows,
    );
    for client in clients.iter().filter(|client| !client.failure.is_empty()) {
        text.push('\n');
        text.push_str(&failing(out, client));
    }
    text
}

/// Returns the line about a front-end that reports a failure.
fn failing(out: &Output, client: &EventClient) -> String {
    let mark = out.paint("!", Style::Warning);
    let name = sanitize::line(&client.name);
    let since = time::local(client.failing_since.as_ref());
    let failure = sanitize::line(&client.failure);
    format!("{mark} {name} reports a failure since {since}: {failure}")
}

fn row(client: &EventClient) -> Vec<String> {
    vec![
        sanitize::line(&client.name),
        connected(client),
        client.lag.to_string(),
        client.dead_letters.to_string(),
        time::local(client.last_seen.as_ref()),
    ]
}

fn connected(client: &EventClient) -> String {
    match (client.shared, client.connected) {
        (true, true) => format!("{} workers", client.workers),
        (false, true) => "yes".to_owned(),
        (_, false) => "no".to_owned(),
    }
}
