//! The connection to the cluster, and the two streams.

use super::JetStreamOptions;
use super::kept::Kept;
use super::subjects::Subjects;
use crate::store::{KEPT_MS, Limits, MailboxError};
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{Config, DiscardPolicy};
use async_nats::{Client, ConnectOptions, Event};
use m2_crypto::deposit::PERIOD_S;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The timeout of one request.
const ANSWER: Duration = Duration::from_secs(2);

/// How long a request is repeated before it fails as unavailable.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How long messages outlive their time, so that the purge comes before the engine drops them.
const GRACE: Duration = Duration::from_secs(2 * 60 * 60);

/// The lifetime of letters in the engine.
pub(super) const LETTERS_KEPT: Duration =
    Duration::from_secs(KEPT_MS / 1_000).saturating_add(GRACE);

/// The lifetime of everything in that stream. A spent mark is written at the earliest one day before
/// its period, and is kept for two periods and one day from its start.
const MARKS_KEPT: Duration =
    Duration::from_secs(2 * PERIOD_S + 2 * 24 * 60 * 60).saturating_add(GRACE);

/// The first version of the server that checks the last sequence number under a filter.
const OLDEST_SERVER: (u32, u32) = (2, 12);

/// The connection and the two streams.
pub(super) struct Cluster {
    client: Client,
    /// The letters and the spent marks.
    pub(super) kept: Kept,
    /// The keys of boxes, and the salt of the marks.
    pub(super) boxes: Kept,
    reconnected: watch::Receiver<()>,
}

impl Cluster {
    pub(super) async fn connect(
        options: &JetStreamOptions,
        subjects: &Subjects,
        limits: &Limits,
    ) -> Result<Self, MailboxError> {
        let (client, reconnected) = connect(options.servers.clone()).await?;
        check_version(&client.server_info().version)?;
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .backpressure_on_inflight(true)
            .build(client.clone());
        let kept = kept_config(options, subjects, limits);
        let boxes = boxes_config(options, subjects);
        Ok(Self {
            kept: Kept::make(&context, kept).await?,
            boxes: Kept::make(&context, boxes).await?,
            client,
            reconnected,
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Returns a receiver that changes on every reconnection, after which notices may have been
    /// missed.
    pub(super) fn reconnected(&self) -> watch::Receiver<()> {
        self.reconnected.clone()
    }
}

/// Older servers ignore the filter, so that two letters of different sizes could be stored under one
/// nonce.
fn check_version(version: &str) -> Result<(), MailboxError> {
    let mut numbers = version.split('.').map(|part| part.parse().ok());
    let found = numbers.next().flatten().zip(numbers.next().flatten());
    if found.is_some_and(|found| found >= OLDEST_SERVER) {
        return Ok(());
    }
    let text = format!("nats-server 2.12 or newer is necessary, this one is {version}");
    Err(MailboxError::Unavailable(text))
}

/// `max_bytes` leaves room beyond the limit, because a spent mark must fit even if no letter does.
/// The front ends keep letters within the limit.
fn kept_config(options: &JetStreamOptions, subjects: &Subjects, limits: &Limits) -> Config {
    let most = limits.bytes.saturating_add(limits.bytes / 8);
    Config {
        name: subjects.kept_stream(),
        subjects: vec![subjects.all_letters(), subjects.all_marks()],
        max_bytes: i64::try_from(most.saturating_add(1 << 20)).unwrap_or(i64::MAX),
        max_age: MARKS_KEPT,
        allow_message_ttl: true,
        ..common(options)
    }
}

/// A key that is replaced remains until it is overwritten, so a subject may have several messages.
fn boxes_config(options: &JetStreamOptions, subjects: &Subjects) -> Config {
    Config {
        name: subjects.boxes_stream(),
        subjects: vec![subjects.all_keys(), subjects.salt()],
        ..common(options)
    }
}

fn common(options: &JetStreamOptions) -> Config {
    Config {
        discard: DiscardPolicy::New,
        num_replicas: options.replicas,
        allow_direct: true,
        max_consumers: 0,
        ..Config::default()
    }
}

/// Connects in a separate task, because the library is built without TLS and panics if a server
/// requires it.
async fn connect(servers: Vec<String>) -> Result<(Client, watch::Receiver<()>), MailboxError> {
    let (sender, reconnected) = watch::channel(());
    let options = ConnectOptions::new()
        .name("m2d")
        .connection_timeout(ANSWER)
        .event_callback(move |event| {
            if matches!(event, Event::Connected) {
                sender.send_replace(());
            }
            futures::future::ready(())
        });
    let connected = tokio::spawn(async move { options.connect(servers).await }).await;
    let client = connected
        .map_err(|_| MailboxError::Unavailable("the NATS server asks for TLS".to_owned()))?
        .map_err(|error| MailboxError::Unavailable(error.to_string()))?;
    Ok((client, reconnected))
}

/// Repeats a request until it is answered or `PATIENCE` has passed.
pub(super) async fn patiently<T, F, R>(request: F) -> Result<T, MailboxError>
where
    F: Fn() -> R,
    R: Future<Output = Result<T, String>>,
{
    let mut tries = Tries::new();
    loop {
        match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) => tries.pause(error).await?,
        }
    }
}

/// The pauses between the attempts at something that may succeed later.
pub(super) struct Tries {
    until: Instant,
    pause: Duration,
}

impl Tries {
    pub(super) fn new() -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            pause: Duration::from_millis(20),
        }
    }

    /// Waits before the next attempt.
    ///
    /// Errors: unavailable with `reason`, after [`PATIENCE`].
    pub(super) async fn pause(&mut self, reason: String) -> Result<(), MailboxError> {
        if Instant::now() >= self.until {
            return Err(MailboxError::Unavailable(reason));
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_secs(1));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_ignore_the_filter_are_refused() {
        for version in ["2.12.0", "2.15.1", "3.0.0-RC.1", "2.12.8-dev"] {
            assert!(check_version(version).is_ok(), "{version}");
        }
        for version in ["2.9.10", "2.11.17", "1.99.0", "", "2", "x.y"] {
            assert!(check_version(version).is_err(), "{version}");
        }
    }
}
