//! Requests to the cluster. Each is repeated while the cluster does not answer, for example during
//! the election of a leader, so each must be idempotent.

use super::subjects::Subjects;
use super::{JetStreamOptions, PARALLEL};
use crate::store::{KEPT_MS, Limits, MailboxError};
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{
    Config, DeleteMessageErrorKind, DirectGetErrorKind, DiscardPolicy, LastRawMessageErrorKind,
    Stream,
};
use async_nats::jetstream::{self, Context, ErrorCode, context::ContextBuilder};
use async_nats::{Client, ConnectOptions, Event};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::error::Error;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The timeout of one request.
const ANSWER: Duration = Duration::from_secs(2);

/// How long a request is repeated before it fails as unavailable.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long letters outlive their hour, so that the purge overwrites them before the engine drops
/// them.
const GRACE: Duration = Duration::from_secs(2 * 60 * 60);

/// The connection and the two streams.
pub(super) struct Cluster {
    client: Client,
    context: Context,
    pub(super) letters: Kept,
    pub(super) tokens: Kept,
    reconnected: watch::Receiver<()>,
}

/// A stream.
pub(super) struct Kept {
    stream: Stream<()>,
}

/// The result of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    /// The message is stored under this sequence number.
    At(u64),
    /// The last message of the subject is not the expected one.
    Outrun,
    /// The stream or the disk is full.
    NoRoom,
}

