//! Session keys of calls that got no answer.
//!
//! A key takes some 45 ms of processor time, and who is offline is called again and again. No
//! session came of such a call, so its key is still fresh; it serves the next call to the same
//! peer, and nobody else. It was seen by nobody but who knows that peer's id.

use m2_crypto::PeerId;
use m2_crypto::session_key::SessionKeyPair;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Peers of whom keys are kept.
const MAX_PEERS: usize = 1_024;
/// Keys of one peer: it may be called at several addresses at once.
const MAX_KEYS: usize = 4;
/// How long a key is kept after it was made known.
const KEPT: Duration = Duration::from_secs(86_400);

/// Keys that were kept.
#[derive(Default)]
pub(super) struct KeptKeys(Mutex<HashMap<PeerId, Kept>>);

struct Kept {
    keys: Vec<SessionKeyPair>,
    since: Instant,
}

impl KeptKeys {
    /// A key that was used to call this peer in vain.
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

    /// Keeps a key, if there is room.
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

    /// Returns how many keys are kept.
    pub(super) fn len(&self) -> usize {
        self.all().values().map(|kept| kept.keys.len()).sum()
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.all().clear();
    }

    fn all(&self) -> MutexGuard<'_, HashMap<PeerId, Kept>> {
        // Nothing is ever half done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for KeptKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeptKeys(..)")
    }
}
