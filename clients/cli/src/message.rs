//! What the commands that send a message have in common: their flags, and waiting for a state.

use std::time::Duration;

use clap::{Args, ValueEnum};
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::{
    GetContactRequest, MessageState, SendMessageRequest, SendMessageResponse, WatchMessageRequest,
    WatchMessageResponse,
};
use m2_proto::client::Client;
use serde::Serialize;

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::{input, sanitize, time, watch};

/// The flags that describe a message.
#[derive(Debug, Args)]
pub(crate) struct MessageArgs {
    /// Send the bytes unchanged, with this media type
    #[arg(long = "type", value_name = "MEDIA")]
    media_type: Option<String>,
    /// Delete it on both sides after this time: 1s to 365d
    #[arg(long, value_name = "DURATION", value_parser = time::parse_ttl)]
    ttl: Option<Duration>,
    /// A key that makes it safe to repeat a call: within 30 days, the same key and content send one
    /// message
    #[arg(
        long,
        value_name = "IDEMPOTENCY",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) key: String,
}

/// The flags that select how long a command waits.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The delivery state to wait for
    #[arg(long, value_enum, default_value_t)]
    wait: Wait,
    /// How long to wait for that state; after that the exit code is 4, and the message stays queued
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = time::parse_duration)]
    timeout: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Wait {
    /// Stored durably in the outbox
    #[default]
    Queued,
    /// Passed to a session, or deposited in a mailbox
    Sent,
    /// Stored by the recipient's daemon
    Delivered,
}

impl MessageArgs {
    /// Returns the content of a TEXT argument: text, or bytes if there is a media type.
    pub(crate) fn content(&self, text: Option<String>) -> Result<Content, Failure> {
        if self.is_data() {
            return Ok(Content::Data(input::content(text)?));
        }
        Ok(Content::Text(input::text(text)?))
    }

    /// Returns whether the message is bytes with a media type.
    pub(crate) fn is_data(&self) -> bool {
        self.media_type.is_some()
    }

    /// Returns the request for a message to a contact.
    pub(crate) fn request(self, contact: String, content: Option<Content>) -> SendMessageRequest {
        SendMessageRequest {
            contact,
            content,
            media_type: self.media_type.unwrap_or_default(),
            ttl: self.ttl.map(time::to_proto),
            idempotency_key: self.key,
            ..Default::default()
        }
    }
}

/// Sends a message, waits for the state that the flags select, and prints the last one.
pub(crate) async fn send(
    request: SendMessageRequest,
    args: &WaitArgs,
    client: &Client,
    context: &Context,
) -> Result<(), Failure> {
    let contact = request.contact.clone();
    let queued = call(client.messages().send_message(request)).await?;
    if args.wait == Wait::Queued {
        let state = queued.state;
        return report(context, &queued, &queued.message_id, state);
    }
    let mut waited = wait(client, queued, args.wait, args.timeout).await;
    if let Err(Failure::TimedOut(text)) = &mut waited.result {
        text.push_str(&problem(client, contact).await);
    }
    let last = &waited.last;
    report(context, last, &last.message_id, last.state)?;
    waited.result
}

/// Returns the known reason for which a contact does not accept messages, to append to a sentence.
pub(crate) async fn problem(client: &Client, contact: String) -> String {
    let request = GetContactRequest { contact };
    let asked = client.contacts().get_contact(request).await;
    let known = asked.ok().and_then(|answer| answer.into_inner().contact);
    match known {
        Some(contact) if !contact.problem.is_empty() => {
            format!(" {}", sanitize::line(&contact.problem))
        }
        _ => String::new(),
    }
}

/// Returns the peer id of a contact.
pub(crate) async fn peer_id(client: &Client, contact: &str) -> Result<String, Failure> {
    let contact = contact.to_owned();
    let answer = call(client.contacts().get_contact(GetContactRequest { contact })).await?;
    let contact = answer.contact.unwrap_or_default();
    Ok(contact.peer_id)
}

/// Returns a key that no other call uses.
pub(crate) fn random_key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::Local(format!("The system has no random numbers: {error}.")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The last state that was seen, and the failure to reach a better one, if any.
struct Waited {
    last: WatchMessageResponse,
    result: Result<(), Failure>,
}

async fn wait(
    client: &Client,
    queued: SendMessageResponse,
    goal: Wait,
    timeout: Duration,
) -> Waited {
    let mut last = WatchMessageResponse {
        message_id: queued.message_id,
        state: queued.state,
        failure: String::new(),
    };
    let follow = follow(client, &mut last, goal);
    let result = match tokio::time::timeout(timeout, follow).await {
        Ok(result) => result,
        Err(_) => Err(Failure::TimedOut(
            "The message did not reach that state in time. It is safe in the outbox, and delivery continues; \
             follow it with `m2 watch`."
                .to_owned(),
        )),
    };
    Waited { last, result }
}

async fn follow(
    client: &Client,
    last: &mut WatchMessageResponse,
    goal: Wait,
) -> Result<(), Failure> {
    let request = WatchMessageRequest {
        message_id: last.message_id.clone(),
    };
    let mut states = client.messages().watch_message(request).await?.into_inner();
    while let Some(state) = states.message().await? {
        *last = state;
        watch::check(last)?;
        if reached(last.state(), goal) {
            return Ok(());
        }
    }
    Err(Failure::NoDaemon(
        "The daemon stopped. The message is queued, and delivery continues when the daemon runs again.".to_owned(),
    ))
}

fn reached(state: MessageState, goal: Wait) -> bool {
    use MessageState::{Delivered, Deposited, Queued, Read, Sent};
    match goal {
        Wait::Queued => matches!(state, Queued | Sent | Deposited | Delivered | Read),
        Wait::Sent => matches!(state, Sent | Deposited | Delivered | Read),
        Wait::Delivered => matches!(state, Delivered | Read),
    }
}

fn report<T: Serialize>(
    context: &Context,
    value: &T,
    message_id: &str,
    state: i32,
) -> Result<(), Failure> {
    context
        .out
        .show(value, |out| watch::human(out, message_id, state))
}
