//! `m2 history`, and the formatting of messages for people.

use clap::Args;
use m2_proto::api::v1::{Direction, ListMessagesRequest, Message, MessageState, Reaction};
use m2_proto::client::Client;
use m2_proto::limits::MAX_LIST;
use m2_proto::wkt::Timestamp;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::names::{Names, message_state, short_id};
use crate::output::{Output, Style};
use crate::{sanitize, time};

/// The flags of `m2 history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Name, peer id, or at least the first 10 characters of the peer id
    contact: String,
    /// The number of messages to show, counted from the newest; with --forward, from the oldest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIST)))]
    limit: u32,
    /// Show only messages before this cursor
    #[arg(
        long,
        value_name = "CURSOR",
        default_value = "",
        hide_default_value = true
    )]
    before: String,
    /// Begin with the oldest message, not with the newest
    #[arg(long)]
    forward: bool,
    /// Show only messages after this cursor
    #[arg(
        long,
        value_name = "CURSOR",
        default_value = "",
        hide_default_value = true
    )]
    after: String,
    /// Show only messages that arrived or were sent since this time: 2026-01-31, "2026-01-31 12:00", a time of RFC 3339,
    /// or how long ago, such as 2h
    #[arg(long, value_name = "TIME", value_parser = time::parse_moment)]
    since: Option<Timestamp>,
    /// Show only messages that arrived or were sent before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse_moment)]
    until: Option<Timestamp>,
    /// Show message ids (always included with --json)
    #[arg(long)]
    ids: bool,
}

/// Shows messages oldest first. `--before` with the first one's cursor shows earlier ones, `--after` with the last one's
/// later ones.
pub(crate) async fn run(args: HistoryArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let mut messages = fetch(&args, &client).await?;
    if !args.forward {
        messages.reverse();
    }
    if context.out.is_json() {
        return messages.iter().try_for_each(|m| context.out.json(m));
    }
    let names = Names::load(&client).await?;
    for message in &messages {
        context
            .out
            .text(&human(&context.out, message, &names, args.ids))?;
    }
    note_more(&args, &messages, context);
    Ok(())
}

/// Says how to see more messages, if there may be any.
fn note_more(args: &HistoryArgs, messages: &[Message], context: &Context) {
    if messages.len() < args.limit as usize {
        return;
    }
    let cursor = |message: &Message| sanitize::line(&message.cursor);
    let note = if args.forward {
        let last = messages.last().map(cursor);
        last.map(|cursor| format!("Later messages: --forward --after {cursor}"))
    } else {
        let first = messages.first().map(cursor);
        first.map(|cursor| format!("Earlier messages: --before {cursor}"))
    };
    if let Some(note) = note {
        context.out.note(&note);
    }
}

/// Fetches messages newest first, or oldest first with `--forward`, page by page.
async fn fetch(args: &HistoryArgs, client: &Client) -> Result<Vec<Message>, Failure> {
    let mut messages: Vec<Message> = Vec::new();
    let (mut before, mut after) = (args.before.clone(), args.after.clone());
    loop {
        let fetched = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        let request = ListMessagesRequest {
            contact: args.contact.clone(),
            limit: args.limit.saturating_sub(fetched),
            before: before.clone(),
            forward: args.forward,
            after: after.clone(),
            since: args.since,
            until: args.until,
        };
        let page = call(client.messages().list_messages(request)).await?;
        messages.extend(page.messages);
        if page.next.is_empty() || messages.len() >= args.limit as usize {
            return Ok(messages);
        }
        let next = if args.forward {
            &mut after
        } else {
            &mut before
        };
        *next = page.next;
    }
}

/// Formats a message: `2026-01-31 12:00  name  text (state)`.
pub(crate) fn human(out: &Output, message: &Message, names: &Names, with_id: bool) -> String {
    let is_own = message.direction() == Direction::Sent;
    let who = if is_own {
        "me".to_owned()
    } else {
        names.of(&message.peer_id)
    };
    let when = time::local(message.sent.as_ref());
    let id = if with_id {
        format!("{}  ", sanitize::line(&message.message_id))
    } else {
        String::new()
    };
    let head = format!("{id}{when}  {who}  ");
    let text = content(out, message, head.chars().count());
    format!(
        "{}{}  {text}{}{}",
        out.paint(&format!("{id}{when}  "), Style::Faint),
        out.paint(&who, Style::Strong),
        out.paint(&marks(message, is_own), Style::Faint),
        reactions(message, names),
    )
}

/// Formats the reactions, each after its author. They come last and in quotation marks, so that none
/// looks like a mark.
fn reactions(message: &Message, names: &Names) -> String {
    let one = |reaction: &Reaction| {
        let who = match reaction.direction() {
            Direction::Sent => "me".to_owned(),
            _ => names.of(&message.peer_id),
        };
        let text = sanitize::line(&reaction.text).replace('"', "'");
        format!("  {who}: \"{text}\"")
    };
    message.reactions.iter().map(one).collect()
}

fn content(out: &Output, message: &Message, indent: usize) -> String {
    if message.retracted {
        return out.paint("(retracted)", Style::Faint);
    }
    body(
        &message.text,
        message.data.len(),
        &message.media_type,
        (indent, out.width()),
    )
}

/// Formats a message's text, or a placeholder for its bytes.
///
/// `indent` is the column at which the first line begins, `width` the width of the terminal.
pub(crate) fn body(
    text: &str,
    data: usize,
    media_type: &str,
    (indent, width): (usize, Option<usize>),
) -> String {
    if text.is_empty() && data > 0 {
        return format!("[{}, {data} bytes]", sanitize::line(media_type));
    }
    sanitize::indented(text, indent, width)
}

fn marks(message: &Message, is_own: bool) -> String {
    let mut marks = Vec::new();
    if !message.reply_to.is_empty() {
        marks.push(format!("reply to {}", short_id(&message.reply_to)));
    }
    if !message.thread.is_empty() {
        marks.push(format!("thread {}", short_id(&message.thread)));
    }
    if message.edited && !message.retracted {
        marks.push("edited".to_owned());
    }
    if is_own && !message.retracted {
        marks.push(message_state(message.state));
    }
    if message.state() == MessageState::Failed {
        marks.push(sanitize::line(&message.failure));
    }
    if marks.is_empty() {
        String::new()
    } else {
        format!("  ({})", marks.join(", "))
    }
}
