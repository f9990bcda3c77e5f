//! A front-end that sends and hears of its messages by the event stream.

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

/// A front-end with an event stream from now on.
#[derive(Debug)]
pub struct Talker {
    api: Client,
    contact: String,
    events: Streaming<SubscribeResponse>,
}

impl Talker {
    /// Talks to `contact` through this daemon.
    ///
    /// Errors: the API's.
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
    /// Errors: the API's, or it is given up.
    pub async fn deliver(&mut self, data: &[u8]) -> anyhow::Result<()> {
        let request = self.request(data);
        let sent = self.api.messages().send_message(request).await?;
        let id = sent.into_inner().message_id;
        while self.next_delivered().await? != id {}
        Ok(())
    }

    /// The id of the next own message that was delivered.
    ///
    /// Errors: the stream ends, a message is given up, or nothing happens for long.
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

    /// What happens next.
    ///
    /// Errors: the stream ends, or nothing happens for long.
    pub async fn next_event(&mut self) -> anyhow::Result<Kind> {
        let next = timeout(PATIENCE, self.events.message()).await;
        let response = next.context("no event comes")??.context("no events")?;
        let event = response.event.context("an empty response")?;
        event.kind.context("an empty event")
    }

    /// The request that sends `data`.
    pub fn request(&self, data: &[u8]) -> SendMessageRequest {
        SendMessageRequest {
            contact: self.contact.clone(),
            content: Some(Content::Data(data.to_vec())),
            ..Default::default()
        }
    }

    /// The same for the stream of requests.
    pub fn stream_request(&self, data: &[u8]) -> SendMessagesRequest {
        SendMessagesRequest {
            message: Some(self.request(data)),
        }
    }

    /// The API that it talks through.
    pub fn api(&self) -> &Client {
        &self.api
    }
}

/// Bytes that can't be compressed, the same every time.
pub(super) fn payload(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The middle byte.
        (state >> 24) as u8
    };
    (0..size).map(|_| next()).collect()
}
