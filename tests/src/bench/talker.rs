//! A front-end that sends messages and follows their delivery on the event stream.

use anyhow::{Context as _, bail};
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::{
    MessageState, SendMessageRequest, SendMessagesRequest, StartAt, SubscribeRequest,
    SubscribeResponse,
};
use m2_proto::client::Client;
use std::time::Duration;
use tokio::time::timeout;
use tonic::Streaming;

const PATIENCE: Duration = Duration::from_secs(120);

/// A front-end whose event stream starts when it is created.
#[derive(Debug)]
pub struct Talker {
    api: Client,
    contact: String,
    events: Streaming<SubscribeResponse>,
}

impl Talker {
    /// Creates a front-end of this daemon that sends to `contact`.
    ///
    /// Errors: the subscription fails.
    pub async fn new(api: &Client, contact: &str) -> anyhow::Result<Self> {
        let request = SubscribeRequest {
            start_at: StartAt::Now.into(),
            ..Default::default()
        };
        let events = api.events().subscribe(request).await?.into_inner();
        Ok(Self {
            api: api.clone(),
            contact: contact.to_owned(),
            events,
        })
    }

    /// Sends one message and waits until its recipient has stored it.
    ///
    /// Errors: an API call fails, or the message is given up.
    pub async fn deliver(&mut self, data: &[u8]) -> anyhow::Result<()> {
        let request = self.request(data);
        let sent = self.api.messages().send_message(request).await?;
        let id = sent.into_inner().message_id;
        while self.next_delivered().await? != id {}
        Ok(())
    }

    /// Waits for the next confirmed delivery and returns the message's id.
    ///
    /// Errors: the stream ends, a message is given up, or no event arrives in time.
    pub async fn next_delivered(&mut self) -> anyhow::Result<String> {
        loop {
            if let Kind::MessageState(changed) = self.next_event().await? {
                match changed.state() {
                    MessageState::Delivered => return Ok(changed.message_id),
                    MessageState::Failed | MessageState::Expired => bail!("a message was given up"),
                    _ => {}
                }
            }
        }
    }

    /// Waits for the next event.
    ///
    /// Errors: the stream ends, or no event arrives in time.
    pub async fn next_event(&mut self) -> anyhow::Result<Kind> {
        let next = timeout(PATIENCE, self.events.message()).await;
        let response = next
            .context("no event arrived")??
            .context("the event stream ended")?;
        let event = response.event.context("an empty response")?;
        event.kind.context("an empty event")
    }

    /// Returns a request that sends `data`.
    pub fn request(&self, data: &[u8]) -> SendMessageRequest {
        SendMessageRequest {
            contact: self.contact.clone(),
            content: Some(Content::Data(data.to_vec())),
            ..Default::default()
        }
    }

    /// Returns a request that sends `data` for a stream of requests.
    pub fn stream_request(&self, data: &[u8]) -> SendMessagesRequest {
        SendMessagesRequest {
            message: Some(self.request(data)),
        }
    }

    /// Returns the daemon's API.
    pub fn api(&self) -> &Client {
        &self.api
    }
}

/// Returns incompressible bytes, the same at every call.
pub(super) fn payload(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // A byte from the middle of the state.
        (state >> 24) as u8
    };
    (0..size).map(|_| next()).collect()
}
