//! The arguments of `MessageService`: their limits, and what they are converted to.

use crate::api::convert;
use crate::api::pages::PAGE_BYTES;
use m2_delivery::{Content, MAX_REACTION};
use m2_engine::{NewMessage, Refusal};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::send_message_request::Content as ContentChoice;
use m2_proto::reason::Reason;
use m2_proto::wkt::Timestamp;
use m2_store::{MessageRowId, PageSize, Reader, Span, StoreError};
use pbjson_types::Duration;

const YEAR_MS: u64 = 365 * 86_400_000;
const MAX_KEY: usize = 128;
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 1_000;
const MAX_READ: usize = 256;
const MAX_SEARCH: usize = 1_024;

/// Converts a request to send a message.
pub(super) fn new_message(
    request: pb::SendMessageRequest,
    caller: String,
) -> Result<NewMessage, Refusal> {
    check_key(&request.idempotency_key)?;
    let ttl_s = ttl_s(request.ttl.as_ref())?;
    let content = content(request.content, &request.media_type)?;
    let reply_to = convert::optional_id(&request.reply_to)?;
    let thread = convert::optional_id(&request.thread)?;
    Ok(NewMessage {
        contact: request.contact,
        content: content.about(reply_to, thread),
        ttl_s,
        caller,
        key: request.idempotency_key,
    })
}

fn check_key(key: &str) -> Result<(), Refusal> {
    if key.len() > MAX_KEY {
        return Err(Refusal::argument(
            "idempotency_key",
            "128 bytes",
            "An idempotency key has at most 128 bytes. Use a shorter one.",
        ));
    }
    Ok(())
}

/// Returns the time until a message expires in seconds; 0 if it does not.
fn ttl_s(ttl: Option<&Duration>) -> Result<u32, Refusal> {
    let ttl_ms = match ttl {
        None => 0,
        Some(ttl) => convert::duration_ms(ttl, 1_000, YEAR_MS, "ttl", "1 s to 365 days")?,
    };
    Ok(u32::try_from(ttl_ms.div_ceil(1_000)).unwrap_or(u32::MAX))
}

fn content(content: Option<ContentChoice>, media_type: &str) -> Result<Content, Refusal> {
    match content {
        Some(ContentChoice::Text(text)) if media_type.is_empty() => {
            convert::content("", text.into_bytes())
        }
        Some(ContentChoice::Text(_)) => Err(Refusal::argument(
            "media_type",
            "only with data",
            "A text has no media type. Send the content as data to give it one.",
        )),
        Some(ContentChoice::Data(data)) if media_type.is_empty() => {
            convert::content("application/octet-stream", data)
        }
        Some(ContentChoice::Data(data)) => convert::data(media_type, data),
        None => Err(Refusal::argument(
            "content",
            "text or data",
            "The message has neither text nor data. Give one of them.",
        )),
    }
}

/// Returns the size of a page with at most `limit` messages, or of the default if that is 0.
pub(super) fn page_size(limit: u32) -> Result<PageSize, Refusal> {
    let rows = match limit {
        0 => DEFAULT_LIMIT,
        1..=MAX_LIMIT => limit,
        _ => {
            return Err(Refusal::argument(
                "limit",
                "1..1000",
                "The limit must be from 1 to 1,000.",
            ));
        }
    };
    Ok(PageSize {
        rows,
        bytes: PAGE_BYTES,
    })
}

/// Parses the row before which a page begins; an empty cursor is after all rows.
pub(super) fn parse_before(cursor: &str) -> Result<MessageRowId, Refusal> {
    if cursor.is_empty() {
        return Ok(MessageRowId::new(i64::MAX));
    }
    let parsed = cursor.parse().map(MessageRowId::new);
    parsed.map_err(|_| Refusal::new(Reason::CursorInvalid))
}

/// The part of a conversation that a request asks for.
pub(super) struct Bounds {
    rows: Span,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
}

impl Bounds {
    /// Parses the bounds of a request.
    pub(super) fn parse(request: &pb::ListMessagesRequest) -> Result<Self, Refusal> {
        let after = match request.after.as_str() {
            "" => MessageRowId::default(),
            cursor => parse_before(cursor)?,
        };
        let ms = |time: &Option<Timestamp>| time.as_ref().map(Timestamp::unix_millis);
        Ok(Self {
            rows: Span {
                after,
                before: parse_before(&request.before)?,
                is_forward: request.forward,
            },
            since_ms: ms(&request.since),
            until_ms: ms(&request.until),
        })
    }

    /// Returns the rows between the bounds.
    pub(super) fn span(&self, reader: &Reader) -> Result<Span, StoreError> {
        let mut span = self.rows;
        if let Some(since) = self.since_ms {
            let first = reader.first_row_since(since)?.number();
            span.after = span.after.max(MessageRowId::new(first.saturating_sub(1)));
        }
        if let Some(until) = self.until_ms {
            span.before = span.before.min(reader.first_row_since(until)?);
        }
        Ok(span)
    }
}

/// Returns the text of a search, if it is short enough.
pub(super) fn search_text(text: String) -> Result<String, Refusal> {
    if text.len() > MAX_SEARCH {
        return Err(Refusal::argument(
            "text",
            "1024 bytes",
            "The search text is longer than 1,024 bytes. Search for fewer words.",
        ));
    }
    Ok(text)
}

/// Parses the ids of messages that are marked as read.
pub(super) fn read_ids(texts: &[String]) -> Result<Vec<[u8; 16]>, Refusal> {
    if texts.is_empty() || texts.len() > MAX_READ {
        return Err(Refusal::argument(
            "message_ids",
            "1..256",
            "One call marks 1 to 256 messages. Split them over several calls.",
        ));
    }
    let ids = texts.iter().map(|text| convert::message_id(text));
    ids.collect()
}

/// Returns the text of a reaction, if it is short enough.
pub(super) fn reaction(text: String) -> Result<String, Refusal> {
    if text.len() > MAX_REACTION {
        return Err(Refusal::argument(
            "text",
            "64 bytes",
            "A reaction has at most 64 bytes. Use an emoji or a shorter text.",
        ));
    }
    Ok(text)
}
