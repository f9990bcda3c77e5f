//! An event stream that is read with patience.

use super::PATIENCE;
use anyhow::{Context as _, bail};
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{Event, SubscribeResponse};
use std::time::Duration;
use tokio::time::timeout;
use tonic::{Status, Streaming};

/// A stream of events.
#[derive(Debug)]
pub struct Events(Streaming<SubscribeResponse>);

impl Events {
    /// Reads what a `Subscribe` call answered.
    pub fn new(stream: Streaming<SubscribeResponse>) -> Self {
        Self(stream)
    }

    /// The next event, however long it takes; none when the stream ended.
    ///
    /// Errors: the stream's.
    pub async fn take(&mut self) -> Result<Option<Event>, Status> {
        let answer = self.0.message().await?;
        Ok(answer.and_then(|answer| answer.event))
    }

    /// The next event.
    ///
    /// Errors: the stream failed or ended, or nothing came in time.
    pub async fn next(&mut self) -> anyhow::Result<Event> {
        let next = timeout(PATIENCE, self.take()).await;
        let event = next
            .context("no event came")?
            .context("the stream failed")?;
        event.context("the stream ended")
    }

    /// The next events, so many.
    ///
    /// Errors: as [`next`](Self::next).
    pub async fn some(&mut self, count: usize) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.next().await?);
        }
        Ok(events)
    }

    /// All events up to the first for which `wanted` has an answer, and that answer.
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

    /// What comes until the stream is silent for a while.
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

/// The place of an event in its log: the number in its cursor.
///
/// Errors: it is no cursor.
pub fn number(event: &Event) -> anyhow::Result<u64> {
    let (_, number) = event.cursor.rsplit_once('-').context("a cursor")?;
    Ok(number.parse()?)
}
