//! `m2 reply`

use clap::Args;
use m2_proto::api::v1::{Direction, GetMessageRequest, ListMessagesRequest, Message};
use m2_proto::client::Client;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::message::{self, MessageArgs, WaitArgs};

/// The flags of `m2 reply`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ReplyArgs {
    /// The id of a received message; with --last, a contact
    #[arg(value_name = "MESSAGE")]
    target: String,
    /// The text; read from stdin if it is `-` or omitted (then one line break at the end is
    /// dropped)
    #[arg(allow_negative_numbers = true)]
    text: Option<String>,
    /// Reply to the newest message that the contact MESSAGE has sent
    #[arg(long)]
    last: bool,
    #[command(flatten)]
    message: MessageArgs,
    #[command(flatten)]
    wait: WaitArgs,
}

const AFTER_HELP: &str = "\
The reply goes to the author of the message, and into its thread if it belongs to one. In a command
of `m2 listen --exec`, `m2 reply \"$M2_MESSAGE_ID\" --key \"$M2_MESSAGE_ID\" TEXT` sends one reply even
if the command is run twice for an event.";

pub(crate) async fn run(args: ReplyArgs, context: &Context) -> Result<(), Failure> {
    let content = args.message.content(args.text)?;
    let client = context.client().await?;
    let original = if args.last {
        newest(&client, args.target).await?
    } else {
        received(&client, args.target).await?
    };
    let mut request = args.message.request(original.peer_id, Some(content));
    request.reply_to = original.message_id;
    request.thread = original.thread;
    message::send(request, &args.wait, &client, context).await
}

/// Returns a received message. Replies to own messages are refused, because a command that replies to
/// every event would also reply to its own replies, without end.
async fn received(client: &Client, message_id: String) -> Result<Message, Failure> {
    let answer = call(
        client
            .messages()
            .get_message(GetMessageRequest { message_id }),
    )
    .await?;
    let message = answer.message.unwrap_or_default();
    if message.direction() == Direction::Sent {
        return Err(Failure::because(
            "OWN_MESSAGE",
            "You sent this message yourself. Reply to a received one, or use `m2 send --reply-to`.",
        ));
    }
    Ok(message)
}

/// Returns the newest message that a contact has sent and not retracted.
async fn newest(client: &Client, contact: String) -> Result<Message, Failure> {
    let mut before = String::new();
    loop {
        let request = ListMessagesRequest {
            contact: contact.clone(),
            limit: 0,
            before,
            ..ListMessagesRequest::default()
        };
        let page = call(client.messages().list_messages(request)).await?;
        let mut received = page.messages.into_iter().filter(is_received);
        if let Some(message) = received.next() {
            return Ok(message);
        }
        if page.next.is_empty() {
            return Err(Failure::because(
                "MESSAGE_UNKNOWN",
                "No message of this contact is stored, so there is nothing to reply to. Send one \
                 with `m2 send`.",
            ));
        }
        before = page.next;
    }
}

fn is_received(message: &Message) -> bool {
    message.direction() == Direction::Received && !message.retracted
}
