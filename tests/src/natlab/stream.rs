//! A continuous stream of numbered messages from one peer to the other, and an account of them.

use crate::scenario::Api;
use anyhow::{Context as _, bail};
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{StartAt, SubscribeRequest};
use m2_proto::reason;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The interval between two messages.
const PAUSE: Duration = Duration::from_millis(50);

/// The interval between two attempts to connect to a daemon that is not running.
const AGAIN: Duration = Duration::from_millis(10);

/// One direction of a conversation, which continues across restarts of both daemons until it is
/// stopped.
#[derive(Debug)]
pub(super) struct Stream {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    arrived: Arc<Mutex<Vec<Arrival>>>,
    sender: JoinHandle<anyhow::Result<()>>,
    receiver: JoinHandle<anyhow::Result<()>>,
}

/// A message that arrived.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    number: u64,
    at: Instant,
}

/// The fate of the messages of one direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) sent: u64,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    /// Messages that arrived after a later one.
    pub(super) disordered: u64,
}

impl Stream {
    /// Starts to send from the daemon at socket `from` to its contact `to`, and to receive at the
    /// daemon at socket `at`.
    pub(super) fn start(from: PathBuf, to: &'static str, at: PathBuf) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let arrived = Arc::<Mutex<Vec<Arrival>>>::default();
        Self {
            sender: tokio::spawn(send(from, to, Arc::clone(&stop), Arc::clone(&sent))),
            receiver: tokio::spawn(receive(at, Arc::clone(&arrived))),
            stop,
            sent,
            arrived,
        }
    }

    /// Returns the number of messages that the sender's daemon has accepted so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns whether a message with this number or a later one has arrived.
    pub(super) fn has_reached(&self, number: u64) -> bool {
        let arrived = self.arrived();
        let last = arrived.iter().rev().take(1_000);
        last.into_iter().any(|arrival| arrival.number >= number)
    }

    /// Stops sending. Messages in flight may still arrive.
    ///
    /// Errors: a call failed for a reason other than a stopped daemon.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        (&mut self.sender).await?.context("a sender")?;
        if self.receiver.is_finished() {
            (&mut self.receiver).await?.context("a receiver")?;
        }
        Ok(())
    }

    /// Returns the longest interval without a message after `from`.
    pub(super) fn longest_silence(&self, from: Instant) -> Duration {
        let arrived = self.arrived();
        let mut last = from;
        let mut longest = Duration::ZERO;
        for arrival in arrived.iter().filter(|arrival| arrival.at > from) {
            longest = longest.max(arrival.at.saturating_duration_since(last));
            last = arrival.at;
        }
        longest
    }

    /// Returns the account of all messages so far.
    pub(super) fn tally(&self) -> Tally {
        let arrived = self.arrived();
        tally(self.sent(), arrived.iter().map(|arrival| arrival.number))
    }

    fn arrived(&self) -> MutexGuard<'_, Vec<Arrival>> {
        // The value is never left inconsistent under this lock, so a poisoned lock is harmless.
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.sender.abort();
        self.receiver.abort();
    }
}

/// Accounts for the messages with numbers below `sent`.
fn tally(sent: u64, arrived: impl Iterator<Item = u64>) -> Tally {
    let mut seen = HashSet::new();
    let mut tally = Tally {
        sent,
        ..Tally::default()
    };
    let mut latest = None;
    for number in arrived {
        if !seen.insert(number) {
            tally.repeated += 1;
        } else if latest.is_some_and(|latest| number < latest) {
            tally.disordered += 1;
        } else {
            latest = Some(number);
        }
    }
    tally.lost = (0..sent).filter(|number| !seen.contains(number)).count() as u64;
    tally
}

async fn send(
    socket: PathBuf,
    to: &'static str,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    let mut api = connect(&socket).await;
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let mut request = Api::text(to, &number.to_string());
        request.idempotency_key = format!("stream-{number}");
        match api.send_request(request).await {
            Ok(_) => {
                number += 1;
                sent.store(number, Ordering::Relaxed);
                sleep(PAUSE).await;
            }
            Err(status) if passes(&status) => api = connect(&socket).await,
            Err(status) => bail!("message {number}: {status}"),
        }
    }
    Ok(())
}

async fn receive(socket: PathBuf, arrived: Arc<Mutex<Vec<Arrival>>>) -> anyhow::Result<()> {
    let mut request = SubscribeRequest {
        start_at: StartAt::Start.into(),
        ..SubscribeRequest::default()
    };
    loop {
        let api = connect(&socket).await;
        let mut events = match api.subscribe(request.clone()).await {
            Ok(events) => events,
            Err(status) if passes(&status) => continue,
            Err(status) => bail!("events: {status}"),
        };
        while let Ok(Some(event)) = events.take().await {
            if let Some(Kind::MessageReceived(message)) = &event.kind {
                let number = message.text.parse().context("an unexpected message")?;
                let at = Instant::now();
                let mut all = arrived.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(Arrival { number, at });
            }
            request = SubscribeRequest {
                after: event.cursor,
                ..SubscribeRequest::default()
            };
        }
    }
}

async fn connect(socket: &std::path::Path) -> Api {
    loop {
        sleep(AGAIN).await;
        if let Ok(api) = Api::at(socket).await {
            return api;
        }
    }
}

/// Returns whether a stopped daemon explains the failure of a call.
fn passes(status: &tonic::Status) -> bool {
    match reason::text_of(status) {
        None => true,
        Some(text) => text == reason::Reason::Stopping.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_repeated_and_disordered_messages_are_counted() {
        let counted = |sent, arrived: &[u64]| {
            let tally = tally(sent, arrived.iter().copied());
            [tally.lost, tally.repeated, tally.disordered]
        };
        assert_eq!(counted(3, &[0, 1, 2]), [0, 0, 0]);
        assert_eq!(counted(4, &[0, 1, 2]), [1, 0, 0]);
        assert_eq!(counted(3, &[0, 2, 1]), [0, 0, 1]);
        assert_eq!(counted(3, &[0, 1, 1, 2, 0]), [0, 2, 0]);
    }
}
