//! Session keys of unanswered dials.
//!
//! Generating a key takes some 45 ms of processor time, and a peer that is offline is dialled again
//! and again. An unanswered dial leads to no session, so its key is still fresh; it is kept for the
//! next dial of the same peer, and used for no other. Only parties that know that peer's id can
//! have seen it.

use m2_crypto::PeerId;
use m2_crypto::session_key::SessionKeyPair;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The number of peers for which keys are kept.
const MAX_PEERS: usize = 1_024;
/// The number of keys kept for one peer: it may be dialled at several addresses at once.
const MAX_KEYS: usize = 4;
/// How long the keys of a peer are kept, counted from the first of them.
const KEPT: Duration = Duration::from_secs(86_400);

/// The kept keys of all peers.
#[derive(Default)]
pub(super) struct KeptKeys(Mutex<HashMap<PeerId, Kept>>);

struct Kept {
    keys: Vec<SessionKeyPair>,
    since: Instant,
}

impl KeptKeys {
    /// Removes and returns a key from an unanswered dial of this peer.
    pub(super) fn take(&self, peer: &PeerId) -> Option<SessionKeyPair> {
        let mut all = self.all();
        let kept = all.get_mut(peer)?;
        let key = if kept.since.elapsed() < KEPT {
            kept.keys.pop()
        } else {
            None
        };
        if key.is_none() {
            all.remove(peer);
        }
        key
    }

    /// Keeps a key if there is room.
    pub(super) fn put(&self, peer: PeerId, key: SessionKeyPair) {
        let mut all = self.all();
        if all.len() >= MAX_PEERS && !all.contains_key(&peer) {
            return;
        }
        let kept = all.entry(peer).or_insert_with(|| Kept {
            keys: Vec::new(),
            since: Instant::now(),
        });
        if kept.keys.len() < MAX_KEYS {
            kept.keys.push(key);
        }
    }

    /// Returns the number of kept keys.
    pub(super) fn len(&self) -> usize {
        self.all().values().map(|kept| kept.keys.len()).sum()
    }

    /// Drops all keys.
    pub(super) fn clear(&self) {
        self.all().clear();
    }

    fn all(&self) -> MutexGuard<'_, HashMap<PeerId, Kept>> {
        // No update under this lock can be interrupted halfway, so a poisoned lock is still
        // consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeptKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptKeys(..)")
    }
}
