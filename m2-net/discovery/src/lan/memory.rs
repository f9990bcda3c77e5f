//! A bounded memory of received announcements: a host can invent any number of other hosts.

use super::Seen;
use std::collections::VecDeque;
use tokio::time::Instant;

/// The number of remembered instances. A further one evicts the oldest.
const MAX_INSTANCES: usize = 64;
/// The burst of new announcements, and the rate per second. Reading an announcement costs several
/// MACs for each contact.
const BURST: f64 = 64.0;
const PER_SECOND: f64 = 8.0;

/// Detects which announcements are new.
pub(super) struct Memory {
    instances: VecDeque<(String, Seen)>,
    /// Announcements that wait for the reader.
    pending: VecDeque<Seen>,
    tokens: f64,
    refilled: Instant,
}

impl Memory {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            instances: VecDeque::new(),
            pending: VecDeque::new(),
            tokens: BURST,
            refilled: now,
        }
    }

    /// Records the announcement of the instance `name`. Does nothing if it is unchanged or over the
    /// rate limit.
    pub(super) fn insert(&mut self, now: Instant, name: &str, seen: Seen) {
        let said = self.instances.iter().find(|(known, _)| known == name);
        if said.is_some_and(|(_, said)| *said == seen) || !self.may(now) {
            return;
        }
        self.forget(name);
        push_bounded(&mut self.instances, (name.to_owned(), seen.clone()));
        push_bounded(&mut self.pending, seen);
    }

    /// Removes an instance: if it returns, it counts as new.
    pub(super) fn forget(&mut self, name: &str) {
        self.instances.retain(|(known, _)| known != name);
    }

    pub(super) fn has_news(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn next_news(&mut self) -> Option<Seen> {
        self.pending.pop_front()
    }

    fn may(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled).as_secs_f64();
        self.refilled = now;
        self.tokens = (self.tokens + passed * PER_SECOND).min(BURST);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= MAX_INSTANCES {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::address::NamedAddress;
    use m2_crypto::presence::{ANNOUNCEMENT_BYTES, Announcement};
    use std::time::Duration;

    fn seen(port: u16) -> Seen {
        Seen {
            addresses: vec![NamedAddress::new(([127, 0, 0, 1], port).into())],
            announcement: Announcement::parse(&[0; ANNOUNCEMENT_BYTES]).unwrap(),
        }
    }

    #[test]
    fn only_new_announcements_are_reported() {
        let now = Instant::now();
        let mut memory = Memory::new(now);
        memory.insert(now, "one", seen(1));
        memory.insert(now, "one", seen(1));
        assert_eq!(memory.next_news(), Some(seen(1)));
        assert!(!memory.has_news());
        memory.insert(now, "one", seen(2));
        assert_eq!(memory.next_news(), Some(seen(2)));
        memory.forget("one");
        memory.insert(now, "one", seen(2));
        assert_eq!(memory.next_news(), Some(seen(2)));
        assert_eq!(memory.next_news(), None);
    }

    #[test]
    fn a_flood_is_bounded_and_recovers() {
        let now = Instant::now();
        let mut memory = Memory::new(now);
        for number in 1..10_000 {
            memory.insert(now, &number.to_string(), seen(number));
        }
        assert_eq!(memory.instances.len(), MAX_INSTANCES);
        assert_eq!(memory.pending.len(), MAX_INSTANCES);
        memory.pending.clear();
        // A second later the next few are accepted.
        let later = now + Duration::from_secs(1);
        for number in 1..10_000 {
            memory.insert(later, "friend", seen(number));
        }
        assert_eq!(memory.pending.len(), 8);
    }
}
