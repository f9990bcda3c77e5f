//! What tokens are used for, collected for a moment and then stored.

use super::Access;
use crate::driver::EngineHandle;
use m2_crypto::PeerId;
use m2_engine::{AccessRequest, Refusal};
use m2_store::TokenUseRow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long uses are collected. They are lost if the daemon is killed meanwhile.
const COLLECT: Duration = Duration::from_secs(1);
/// The most entries that wait to be stored. While the store can't be written, further ones are only counted.
const MAX_WAITING: usize = 4_096;
/// The token, the call and the contact of an entry.
type Key = (String, &'static str, Option<PeerId>);

/// The uses that are not stored yet.
#[derive(Debug, Default)]
pub struct Uses {
    waiting: Mutex<HashMap<Key, Sum>>,
    arrived: Notify,
}

#[derive(Debug, Clone, Copy)]
struct Sum {
    uses: u64,
    refused: u64,
    first_ms: u64,
    last_ms: u64,
}

/// A call with a token.
pub(super) struct Use<'a> {
    pub token: &'a str,
    pub call: &'static str,
    pub contact: Option<PeerId>,
    pub permitted: bool,
    pub now_ms: u64,
}

impl Uses {
    /// Adds a call.
    pub(super) fn add(&self, one: Use<'_>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (one.token.to_owned(), one.call, one.contact);
        if waiting.len() >= MAX_WAITING && !waiting.contains_key(&key) {
            return;
        }
        let sum = waiting.entry(key).or_insert(Sum {
            uses: 0,
            refused: 0,
            first_ms: one.now_ms,
            last_ms: one.now_ms,
        });
        let count = if one.permitted {
            &mut sum.uses
        } else {
            &mut sum.refused
        };
        *count = count.saturating_add(1);
        sum.last_ms = sum.last_ms.max(one.now_ms);
        self.arrived.notify_one();
    }

    /// Stores the uses that were added before the call.
    ///
    /// Errors: the store can't be written. The uses wait for the next attempt.
    pub async fn store(&self, engine: &EngineHandle) -> Result<(), Refusal> {
        let rows = self.take();
        if rows.is_empty() {
            return Ok(());
        }
        let request = rows.clone();
        let stored = engine
            .call(|reply| AccessRequest::Record(request, reply))
            .await;
        if stored.is_err() {
            self.put_back(rows);
        }
        stored
    }

    fn take(&self) -> Vec<TokenUseRow> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *waiting).into_iter();
        let rows = taken.map(|((token, call, peer_id), sum)| TokenUseRow {
            token,
            call: call.to_owned(),
            peer_id,
            uses: sum.uses,
            refused: sum.refused,
            first_ms: sum.first_ms,
            last_ms: sum.last_ms,
        });
        rows.collect()
    }

    fn put_back(&self, rows: Vec<TokenUseRow>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let Some(call) = m2_core::access::Call::named(&row.call) else {
                continue;
            };
            let sum = waiting
                .entry((row.token, call.name, row.peer_id))
                .or_insert(Sum {
                    uses: 0,
                    refused: 0,
                    first_ms: row.first_ms,
                    last_ms: row.last_ms,
                });
            sum.uses = sum.uses.saturating_add(row.uses);
            sum.refused = sum.refused.saturating_add(row.refused);
            sum.first_ms = sum.first_ms.min(row.first_ms);
            sum.last_ms = sum.last_ms.max(row.last_ms);
        }
    }
}

/// Stores uses until the daemon stops.
pub async fn store_uses(access: Arc<Access>, engine: EngineHandle, stop: CancellationToken) {
    let uses = &access.uses;
    while let Some(()) = stop.run_until_cancelled(uses.arrived.notified()).await {
        let _ = stop.run_until_cancelled(tokio::time::sleep(COLLECT)).await;
        if let Err(refusal) = uses.store(&engine).await {
            tracing::debug!(reason = %refusal.reason, "uses of tokens are not stored yet");
        }
    }
    let _ = uses.store(&engine).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: &str = "MessageService/SendMessage";

    fn one(token: &str, permitted: bool, now_ms: u64) -> Use<'_> {
        Use {
            token,
            call: SEND,
            contact: None,
            permitted,
            now_ms,
        }
    }

    #[test]
    fn calls_are_added_up_also_after_a_failure() {
        let uses = Uses::default();
        uses.add(one("bot", true, 5));
        uses.add(one("bot", false, 7));
        let rows = uses.take();
        assert!(uses.take().is_empty());
        uses.add(one("bot", true, 9));
        uses.put_back(rows);
        let rows = uses.take();
        let [row] = rows.as_slice() else {
            panic!("{rows:?}");
        };
        assert_eq!((row.uses, row.refused), (2, 1));
        assert_eq!((row.first_ms, row.last_ms), (5, 9));
    }

    #[test]
    fn what_waits_is_bounded() {
        let uses = Uses::default();
        for number in 0..MAX_WAITING + 9 {
            uses.add(one(&number.to_string(), true, 1));
        }
        uses.add(one("0", true, 2));
        let rows = uses.take();
        assert_eq!(rows.len(), MAX_WAITING);
        assert_eq!(rows.iter().map(|row| row.uses).sum::<u64>(), 4_097);
    }
}
