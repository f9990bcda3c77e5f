//! `m2 search`

use clap::Args;
use m2_proto::api::v1::{Message, SearchMessagesRequest};
use m2_proto::client::Client;
use m2_proto::limits::MAX_LIST;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::history;
use crate::names::Names;

/// The flags of `m2 search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Words that must all occur in the message
    #[arg(required = true, num_args = 1.., value_name = "TEXT")]
    words: Vec<String>,
    /// Search in the conversation with this contact only: name, peer id, or at least the first 10 characters of the peer
    /// id
    #[arg(
        long,
        value_name = "CONTACT",
        default_value = "",
        hide_default_value = true
    )]
    contact: String,
    /// The number of messages to show, counted from the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LIST)))]
    limit: u32,
    /// Show message ids (always included with --json)
    #[arg(long)]
    ids: bool,
}

/// Shows the messages found, newest first.
pub(crate) async fn run(args: SearchArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let messages = fetch(&args, &client).await?;
    if context.out.is_json() {
        return messages.iter().try_for_each(|m| context.out.json(m));
    }
    if messages.is_empty() {
        context.out.note("Nothing found.");
        return Ok(());
    }
    let names = Names::load(&client).await?;
    messages.iter().try_for_each(|message| {
        let line = history::human(&context.out, message, &names, args.ids);
        context.out.text(&line)
    })
}

/// Fetches messages newest first, page by page.
async fn fetch(args: &SearchArgs, client: &Client) -> Result<Vec<Message>, Failure> {
    let mut messages: Vec<Message> = Vec::new();
    let mut before = String::new();
    loop {
        let fetched = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        let request = SearchMessagesRequest {
            text: args.words.join(" "),
            limit: args.limit.saturating_sub(fetched),
            before,
            contact: args.contact.clone(),
        };
        let page = call(client.messages().search_messages(request)).await?;
        messages.extend(page.messages);
        if page.next.is_empty() || messages.len() >= args.limit as usize {
            return Ok(messages);
        }
        before = page.next;
    }
}
