//! Protects against replayed first packets: the original destination ids of accepted connection
//! attempts are remembered for 3 days
//! (docs/spec/obfuscation.md#calls-that-were-accepted-are-remembered).
//!
//! [`ReplayGuard`] is sans-IO. A [`ReplayLog`] makes its memory outlive the process;
//! [`ReplayFile`](crate::replay_file::ReplayFile) is one.

use m2_crypto::{Secret, label};
use std::collections::{HashSet, VecDeque};
use std::io;

/// How long an accepted attempt is remembered, in seconds. A first packet opens on the day on which
/// it was made, the day before and the day after, so nothing older can be replayed.
pub const REMEMBERED_S: u64 = 3 * 86_400;

/// The default number of remembered attempts; the oldest are evicted first.
pub const DEFAULT_CAPACITY: usize = 1 << 17;

/// A remembered attempt: a keyed hash of its id, and when it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayRecord {
    /// The truncated HMAC of the id, so that the log does not reveal which ids were used.
    pub tag: [u8; 16],
    /// When the attempt was accepted, Unix time in seconds.
    pub seen_s: u64,
}

/// A log to which accepted attempts are written before they are answered.
pub trait ReplayLog: Send {
    /// Returns the key of the tags, and the stored records.
    fn load(&mut self) -> io::Result<(Secret<32>, Vec<ReplayRecord>)>;

    /// Adds a record. After it returns, the record must survive a kill of the process; if it fails,
    /// the earlier records must still be there.
    fn append(&mut self, record: &ReplayRecord) -> io::Result<()>;

    /// Makes the appended records survive a power loss. Called periodically and at the end.
    fn sync(&mut self) -> io::Result<()>;

    /// Replaces all records by `live`, if the log has grown enough to be worth it.
    fn compact(&mut self, live: &mut dyn ExactSizeIterator<Item = ReplayRecord>) -> io::Result<()>;
}

/// The memory of accepted attempts.
#[derive(Debug)]
pub struct ReplayGuard {
    key: Secret<32>,
    capacity: usize,
    tags: HashSet<[u8; 16]>,
    /// Oldest first.
    order: VecDeque<ReplayRecord>,
}

impl ReplayGuard {
    /// Creates a guard that remembers `records` and at most `capacity` attempts.
    pub fn new(
        key: Secret<32>,
        records: impl IntoIterator<Item = ReplayRecord>,
        capacity: usize,
        now_s: u64,
    ) -> Self {
        let mut guard = Self {
            key,
            capacity: capacity.max(1),
            tags: HashSet::new(),
            order: VecDeque::new(),
        };
        for record in records {
            guard.insert(record);
        }
        guard.forget_old(now_s);
        guard
    }

    /// Returns whether an attempt with this original destination id was accepted before.
    pub fn is_repeat(&self, original_id: &[u8]) -> bool {
        self.tags.contains(&self.tag(original_id))
    }

    /// Records an attempt that is about to be accepted. Returns the record to write to the log, or
    /// `None` if the attempt is a replay and must be ignored.
    pub fn check_and_insert(&mut self, original_id: &[u8], now_s: u64) -> Option<ReplayRecord> {
        self.forget_old(now_s);
        let record = ReplayRecord {
            tag: self.tag(original_id),
            seen_s: now_s,
        };
        self.insert(record).then_some(record)
    }

    /// Removes an attempt that was just recorded and is not answered after all.
    pub fn withdraw(&mut self, record: &ReplayRecord) {
        if self.order.back() == Some(record) {
            self.order.pop_back();
            self.tags.remove(&record.tag);
        }
    }

    /// Returns the remembered records, oldest first.
    pub fn records(&self) -> impl ExactSizeIterator<Item = ReplayRecord> + '_ {
        self.order.iter().copied()
    }

    fn insert(&mut self, record: ReplayRecord) -> bool {
        if !self.tags.insert(record.tag) {
            return false;
        }
        self.order.push_back(record);
        while self.order.len() > self.capacity {
            self.forget_first();
        }
        true
    }

    fn forget_old(&mut self, now_s: u64) {
        let is_old = |record: &ReplayRecord| record.seen_s.saturating_add(REMEMBERED_S) < now_s;
        while self.order.front().is_some_and(is_old) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(record) = self.order.pop_front() {
            self.tags.remove(&record.tag);
        }
    }

    fn tag(&self, original_id: &[u8]) -> [u8; 16] {
        let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
            label::mac(self.key.expose(), "replay tag", &[original_id]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(capacity: usize) -> ReplayGuard {
        ReplayGuard::new(Secret::new([9; 32]), [], capacity, 0)
    }

    #[test]
    fn a_second_attempt_with_the_same_id_is_a_replay() {
        let mut guard = guard(100);
        assert!(!guard.is_repeat(b"a"));
        assert!(guard.check_and_insert(b"a", 10).is_some());
        assert!(guard.is_repeat(b"a"));
        assert!(guard.check_and_insert(b"a", 11).is_none());
        assert!(guard.check_and_insert(b"b", 11).is_some());
    }

    #[test]
    fn an_attempt_that_was_rolled_back_is_not_a_replay() {
        let mut guard = guard(100);
        guard.check_and_insert(b"a", 10);
        let record = guard.check_and_insert(b"b", 10).unwrap();
        guard.withdraw(&record);
        assert!(guard.is_repeat(b"a"));
        assert!(guard.check_and_insert(b"b", 11).is_some());
        guard.withdraw(&record);
        assert!(guard.is_repeat(b"b"));
    }

    #[test]
    fn memory_ends_after_three_days() {
        let mut guard = guard(100);
        guard.check_and_insert(b"a", 10);
        guard.check_and_insert(b"b", 10 + REMEMBERED_S);
        assert!(guard.is_repeat(b"a"));
        guard.check_and_insert(b"c", 11 + REMEMBERED_S);
        assert!(!guard.is_repeat(b"a"));
        assert!(guard.is_repeat(b"b"));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_record_is_evicted() {
        let mut guard = guard(3);
        for id in [b"a", b"b", b"c", b"d"] {
            guard.check_and_insert(id, 1);
        }
        assert_eq!(guard.records().len(), 3);
        assert!(!guard.is_repeat(b"a"));
        assert!(guard.is_repeat(b"b"));
    }

    #[test]
    fn records_restore_the_memory() {
        let mut first = guard(100);
        first.check_and_insert(b"a", 5);
        let second = ReplayGuard::new(Secret::new([9; 32]), first.records(), 100, 6);
        assert!(second.is_repeat(b"a"));
    }
}
