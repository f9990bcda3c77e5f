//! The senders that run while daemons are killed.

use crate::scenario::Api;
use anyhow::bail;
use m2_proto::api::v1::send_messages_response::Result as Outcome;
use m2_proto::api::v1::{SendMessagesRequest, SendMessagesResponse};
use m2_proto::reason::{self, Reason};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use tonic::{Status, Streaming};

/// Number of messages per request stream.
const BATCH: u64 = 20;

/// The interval between two messages or batches; this is not a performance test.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// A sender's record of its messages, in the order in which it sent them.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// The prefix of every text.
    pub(super) label: String,
    /// Messages whose call succeeded: the text and the message's id.
    pub(super) acknowledged: Vec<(String, String)>,
    /// Texts whose call failed: they may or may not have been sent.
    pub(super) failed: Vec<String>,
}

/// The parameters of a sender.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) socket: PathBuf,
    pub(super) to: &'static str,
    pub(super) stop: Arc<AtomicBool>,
    /// The interval between two messages.
    pub(super) pause: Duration,
    /// The most messages of [`Self::one_by_one`].
    pub(super) most: u64,
}

impl Load {
    /// Sends messages one at a time, and retries each with its idempotency key until it succeeds.
    pub(super) async fn one_by_one(self, label: String) -> anyhow::Result<Sent> {
        let mut sent = Sent::new(label);
        let api = self.connect().await;
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) && number < self.most {
            let text = sent.text(number);
            let mut request = Api::text(self.to, &text);
            request.idempotency_key = format!("{}-{number}", sent.label);
            let id = loop {
                match api.send_request(request.clone()).await {
                    Ok(answer) => break answer.message_id,
                    Err(status) => passes(&status)?,
                }
                sleep(PAUSE).await;
            };
            sent.acknowledged.push((text, id));
            number += 1;
            sleep(self.pause).await;
        }
        Ok(sent)
    }

    /// Sends messages in batches, each over one request stream. Failed messages are not retried.
    pub(super) async fn in_batches(self, label: String) -> anyhow::Result<Sent> {
        let mut sent = Sent::new(label);
        let api = self.connect().await;
        let mut number = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let texts: Vec<String> = (number..number + BATCH).map(|n| sent.text(n)).collect();
            number += BATCH;
            let ids = self.batch(&api, &texts).await?;
            let acknowledged = ids.len();
            sent.acknowledged.extend(texts.iter().cloned().zip(ids));
            sent.failed.extend(texts.into_iter().skip(acknowledged));
            sleep(self.pause * 4).await;
        }
        Ok(sent)
    }

    /// Sends one batch and returns the ids of the messages that succeeded, which are the first
    /// ones.
    async fn batch(&self, api: &Api, texts: &[String]) -> anyhow::Result<Vec<String>> {
        let requests: Vec<SendMessagesRequest> = texts
            .iter()
            .map(|text| SendMessagesRequest {
                message: Some(Api::text(self.to, text)),
            })
            .collect();
        let stream = tokio_stream::iter(requests);
        let mut ids = Vec::new();
        match api.client().messages().send_messages(stream).await {
            Ok(answers) => {
                let mut answers = answers.into_inner();
                while let Some(id) = next_id(&mut answers).await? {
                    ids.push(id);
                }
            }
            Err(status) => passes(&status)?,
        }
        Ok(ids)
    }

    async fn connect(&self) -> Api {
        loop {
            match Api::at(&self.socket).await {
                Ok(api) => return api,
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}

impl Sent {
    fn new(label: String) -> Self {
        Self {
            label,
            ..Self::default()
        }
    }

    /// Returns the text of message `number`; one in 50 is long.
    fn text(&self, number: u64) -> String {
        let long = if number % 50 == 7 { 20_000 } else { 20 };
        format!("{} {number} {}", self.label, "x".repeat(long))
    }

    /// Returns every text that was sent, and whether its call succeeded.
    pub(super) fn numbers(&self) -> HashMap<&str, bool> {
        let acknowledged = self
            .acknowledged
            .iter()
            .map(|(text, _)| (text.as_str(), true));
        let failed = self.failed.iter().map(|text| (text.as_str(), false));
        acknowledged.chain(failed).collect()
    }
}

async fn next_id(answers: &mut Streaming<SendMessagesResponse>) -> anyhow::Result<Option<String>> {
    let answer = match answers.message().await {
        Ok(answer) => answer,
        Err(status) => {
            passes(&status)?;
            None
        }
    };
    match answer.and_then(|answer| answer.result) {
        Some(Outcome::Sent(sent)) => Ok(Some(sent.message_id)),
        Some(Outcome::Error(error)) if error.reason == Reason::Stopping.as_str() => Ok(None),
        Some(Outcome::Error(error)) => bail!("a message of a stream: {}", error.reason),
        None => Ok(None),
    }
}

/// Returns an error unless a killed daemon explains the failure of the call.
pub(super) fn passes(status: &Status) -> anyhow::Result<()> {
    match reason::text_of(status) {
        None => Ok(()),
        Some(reason) if reason == Reason::Stopping.as_str() => Ok(()),
        Some(reason) => bail!("a call failed with {reason}: {}", status.message()),
    }
}
