//! A front end's caches of fill levels and of letters that were read, so that not every call asks
//! the cluster. They can be dropped at any time.

use super::record::Seen;
use super::subjects::LetterSubject;
use crate::store::Limits;
use m2_crypto::PeerId;
use m2_crypto::deposit::DepositNonce;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a count is trusted without checking: notices of other front ends may be lost.
const BELIEVED: Duration = Duration::from_secs(60);

/// How long the count of the whole store's bytes is trusted.
const ROOM_BELIEVED: Duration = Duration::from_secs(1);

/// The maximum numbers of cached boxes and letters. When one is reached, that cache is cleared.
const MOST_BOXES: usize = 50_000;
const MOST_LETTERS: usize = 200_000;

/// The engine's overhead for a letter in bytes, at most: its subject, its headers and the record of
/// the file.
const OVERHEAD: u64 = 512;

/// Locks, so that a box that several calls need is counted once. Boxes share them by the first byte
/// of the peer id.
const COUNTERS: usize = 64;

/// The fill levels of boxes, and the letters that were read.
pub(super) struct Fills {
    boxes: Mutex<HashMap<PeerId, Fill>>,
    seen: Mutex<HashMap<(PeerId, DepositNonce), Seen>>,
    room: Mutex<Option<Room>>,
    counters: [tokio::sync::Mutex<()>; COUNTERS],
    room_counter: tokio::sync::Mutex<()>,
}

/// The fill level of a box.
#[derive(Debug, Clone, Copy)]
struct Fill {
    letters: u64,
    bytes: u64,
    marks: u64,
    counted: Instant,
}

/// The bytes of the whole store.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: u64,
    counted: Instant,
}

/// The result of a reservation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserved {
    /// The letter is counted.
    Fits,
    Full,
    /// The count must be made first.
    Unknown,
}

impl Fills {
    pub(super) fn new() -> Self {
        Self {
            boxes: Mutex::default(),
            seen: Mutex::default(),
            room: Mutex::default(),
            counters: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            room_counter: tokio::sync::Mutex::default(),
        }
    }

    /// Waits for the right to count a box.
    pub(super) async fn counter(&self, owner: &PeerId) -> tokio::sync::MutexGuard<'_, ()> {
        let [first, ..] = owner.as_bytes();
        let [counter, ..] = &self.counters;
        let counter = self
            .counters
            .get(usize::from(*first) % COUNTERS)
            .unwrap_or(counter);
        counter.lock().await
    }

    /// Waits for the right to count the whole store.
    pub(super) async fn room_counter(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.room_counter.lock().await
    }

    /// Counts a letter of `size` bytes in its box, if it fits. Each letter may leave a mark, so
    /// letters and marks count together against the bound of marks.
    pub(super) fn reserve(&self, owner: &PeerId, size: u64, limits: &Limits) -> Reserved {
        let mut boxes = lock(&self.boxes);
        let Some(fill) = boxes.get_mut(owner).filter(|fill| is_fresh(fill)) else {
            return Reserved::Unknown;
        };
        let fits = fill.letters < limits.box_letters
            && fill.letters.saturating_add(fill.marks) < limits.box_spent
            && fill.bytes.saturating_add(size) <= limits.box_bytes;
        if !fits {
            return Reserved::Full;
        }
        fill.add(size);
        Reserved::Fits
    }

    /// Uncounts a letter that was not stored.
    pub(super) fn release(&self, owner: &PeerId, size: u64) {
        if let Some(fill) = lock(&self.boxes).get_mut(owner) {
            fill.subtract(1, size);
        }
    }

    /// Counts a letter that another front end stored.
    pub(super) fn add(&self, owner: &PeerId, size: u64) {
        if let Some(fill) = lock(&self.boxes).get_mut(owner) {
            fill.add(size);
        }
    }

    /// Counts letters that were replaced by marks, here or at another front end.
    pub(super) fn take(&self, owner: &PeerId, letters: u64, bytes: u64) {
        if let Some(fill) = lock(&self.boxes).get_mut(owner) {
            fill.subtract(letters, bytes);
            fill.marks = fill.marks.saturating_add(letters);
        }
    }

    /// Sets the counts of a box.
    pub(super) fn set(&self, owner: PeerId, letters: &[LetterSubject], marks: u64) {
        let fill = Fill {
            letters: letters.len() as u64,
            bytes: letters.iter().map(|letter| letter.size as u64).sum(),
            marks,
            counted: Instant::now(),
        };
        put(&mut lock(&self.boxes), owner, fill, MOST_BOXES);
    }

    pub(super) fn forget(&self, owner: &PeerId) {
        lock(&self.boxes).remove(owner);
    }

    pub(super) fn forget_all(&self) {
        lock(&self.boxes).clear();
    }

    /// Counts a letter of `size` bytes in the whole store, if it fits.
    pub(super) fn reserve_room(&self, size: u64, limits: &Limits) -> Reserved {
        let mut room = lock(&self.room);
        let is_fresh = |room: &&mut Room| room.counted.elapsed() < ROOM_BELIEVED;
        let Some(room) = room.as_mut().filter(is_fresh) else {
            return Reserved::Unknown;
        };
        let bytes = room.bytes.saturating_add(size).saturating_add(OVERHEAD);
        if bytes > limits.bytes {
            return Reserved::Full;
        }
        room.bytes = bytes;
        Reserved::Fits
    }

    pub(super) fn set_room(&self, bytes: u64) {
        *lock(&self.room) = Some(Room {
            bytes,
            counted: Instant::now(),
        });
    }

    pub(super) fn remember(&self, owner: PeerId, nonce: DepositNonce, seen: Seen) {
        put(&mut lock(&self.seen), (owner, nonce), seen, MOST_LETTERS);
    }

    /// Returns what is known of a letter that is about to be taken, and removes it from the cache.
    pub(super) fn recall(&self, owner: &PeerId, nonce: &DepositNonce) -> Option<Seen> {
        lock(&self.seen).remove(&(*owner, *nonce))
    }
}

impl Fill {
    fn add(&mut self, size: u64) {
        self.letters = self.letters.saturating_add(1);
        self.bytes = self.bytes.saturating_add(size);
    }

    fn subtract(&mut self, letters: u64, bytes: u64) {
        self.letters = self.letters.saturating_sub(letters);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

fn is_fresh(fill: &Fill) -> bool {
    fill.counted.elapsed() < BELIEVED
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put<K: Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, value: V, most: usize) {
    if map.len() >= most {
        map.clear();
    }
    map.insert(key, value);
}
