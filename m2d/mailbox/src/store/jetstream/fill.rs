//! A front end's cache of boxes, so that not every call asks the cluster. It can be dropped at any
//! time.

use super::subjects::LetterSubject;
use crate::store::LetterId;
use m2_crypto::PeerId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a count is trusted without checking: notices of other front ends may be lost.
const BELIEVED: Duration = Duration::from_secs(60);

/// The maximum numbers of cached boxes and letters. When one is reached, that cache is cleared.
const MOST_BOXES: usize = 50_000;
const MOST_LETTERS: usize = 200_000;

/// The fill levels of boxes, and the positions in the stream of letters that were read.
#[derive(Default)]
pub(super) struct Fills {
    boxes: Mutex<HashMap<PeerId, Fill>>,
    sequences: Mutex<HashMap<(PeerId, LetterId), u64>>,
}

/// The fill level of a box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fill {
    pub(super) letters: u64,
    pub(super) bytes: u64,
    counted: Instant,
}

impl Fills {
    pub(super) fn get(&self, owner: &PeerId) -> Option<Fill> {
        let fill = lock(&self.boxes).get(owner).copied();
        fill.filter(|fill| fill.counted.elapsed() < BELIEVED)
    }

    /// Sets the counts from a list of all letters.
    pub(super) fn count(&self, owner: PeerId, letters: &[LetterSubject]) {
        let fill = Fill {
            letters: letters.len() as u64,
            bytes: letters.iter().map(|letter| letter.size as u64).sum(),
            counted: Instant::now(),
        };
        put(&mut lock(&self.boxes), owner, fill, MOST_BOXES);
    }

    /// Counts a letter that this or another front end stored.
    pub(super) fn add(&self, owner: &PeerId, bytes: u64) {
        if let Some(fill) = lock(&self.boxes).get_mut(owner) {
            fill.letters += 1;
            fill.bytes += bytes;
        }
    }

    pub(super) fn forget(&self, owner: &PeerId) {
        lock(&self.boxes).remove(owner);
    }

    pub(super) fn forget_all(&self) {
        lock(&self.boxes).clear();
    }

    pub(super) fn remember(&self, owner: PeerId, id: LetterId, sequence: u64) {
        put(
            &mut lock(&self.sequences),
            (owner, id),
            sequence,
            MOST_LETTERS,
        );
    }

    /// Returns the position of a letter that is about to be deleted, and removes it from the cache.
    pub(super) fn recall(&self, owner: &PeerId, id: &LetterId) -> Option<u64> {
        lock(&self.sequences).remove(&(*owner, *id))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, value: V, most: usize) {
    if map.len() >= most {
        map.clear();
    }
    map.insert(key, value);
}
