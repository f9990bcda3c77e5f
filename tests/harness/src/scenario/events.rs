//! An event stream that is read with a timeout.

use super::PATIENCE;
use anyhow::{Context as _, bail};
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{Event, Notice, SubscribeResponse};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Status, Streaming};

/// A stream of events.
#[derive(Debug)]
pub struct Events(Streaming<SubscribeResponse>);

impl Events {
    /// Wraps the response stream of a `Subscribe` call.
    pub fn new(stream: Streaming<SubscribeResponse>) -> Self {
        Self(stream)
    }

    /// Waits for the next event without a timeout; returns `None` when the stream has ended.
    ///
    /// Errors: the stream failed.
    pub async fn take(&mut self) -> Result<Option<Event>, Status> {
        while let Some(answer) = self.0.message().await? {
            if answer.event.is_some() {
                return Ok(answer.event);
            }
        }
        Ok(None)
    }

    /// Waits for the next answer of any kind.
    ///
    /// Errors: as [`next`](Self::next).
    pub async fn next_answer(&mut self) -> anyhow::Result<SubscribeResponse> {
        let answer = timeout(PATIENCE, self.0.message()).await;
        let answer = answer.context("no answer arrived")??;
        answer.context("the stream ended")
    }

    /// Waits for the next notice. Events before it are skipped.
    ///
    /// Errors: as [`next`](Self::next).
    pub async fn next_notice(&mut self) -> anyhow::Result<Notice> {
        loop {
            if let Some(notice) = self.next_answer().await?.notice {
                return Ok(notice);
            }
        }
    }

    /// Waits until the stream says that it is caught up, and returns that cursor with the events before it.
    ///
    /// Errors: as [`next`](Self::next).
    pub async fn until_caught_up(&mut self) -> anyhow::Result<(String, Vec<Event>)> {
        let mut events = Vec::new();
        loop {
            let answer = self.next_answer().await?;
            events.extend(answer.event);
            if let Some(caught_up) = answer.caught_up {
                return Ok((caught_up.cursor, events));
            }
        }
    }

    /// Waits for the next event.
    ///
    /// Errors: the stream failed or ended, or no event arrived in time.
    pub async fn next(&mut self) -> anyhow::Result<Event> {
        let next = timeout(PATIENCE, self.take()).await;
        let event = next
            .context("no event arrived")?
            .context("the stream failed")?;
        event.context("the stream ended")
    }

    /// Waits for the next `count` events.
    ///
    /// Errors: as [`next`](Self::next).
    pub async fn some(&mut self, count: usize) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.next().await?);
        }
        Ok(events)
    }

    /// Reads events until `wanted` returns a value, and returns that value.
    ///
    /// Errors: as [`next`](Self::next).
    pub async fn until<T>(
        &mut self,
        mut wanted: impl FnMut(&Kind) -> Option<T>,
    ) -> anyhow::Result<T> {
        loop {
            let event = self.next().await?;
            if let Some(answer) = event.kind.as_ref().and_then(&mut wanted) {
                return Ok(answer);
            }
        }
    }

    /// Returns all answers, events and notices, until none arrives for the time `silence`.
    ///
    /// Errors: the stream failed or ended.
    pub async fn answers(&mut self, silence: Duration) -> anyhow::Result<Vec<SubscribeResponse>> {
        let mut answers = Vec::new();
        while let Ok(next) = timeout(silence, self.0.message()).await {
            answers.push(next?.context("the stream ended")?);
        }
        Ok(answers)
    }

    /// Returns all events until none arrives for the time `silence`.
    ///
    /// Errors: the stream failed or ended.
    pub async fn rest(&mut self, silence: Duration) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        while let Ok(next) = timeout(silence, self.take()).await {
            match next? {
                Some(event) => events.push(event),
                None => bail!("the stream ended"),
            }
        }
        Ok(events)
    }
}

/// Returns the position of an event in its log: the number in its cursor.
///
/// Errors: the cursor is malformed.
pub fn number(event: &Event) -> anyhow::Result<u64> {
    let (_, number) = event.cursor.rsplit_once('-').context("a cursor")?;
    Ok(number.parse()?)
}
