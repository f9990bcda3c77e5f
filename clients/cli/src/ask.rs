//! `m2 ask`

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::{
    Event, MessageReceived, MessageState, MessageStateChanged, SendMessageRequest, StartAt,
    SubscribeRequest, WatchMessageResponse,
};
use m2_proto::client::Client;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::history::body;
use crate::output::Output;
use crate::reconnect::{Pauses, passes};
use crate::{events, input, message, sanitize, time, watch};

/// The flags of `m2 ask`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct AskArgs {
    /// Name, peer id, or at least the first 10 characters of the peer id
    contact: String,
    /// The question; read from stdin if it is `-` or omitted (then one line break at the end is
    /// dropped)
    #[arg(allow_negative_numbers = true)]
    text: Option<String>,
    /// How long to wait for the reply; after that the exit code is 4, and the question stays queued
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = time::parse_duration)]
    timeout: Duration,
    /// Also accept the contact's next message that refers to no other one
    #[arg(long)]
    any_reply: bool,
    /// Delete the question on both sides after this time: 1s to 365d
    #[arg(long, value_name = "DURATION", value_parser = time::parse_ttl)]
    ttl: Option<Duration>,
}

const AFTER_HELP: &str = "\
Waits for the first message of the contact that replies to the question, as `m2 reply` and
`m2 send --reply-to` do, and prints its text; with --json the message. Waiting goes on while the
daemon restarts. A reply of another media type is written to a pipe or a file unchanged.";

/// Asks, and prints the reply.
pub(crate) async fn run(args: AskArgs, context: &Context) -> Result<(), Failure> {
    let text = input::text(args.text)?;
    let client = context.client().await?;
    let mut inquiry = Inquiry {
        request: SendMessageRequest {
            contact: message::peer_id(&client, &args.contact).await?,
            content: Some(Content::Text(text)),
            ttl: args.ttl.map(time::to_proto),
            idempotency_key: message::random_key()?,
            ..Default::default()
        },
        any_reply: args.any_reply,
        question: None,
        state: MessageState::Unspecified,
        after: None,
    };
    let reply = tokio::time::timeout(args.timeout, inquiry.reply(&client, context)).await;
    match reply {
        Ok(reply) => show(&reply?, &context.out),
        Err(_) => Err(inquiry.timed_out(&client, args.timeout).await),
    }
}

/// A question, and the position in the event log up to which no reply was found.
struct Inquiry {
    request: SendMessageRequest,
    any_reply: bool,
    /// The id of the question, once the daemon has stored it.
    question: Option<String>,
    /// The last known state of the question.
    state: MessageState,
    after: Option<String>,
}

impl Inquiry {
    /// Sends the question and waits for the reply, across restarts of the daemon.
    async fn reply(
        &mut self,
        client: &Client,
        context: &Context,
    ) -> Result<MessageReceived, Failure> {
        let mut pauses = Pauses::default();
        loop {
            let failure = match self.attempt(client, &mut pauses).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            // A daemon that was never ready is an error at once.
            if self.after.is_none() || !passes(&failure) {
                return Err(failure);
            }
            if pauses.are_over() {
                context
                    .out
                    .note("The daemon does not answer. Waiting for it.");
            }
            tokio::time::sleep(pauses.next()).await;
        }
    }

    /// Opens the stream before the question is sent, so that no reply is missed, and reads it.
    async fn attempt(
        &mut self,
        client: &Client,
        pauses: &mut Pauses,
    ) -> Result<MessageReceived, Failure> {
        let mut request = SubscribeRequest::default();
        match &self.after {
            Some(cursor) => request.after = cursor.clone(),
            None => request.start_at = StartAt::Now.into(),
        }
        let mut stream = events::open(client, request, &mut self.after).await?;
        if self.question.is_none() {
            // After a failure it is not known whether the question was stored. The key makes sure that
            // it is sent once.
            let sent = call(client.messages().send_message(self.request.clone())).await?;
            self.state = sent.state();
            self.question = Some(sent.message_id);
        }
        pauses.end();
        loop {
            let Some(event) = events::read(stream.message().await)?.event else {
                continue;
            };
            self.after = Some(event.cursor.clone());
            if let Some(reply) = self.check(event)? {
                return Ok(reply);
            }
        }
    }

    /// Returns the reply, if the event is one. Errors: the question was given up or has expired.
    fn check(&mut self, event: Event) -> Result<Option<MessageReceived>, Failure> {
        match event.kind {
            Some(Kind::MessageReceived(message)) if self.is_reply(&message) => Ok(Some(message)),
            Some(Kind::MessageState(changed)) if self.is_question(&changed.message_id) => {
                self.changed(changed).map(|()| None)
            }
            _ => Ok(None),
        }
    }

    fn is_reply(&self, message: &MessageReceived) -> bool {
        let refers = self.is_question(&message.reply_to);
        let is_plain = self.any_reply && message.reply_to.is_empty();
        message.peer_id == self.request.contact && (refers || is_plain)
    }

    fn is_question(&self, message_id: &str) -> bool {
        self.question.as_deref() == Some(message_id)
    }

    fn changed(&mut self, changed: MessageStateChanged) -> Result<(), Failure> {
        self.state = changed.state();
        watch::check(&WatchMessageResponse {
            message_id: changed.message_id,
            state: changed.state,
            failure: changed.failure,
        })
    }

    /// Returns the failure for a reply that did not come, with what is known about the question.
    async fn timed_out(&self, client: &Client, timeout: Duration) -> Failure {
        let known = match (&self.question, self.state) {
            (None, _) => "It is not known whether the question was sent.",
            (_, MessageState::Delivered) => "The question was delivered.",
            (_, MessageState::Read) => "The question was read.",
            (_, MessageState::Deposited) => "The question waits in a mailbox of the contact.",
            _ => "The question is not delivered yet; it stays queued.",
        };
        let problem = match self.state {
            MessageState::Delivered | MessageState::Read => String::new(),
            _ => {
                let asked = message::problem(client, self.request.contact.clone());
                let limited = tokio::time::timeout(Duration::from_secs(1), asked).await;
                limited.unwrap_or_default()
            }
        };
        Failure::TimedOut(format!(
            "No reply came within {timeout:?}. {known}{problem}"
        ))
    }
}

/// Prints the text of a reply. Bytes are written unchanged unless to a terminal.
fn show(reply: &MessageReceived, out: &Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(reply);
    }
    if !reply.data.is_empty() && !io::stdout().is_terminal() {
        return out.raw(&reply.data);
    }
    if reply.data.is_empty() {
        return out.text(&sanitize::block(&reply.text));
    }
    out.text(&body("", reply.data.len(), &reply.media_type, (0, None)))
}
