//! The arguments of the calls about events of shared names that were not handled.

use crate::api::convert;
use crate::api::pages::PAGE_BYTES;
use m2_engine::{LetterAction, Refusal};
use m2_proto::api::v1 as pb;
use m2_proto::reason::Reason;
use m2_store::{DeadLetterRow, PageSize};

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 1_000;
const MAX_SETTLED: usize = 1_000;
const MAX_REASON: usize = 256;
const MAX_DELAY_MS: u64 = 12 * 3_600_000;

/// An event that a worker returns.
pub(super) struct Nack {
    pub(super) incarnation: u64,
    pub(super) seq: i64,
    pub(super) delay_ms: u64,
    pub(super) why: String,
}

impl Nack {
    /// Parses a request.
    pub(super) fn parse(request: &pb::NackEventRequest) -> Result<Self, Refusal> {
        let (incarnation, seq) = convert::parse_cursor(&request.cursor)?;
        let delay = request.delay.as_ref();
        let delay = delay
            .map(|delay| convert::duration_ms(delay, 0, MAX_DELAY_MS, "delay", "0 to 12 hours"));
        if request.reason.len() > MAX_REASON {
            return Err(Refusal::argument(
                "reason",
                "256 bytes",
                "The reason has at most 256 bytes. Give a shorter one.",
            ));
        }
        Ok(Self {
            incarnation,
            seq,
            delay_ms: delay.transpose()?.unwrap_or(0),
            why: request.reason.clone(),
        })
    }
}

/// Returns the size of a page of dead letters.
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

/// Returns the number of the event after which a page begins.
pub(super) fn page_start(after: &str, incarnation: u64) -> Result<i64, Refusal> {
    if after.is_empty() {
        return Ok(i64::MIN);
    }
    match convert::parse_cursor(after)? {
        (log, seq) if log == incarnation => Ok(seq),
        _ => Err(Refusal::new(Reason::CursorInvalid)),
    }
}

/// Parses the cursors of dead letters, and what is done with them.
pub(super) fn settled(
    request: &pb::SettleDeadLettersRequest,
) -> Result<(Vec<(u64, i64)>, LetterAction), Refusal> {
    if request.cursors.len() > MAX_SETTLED {
        return Err(Refusal::argument(
            "cursors",
            "1000",
            "One call settles at most 1,000 dead letters. Leave cursors empty for all.",
        ));
    }
    let action = match convert::known("action", request.action)? {
        pb::DeadLetterAction::Retry => LetterAction::Retry,
        pb::DeadLetterAction::Drop => LetterAction::Drop,
        pb::DeadLetterAction::Unspecified => {
            return Err(Refusal::argument(
                "action",
                "RETRY or DROP",
                "The request does not say what to do with the dead letters. Set action.",
            ));
        }
    };
    let cursors = request.cursors.iter();
    let cursors = cursors.map(|cursor| convert::parse_cursor(cursor));
    Ok((cursors.collect::<Result<_, _>>()?, action))
}

/// Converts a dead letter.
pub(super) fn letter(row: DeadLetterRow, incarnation: u64) -> pb::DeadLetter {
    pb::DeadLetter {
        cursor: convert::cursor(incarnation, row.seq),
        event: row.event.map(|event| convert::event(event, incarnation)),
        deliveries: row.deliveries,
        since: Some(convert::timestamp(row.since_ms)),
        reason: row.reason,
    }
}
