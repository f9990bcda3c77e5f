//! Requests to one stream. Each is repeated while the cluster does not answer, for example during
//! the election of a leader, so each must be idempotent.

use super::PARALLEL;
use super::cluster::patiently;
use crate::store::MailboxError;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{Config, DirectGetErrorKind, LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{self, Context, ErrorCode};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::error::Error;

/// The header that names the filter of a conditional write.
const CONDITION: &str = "Nats-Expected-Last-Subject-Sequence-Subject";

/// The header with the lifetime of one message, in seconds.
const LIFETIME: &str = "Nats-TTL";

/// A position that no list of subjects reaches: the answer has the number of subjects and none of
/// them.
const BEYOND: u64 = u32::MAX as u64;

/// Parts of the server's texts for a message that was deleted, or that was never there.
const ABSENT: [&str; 2] = ["no message found", "stream store EOF"];

/// A stream.
pub(super) struct Kept {
    context: Context,
    stream: Stream<()>,
    name: String,
}

/// The result of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Published {
    /// The message is stored under this sequence number.
    At(u64),
    /// The last message that matches the condition is not the expected one, or another publication
    /// under the same condition is not finished yet.
    Outrun,
    /// The stream or the disk is full.
    NoRoom,
}

/// How a message is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Erasure {
    /// The server writes the block of the file that holds the message again, with random bytes in
    /// its place.
    Overwrite,
    /// The message remains in the file until the server compacts the block.
    Delete,
}

/// A message that is written only if the last message that matches `condition` has the number
/// `last`; 0 means that none matches.
pub(super) struct Conditional {
    pub(super) subject: String,
    pub(super) payload: Bytes,
    pub(super) condition: String,
    pub(super) last: u64,
    /// The lifetime of the message in seconds, if it is shorter than that of the stream.
    pub(super) lifetime_s: Option<u64>,
}

impl Conditional {
    fn message(&self) -> PublishMessage {
        let message = PublishMessage::build()
            .payload(self.payload.clone())
            .expected_last_subject_sequence(self.last);
        let message = match self.condition == self.subject {
            true => message,
            false => message.header(CONDITION, self.condition.as_str()),
        };
        match self.lifetime_s {
            Some(seconds) => message.header(LIFETIME, seconds.to_string()),
            None => message,
        }
    }
}

impl Kept {
    pub(super) async fn make(context: &Context, config: Config) -> Result<Self, MailboxError> {
        patiently(|| async {
            let made = context.create_or_update_stream(config.clone()).await;
            made.map_err(|error| error.to_string())
        })
        .await?;
        let stream = patiently(|| async {
            let stream = context.get_stream_no_info(&config.name).await;
            stream.map_err(|error| error.to_string())
        });
        Ok(Self {
            stream: stream.await?,
            context: context.clone(),
            name: config.name,
        })
    }

