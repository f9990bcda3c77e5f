//! Places for sessions: so many in all, one a peer.

use m2_crypto::PeerId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What becomes of one session more than there are places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// It gets none.
    Refuse,
    /// The oldest loses its place: it had its time, and nobody keeps the others out.
    OldestGoes,
}

/// The places. What has one is given back when it loses it to another.
#[derive(Debug)]
pub(super) struct Seats<T> {
    places: usize,
    when_full: WhenFull,
    table: Arc<Mutex<Table<T>>>,
}

/// A taken place, free again when this is dropped.
#[derive(Debug)]
pub(super) struct Seat<T> {
    number: u64,
    table: Arc<Mutex<Table<T>>>,
}

#[derive(Debug)]
struct Table<T> {
    next: u64,
    taken: BTreeMap<u64, (PeerId, T)>,
    peers: HashMap<PeerId, u64>,
}

impl<T> Seats<T> {
    pub(super) fn new(places: usize, when_full: WhenFull) -> Self {
        let table = Table {
            next: 0,
            taken: BTreeMap::new(),
            peers: HashMap::new(),
        };
        Self {
            places,
            when_full,
            table: Arc::new(Mutex::new(table)),
        }
    }

    /// A place for `peer`, and what had to go for it; `None` when all are taken.
    pub(super) fn take(&self, peer: PeerId, who: T) -> Option<(Seat<T>, Option<T>)> {
        let mut table = lock(&self.table);
        let mut gone = table.remove_peer(&peer);
        if gone.is_none() && table.taken.len() >= self.places {
            gone = match self.when_full {
                WhenFull::Refuse => return None,
                WhenFull::OldestGoes => table.remove_oldest(),
            };
        }
        let number = table.insert(peer, who);
        let seat = Seat {
            number,
            table: Arc::clone(&self.table),
        };
        Some((seat, gone))
    }
}

impl<T> Drop for Seat<T> {
    fn drop(&mut self) {
        lock(&self.table).remove(self.number);
    }
}

impl<T> Table<T> {
    fn insert(&mut self, peer: PeerId, who: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.taken.insert(number, (peer, who));
        self.peers.insert(peer, number);
        number
    }

    fn remove_peer(&mut self, peer: &PeerId) -> Option<T> {
        let number = self.peers.get(peer).copied()?;
        self.remove(number)
    }

    fn remove_oldest(&mut self) -> Option<T> {
        let number = self.taken.keys().next().copied()?;
        self.remove(number)
    }

    /// Nothing when the place was lost already.
    fn remove(&mut self, number: u64) -> Option<T> {
        let (peer, who) = self.taken.remove(&number)?;
        self.peers.remove(&peer);
        Some(who)
    }
}

fn lock<T>(table: &Mutex<Table<T>>) -> MutexGuard<'_, Table<T>> {
    // Nothing is ever half done under this lock.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn peer(byte: u8) -> PeerId {
        PeerId::from_bytes([byte; 32])
    }

    #[test]
    fn a_peer_has_one_and_the_newest_gets_it() {
        let seats = Seats::new(2, WhenFull::Refuse);
        let (first, gone) = seats.take(peer(1), "first").unwrap();
        assert_eq!(gone, None);
        let (second, gone) = seats.take(peer(1), "second").unwrap();
        assert_eq!(gone, Some("first"));
        // Who lost its place takes nothing away when it leaves.
        drop(first);
        let (_other, gone) = seats.take(peer(2), "other").unwrap();
        assert_eq!(gone, None);
        assert!(seats.take(peer(3), "third").is_none());
        assert_eq!(seats.take(peer(1), "again").unwrap().1, Some("second"));
        drop(second);
        assert!(seats.take(peer(3), "third").is_some());
    }

    #[test]
    fn the_oldest_may_go() {
        let seats = Seats::new(2, WhenFull::OldestGoes);
        let _one = seats.take(peer(1), "one").unwrap();
        let _two = seats.take(peer(2), "two").unwrap();
        let (_three, gone) = seats.take(peer(3), "three").unwrap();
        assert_eq!(gone, Some("one"));
        let (_four, gone) = seats.take(peer(1), "one again").unwrap();
        assert_eq!(gone, Some("two"));
    }
}
