//! `m2 client dead-letters`

use clap::Args;
use m2_proto::api::v1::{
    DeadLetter, DeadLetterAction, ListDeadLettersRequest, SettleDeadLettersRequest, event::Kind,
};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::output::Output;
use crate::{sanitize, table, time};

/// The flags of `m2 client dead-letters`.
#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    /// The name, from `m2 client list`
    name: String,
    /// Give the event at this cursor to workers again, or `all` of them; can be repeated
    #[arg(long, value_name = "CURSOR|all", conflicts_with = "drop")]
    retry: Vec<String>,
    /// Drop the event at this cursor, or `all` of them; can be repeated
    #[arg(long, value_name = "CURSOR|all")]
    drop: Vec<String>,
}

pub(crate) async fn run(args: DeadLettersArgs, context: &Context) -> Result<(), Failure> {
    let action = match (args.retry.is_empty(), args.drop.is_empty()) {
        (true, true) => return list(args.name, context).await,
        (false, _) => DeadLetterAction::Retry,
        (true, false) => DeadLetterAction::Drop,
    };
    let chosen = [args.retry, args.drop].concat();
    let is_all = chosen.iter().any(|cursor| cursor == "all");
    let request = SettleDeadLettersRequest {
        client: args.name,
        cursors: if is_all { Vec::new() } else { chosen },
        action: action.into(),
    };
    let client = context.client().await?;
    let answer = call(client.events().settle_dead_letters(request)).await?;
    let verb = if action == DeadLetterAction::Retry {
        "Given to workers again"
    } else {
        "Dropped"
    };
    context
        .out
        .show(&answer, |_| format!("{verb}: {}.", answer.count))
}

/// Shows the dead letters of a name, page by page.
async fn list(name: String, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let mut all: Vec<DeadLetter> = Vec::new();
    let mut after = String::new();
    loop {
        let request = ListDeadLettersRequest {
            client: name.clone(),
            limit: 0,
            after,
        };
        let page = call(client.events().list_dead_letters(request)).await?;
        all.extend(page.letters);
        if page.next.is_empty() {
            break;
        }
        after = page.next;
    }
    if context.out.is_json() {
        return all.iter().try_for_each(|letter| context.out.json(letter));
    }
    if all.is_empty() {
        context.out.note("No dead letters.");
        return Ok(());
    }
    context.out.text(&human(&context.out, &all))
}

fn human(out: &Output, letters: &[DeadLetter]) -> String {
    let rows: Vec<Vec<String>> = letters.iter().map(row).collect();
    let head = ["CURSOR", "SINCE", "TRIES", "CONTACT", "EVENT", "REASON"];
    table::columns(out, &head, &rows)
}

fn row(letter: &DeadLetter) -> Vec<String> {
    let event = letter.event.as_ref();
    let name = event.map(|event| sanitize::line(&event.contact_name));
    vec![
        sanitize::line(&letter.cursor),
        time::local(letter.since.as_ref()),
        letter.deliveries.to_string(),
        name.unwrap_or_default(),
        event
            .map_or("(no longer stored)", |event| kind(event.kind.as_ref()))
            .to_owned(),
        sanitize::line(&letter.reason),
    ]
}

/// Returns the name of a kind, as in JSON.
fn kind(kind: Option<&Kind>) -> &'static str {
    match kind {
        Some(Kind::MessageReceived(_)) => "messageReceived",
        Some(Kind::MessageState(_)) => "messageState",
        Some(Kind::MessageEdited(_)) => "messageEdited",
        Some(Kind::MessageRetracted(_)) => "messageRetracted",
        Some(Kind::MessageReacted(_)) => "messageReacted",
        Some(Kind::MessageExpired(_)) => "messageExpired",
        Some(Kind::ContactRequest(_)) => "contactRequest",
        Some(Kind::ContactAdded(_)) => "contactAdded",
        Some(Kind::ContactDeclined(_)) => "contactDeclined",
        Some(Kind::ContactRemoved(_)) => "contactRemoved",
        Some(Kind::Gap(_)) => "gap",
        Some(Kind::HistoryLost(_)) => "historyLost",
        Some(Kind::OwnConflict(_)) => "ownConflict",
        Some(Kind::ContactConflict(_)) => "contactConflict",
        Some(Kind::EventsDropped(_)) => "eventsDropped",
        None => "",
    }
}