    pub(super) async fn publish(&self, message: &Conditional) -> Result<Published, MailboxError> {
        patiently(|| async {
            let sent = self
                .context
                .send_publish(message.subject.clone(), message.message());
            let acknowledged = match sent.await {
                Ok(acknowledgement) => acknowledgement.await,
                Err(error) => Err(error),
            };
            match acknowledged {
                Ok(acknowledgement) => Ok(Published::At(acknowledgement.sequence)),
                Err(error) if is_outrun(&error) => Ok(Published::Outrun),
                Err(error) if is_full(&error) => Ok(Published::NoRoom),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
    }

    /// Returns the last message that matches `filter`, as the leader has it.
    pub(super) async fn last(&self, filter: &str) -> Result<Option<StreamMessage>, MailboxError> {
        patiently(|| async {
            let request = self.stream.raw_message_builder().last_by_subject(filter);
            optional(request.send().await)
        })
        .await
    }

    /// Returns the first message that matches `filter` from number `from` on, as the leader has it.
    pub(super) async fn next(
        &self,
        filter: &str,
        from: u64,
    ) -> Result<Option<StreamMessage>, MailboxError> {
        patiently(|| async {
            let request = self.stream.raw_message_builder().sequence(from);
            optional(request.next_by_subject(filter).send().await)
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

    /// Returns the number of subjects that match `filter`.
    pub(super) async fn count(&self, filter: &str) -> Result<u64, MailboxError> {
        let asked = json!({ "subjects_filter": filter, "offset": BEYOND });
        let info = self.ask("STREAM.INFO", &asked).await?;
        Ok(info.get("total").and_then(Value::as_u64).unwrap_or(0))
    }

    /// Returns the bytes of all messages, including the engine's overhead.
    pub(super) async fn bytes(&self) -> Result<u64, MailboxError> {
        let info = self.ask("STREAM.INFO", &json!({})).await?;
        let bytes = info.pointer("/state/bytes").and_then(Value::as_u64);
        bytes.ok_or_else(|| MailboxError::Unavailable("no state of the stream".to_owned()))
    }

    /// Deletes one message. A missing message is ignored.
    pub(super) async fn erase(&self, sequence: u64, how: Erasure) -> Result<(), MailboxError> {
        let asked = json!({ "seq": sequence, "no_erase": how == Erasure::Delete });
        self.ask("STREAM.MSG.DELETE", &asked).await.map(|_| ())
    }

    /// Deletes all messages of a subject before number `end`, oldest first.
    pub(super) async fn erase_subject(
        &self,
        subject: &str,
        end: u64,
        how: Erasure,
    ) -> Result<(), MailboxError> {
        while let Some(message) = self.next(subject, 1).await?
            && message.sequence < end
        {
            self.erase(message.sequence, how).await?;
        }
        Ok(())
    }

    /// Deletes all messages whose subjects match `filter`.
    pub(super) async fn erase_all(
        &self,
        filter: String,
        how: impl Fn() -> Erasure,
    ) -> Result<(), MailboxError> {
        let subjects = self.list(filter).await?;
        let erase = |subject: String| {
            let how = how();
            async move { self.erase_subject(&subject, u64::MAX, how).await }
        };
        let erased = stream::iter(subjects).map(erase).buffer_unordered(PARALLEL);
        erased.try_collect().await
    }

    /// Sends a request of the engine's interface about this stream. An answer that the message does
    /// not exist is an empty one.
    async fn ask(&self, request: &str, body: &Value) -> Result<Value, MailboxError> {
        let subject = format!("{request}.{}", self.name);
        patiently(|| async {
            match self.context.request(subject.clone(), body).await {
                Ok(Response::Ok(answer)) => Ok(answer),
                Ok(Response::Err { error }) if is_gone(&error) => Ok(Value::Null),
                Ok(Response::Err { error }) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await
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

fn is_outrun(error: &PublishError) -> bool {
    error.kind() == PublishErrorKind::WrongLastSequence
        || code(error) == Some(ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT)
}

fn is_full(error: &PublishError) -> bool {
    code(error).is_some_and(|code| {
        [
            ErrorCode::STREAM_STORE_FAILED,
            ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
            ErrorCode::STORAGE_RESOURCES_EXCEEDED,
            ErrorCode::INSUFFICIENT_RESOURCES,
        ]
        .contains(&code)
    })
}

fn code(error: &PublishError) -> Option<ErrorCode> {
    let source = error
        .source()
        .and_then(|source| source.downcast_ref::<jetstream::Error>());
    source.map(jetstream::Error::error_code)
}

fn is_gone(error: &jetstream::Error) -> bool {
    match error.error_code() {
        ErrorCode::SEQUENCE_NOT_FOUND | ErrorCode::NO_MESSAGE_FOUND => true,
        // The text is that of the file store, which has other reasons, too.
        ErrorCode::STREAM_MESSAGE_DELETE_FAILED => {
            let text = error.to_string();
            ABSENT.iter().any(|absent| text.contains(absent))
        }
        _ => false,
    }
}
