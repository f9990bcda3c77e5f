//! `m2 send`

mod lines;
mod splitter;
mod window;

use clap::Args;

use crate::context::Context;
use crate::failure::Failure;
use crate::message::{self, MessageArgs, WaitArgs};

/// The flags of `m2 send`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct SendArgs {
    /// Name, peer id, or at least the first 10 characters of the peer id
    contact: String,
    /// The text; read from stdin if it is `-` or omitted (then one line break at the end is
    /// dropped)
    #[arg(allow_negative_numbers = true)]
    text: Option<String>,
    /// Send every line of stdin as a message of its own, as soon as it is read. Empty lines are
    /// skipped
    #[arg(long, conflicts_with_all = ["text", "wait", "timeout"])]
    lines: bool,
    /// Send no line after one that fails. Each line then waits until the one before it is queued,
    /// which is slower
    #[arg(long, requires = "lines", conflicts_with = "text")]
    stop_on_error: bool,
    #[command(flatten)]
    message: MessageArgs,
    /// The id of the message to which this one replies, in the same conversation
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    reply_to: String,
    /// The id of the first message of the thread to which this one belongs, in the same conversation
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    thread: String,
    #[command(flatten)]
    wait: WaitArgs,
}

const AFTER_HELP: &str = "\
With --lines, each line has the idempotency key KEY:NUMBER, where KEY is --key or a random one. If
the command is interrupted, it prints KEY: the same input with --key KEY sends the rest, and no line
twice. With --json, one object is printed for each line, with `line` and either `messageId` and
`state` or `error`, and at the end one with `queued`, `failed`, `skipped` and `key`. If a line fails,
the exit code is 1.";

pub(crate) async fn run(args: SendArgs, context: &Context) -> Result<(), Failure> {
    if args.lines {
        return lines::run(args, context).await;
    }
    let content = args.message.content(args.text)?;
    let client = context.client().await?;
    let mut request = args.message.request(args.contact, Some(content));
    request.reply_to = args.reply_to;
    request.thread = args.thread;
    message::send(request, &args.wait, &client, context).await
}