impl Cluster {
    pub(super) async fn connect(
        options: &JetStreamOptions,
        subjects: &Subjects,
        limits: &Limits,
    ) -> Result<Self, MailboxError> {
        let (client, reconnected) = connect(options.servers.clone()).await?;
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .backpressure_on_inflight(true)
            .build(client.clone());
        let letters = letters_config(options, subjects, limits);
        let tokens = tokens_config(options, subjects);
        Ok(Self {
            letters: Kept::make(&context, letters).await?,
            tokens: Kept::make(&context, tokens).await?,
            client,
            context,
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

    /// Publishes if the last message of the subject has the number `expected`; 0 means that the
    /// subject has no message.
    pub(super) async fn publish(
        &self,
        subject: &str,
        payload: Bytes,
        expected: u64,
    ) -> Result<Published, MailboxError> {
        patiently(|| async {
            let message = PublishMessage::build()
                .payload(payload.clone())
                .expected_last_subject_sequence(expected);
            let sent = self.context.send_publish(subject.to_owned(), message).await;
            let acknowledged = match sent {
                Ok(acknowledgement) => acknowledgement.await,
                Err(error) => Err(error),
            };
            match acknowledged {
                Ok(acknowledgement) => Ok(Published::At(acknowledgement.sequence)),
                Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => {
                    Ok(Published::Outrun)
                }
                Err(error) if is_full(&error) => Ok(Published::NoRoom),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }
}

impl Kept {
    async fn make(context: &Context, config: Config) -> Result<Self, MailboxError> {
        patiently(|| async {
            let made = context.create_or_update_stream(config.clone()).await;
            made.map_err(|error| error.to_string())
        })
        .await?;
        patiently(|| async {
            let stream = context.get_stream_no_info(&config.name).await;
            stream.map_err(|error| error.to_string())
        })
        .await
        .map(|stream| Self { stream })
    }

    /// Returns the last message of a subject, as the leader has it.
    pub(super) async fn last(&self, subject: &str) -> Result<Option<StreamMessage>, MailboxError> {
        patiently(|| async {
            let request = self.stream.raw_message_builder().last_by_subject(subject);
            optional(request.send().await)
        })
        .await
    }

    /// Returns the first message of a subject from number `from` on, as the leader has it.
    pub(super) async fn next(
        &self,
        subject: &str,
        from: u64,
    ) -> Result<Option<StreamMessage>, MailboxError> {
        patiently(|| async {
            let request = self.stream.raw_message_builder().sequence(from);
            optional(request.next_by_subject(subject).send().await)
        })
        .await
    }

    /// Returns the last message of a subject as any node has it; if that node has none, as the
    /// leader has it.
    pub(super) async fn read(&self, subject: &str) -> Result<Option<StreamMessage>, MailboxError> {
        let found = patiently(|| async {
            match self.stream.direct_get_last_for_subject(subject).await {
                Ok(message) => Ok(Some(message)),
                Err(error) if error.kind() == DirectGetErrorKind::NotFound => Ok(None),
                Err(error) => Err(error.to_string()),
            }
        });
        match found.await? {
            Some(message) => Ok(Some(message)),
            None => self.last(subject).await,
        }
    }

    /// Returns all subjects that match `filter`.
    pub(super) async fn list(&self, filter: String) -> Result<Vec<String>, MailboxError> {
        patiently(|| async {
            let info = self.stream.info_with_subjects(&filter).await;
            let info = info.map_err(|error| error.to_string())?;
            let names = info.map_ok(|(subject, _)| subject.to_string());
            names.try_collect().await.map_err(|error| error.to_string())
        })
        .await
    }

    /// Overwrites and deletes one message. A missing message is ignored.
    pub(super) async fn erase(&self, sequence: u64) -> Result<(), MailboxError> {
        patiently(|| async {
            match self.stream.delete_message(sequence).await {
                Ok(_) => Ok(()),
                Err(error) => match error.kind() {
                    DeleteMessageErrorKind::JetStream(error) if is_gone(&error) => Ok(()),
                    _ => Err(error.to_string()),
                },
            }
        })
        .await
    }

    /// Erases all messages of a subject, oldest first.
    pub(super) async fn erase_subject(&self, subject: &str) -> Result<(), MailboxError> {
        while let Some(message) = self.next(subject, 1).await? {
            self.erase(message.sequence).await?;
        }
        Ok(())
    }

    /// Erases all messages whose subjects match `filter`.
    pub(super) async fn erase_all(&self, filter: String) -> Result<(), MailboxError> {
        let subjects = self.list(filter).await?;
        let erase = |subject: String| async move { self.erase_subject(&subject).await };
        let erased = stream::iter(subjects).map(erase).buffer_unordered(PARALLEL);
        erased.try_collect().await
    }

    /// Returns the number of messages, and their bytes including the engine's overhead.
    pub(super) async fn size(&self) -> Result<(u64, u64), MailboxError> {
        patiently(|| async {
            let info = self.stream.get_info().await;
            let info = info.map_err(|error| error.to_string())?;
            Ok((info.state.messages, info.state.bytes))
        })
        .await
    }
}

fn letters_config(options: &JetStreamOptions, subjects: &Subjects, limits: &Limits) -> Config {
    Config {
        name: subjects.letters_stream(),
        subjects: vec![subjects.all_letters()],
        max_bytes: i64::try_from(limits.bytes).unwrap_or(i64::MAX),
        max_messages_per_subject: 1,
        max_age: Duration::from_millis(KEPT_MS) + GRACE,
        ..common(options)
    }
}

/// Allows more than one message for each subject: a token and the claims on it; see `deposit`.
fn tokens_config(options: &JetStreamOptions, subjects: &Subjects) -> Config {
    Config {
        name: subjects.tokens_stream(),
        subjects: vec![subjects.all_tokens(), subjects.all_boxes()],
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
async fn patiently<T, F, R>(request: F) -> Result<T, MailboxError>
where
    F: Fn() -> R,
    R: Future<Output = Result<T, String>>,
{
    let until = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(20);
    loop {
        match request().await {
            Ok(answer) => return Ok(answer),
            Err(error) if Instant::now() >= until => return Err(MailboxError::Unavailable(error)),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

fn optional(
    answer: Result<StreamMessage, async_nats::error::Error<LastRawMessageErrorKind>>,
) -> Result<Option<StreamMessage>, String> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn is_full(error: &PublishError) -> bool {
    let source = error
        .source()
        .and_then(|s| s.downcast_ref::<jetstream::Error>());
    source.is_some_and(|error| {
        [
            ErrorCode::STREAM_STORE_FAILED,
            ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
            ErrorCode::STORAGE_RESOURCES_EXCEEDED,
            ErrorCode::INSUFFICIENT_RESOURCES,
        ]
        .contains(&error.error_code())
    })
}

fn is_gone(error: &jetstream::Error) -> bool {
    [ErrorCode::SEQUENCE_NOT_FOUND, ErrorCode::NO_MESSAGE_FOUND].contains(&error.error_code())
        // Version 2.9 wraps the error of the file store.
        || error.error_code() == ErrorCode::STREAM_MESSAGE_DELETE_FAILED
}
