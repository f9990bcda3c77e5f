//! Places for sessions: at most one for each peer, and a bounded total.

use m2_crypto::PeerId;
use m2_limits::prefix::Prefix;
use m2_limits::shares::{Claim, FairShares, WhenEven};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The policy for a session that exceeds the number of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenFull {
    /// The session is refused: peers with a place are known.
    Refuse,
    /// The places are shared among source prefixes.
    Share(WhenEven),
}

/// The table of places. A session that loses its place to another one is returned to the caller.
#[derive(Debug)]
pub(super) struct SessionSlots<T> {
    table: Arc<Mutex<Table<T>>>,
}

/// An occupied place, which is freed when this is dropped.
#[derive(Debug)]
pub(super) struct SlotGuard<T> {
    number: u64,
    table: Arc<Mutex<Table<T>>>,
}

#[derive(Debug)]
struct Table<T> {
    places: usize,
    shares: Option<FairShares<u64>>,
    next: u64,
    taken: BTreeMap<u64, (Option<PeerId>, T)>,
    peers: HashMap<PeerId, u64>,
}

/// The reason for which a session lost its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// To a newer session of the same peer.
    Replaced,
    /// To a session from a prefix that holds fewer places.
    Shared,
}

/// A place, and the session that lost its place for it, if any.
type Taken<T> = (SlotGuard<T>, Option<(T, Lost)>);

impl<T> SessionSlots<T> {
    pub(super) fn new(places: usize, when_full: WhenFull) -> Self {
        let shares = match when_full {
            WhenFull::Refuse => None,
            WhenFull::Share(when_even) => Some(FairShares::new(places, when_even)),
        };
        let table = Table {
            places,
            shares,
            next: 0,
            taken: BTreeMap::new(),
            peers: HashMap::new(),
        };
        Self {
            table: Arc::new(Mutex::new(table)),
        }
    }

    /// Assigns a place to a session of `peer`, or to an anonymous session. Returns the place and
    /// the session that lost it, or `None` if the session is refused.
    pub(super) fn take(
        &self,
        peer: Option<PeerId>,
        prefix: Prefix,
        session: T,
    ) -> Option<Taken<T>> {
        let mut table = lock(&self.table);
        let replaced = peer.and_then(|peer| table.remove_peer(&peer));
        let mut gone = replaced.map(|session| (session, Lost::Replaced));
        let number = table.next;
        match table.claim(number, prefix) {
            Claim::Granted => {}
            Claim::TakeFrom(other) => {
                gone = table.remove(other).map(|session| (session, Lost::Shared));
                if table.claim(number, prefix) != Claim::Granted {
                    return None;
                }
            }
            Claim::Refused => return None,
        }
        table.insert(peer, session);
        let seat = SlotGuard {
            number,
            table: Arc::clone(&self.table),
        };
        Some((seat, gone))
    }
}

impl<T> Drop for SlotGuard<T> {
    fn drop(&mut self) {
        lock(&self.table).remove(self.number);
    }
}

impl<T> Table<T> {
    fn claim(&mut self, number: u64, prefix: Prefix) -> Claim<u64> {
        match &mut self.shares {
            Some(shares) => shares.claim(number, prefix),
            None if self.taken.len() < self.places => Claim::Granted,
            None => Claim::Refused,
        }
    }

    fn insert(&mut self, peer: Option<PeerId>, session: T) {
        let number = self.next;
        self.next += 1;
        self.taken.insert(number, (peer, session));
        if let Some(peer) = peer {
            self.peers.insert(peer, number);
        }
    }

    fn remove_peer(&mut self, peer: &PeerId) -> Option<T> {
        let number = self.peers.get(peer).copied()?;
        self.remove(number)
    }

    /// Frees a place. Does nothing if the place was already lost.
    fn remove(&mut self, number: u64) -> Option<T> {
        let (peer, session) = self.taken.remove(&number)?;
        if let Some(peer) = peer {
            self.peers.remove(&peer);
        }
        if let Some(shares) = &mut self.shares {
            shares.remove(number);
        }
        Some(session)
    }
}

fn lock<T>(table: &Mutex<Table<T>>) -> MutexGuard<'_, Table<T>> {
    // A panic under this lock leaves no partial update.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn peer(byte: u8) -> Option<PeerId> {
        Some(PeerId::from_bytes([byte; 32]))
    }

    fn prefix(number: u8) -> Prefix {
        Prefix::of(IpAddr::from([127, 0, number, 1]))
    }

    #[test]
    fn a_peer_has_one_place_and_its_newest_session_gets_it() {
        let session_slots = SessionSlots::new(2, WhenFull::Refuse);
        let (first, gone) = session_slots.take(peer(1), prefix(1), "first").unwrap();
        assert_eq!(gone, None);
        let (second, gone) = session_slots.take(peer(1), prefix(1), "second").unwrap();
        assert_eq!(gone, Some(("first", Lost::Replaced)));
        // A session that lost its place must not free the place when it ends.
        drop(first);
        let (_other, gone) = session_slots.take(peer(2), prefix(1), "other").unwrap();
        assert_eq!(gone, None);
        assert!(session_slots.take(peer(3), prefix(2), "third").is_none());
        let again = session_slots.take(peer(1), prefix(1), "again").unwrap();
        assert_eq!(again.1, Some(("second", Lost::Replaced)));
        drop(second);
        drop(again);
        assert!(session_slots.take(peer(3), prefix(2), "third").is_some());
    }

    #[test]
    fn the_largest_prefix_makes_room_for_others() {
        let session_slots = SessionSlots::new(4, WhenFull::Share(WhenEven::Refuse));
        let mut held = Vec::new();
        for name in ["one", "two", "three"] {
            held.push(session_slots.take(None, prefix(1), name).unwrap().0);
        }
        assert!(
            session_slots.take(None, prefix(1), "more").is_none(),
            "its share"
        );
        let (four, gone) = session_slots.take(None, prefix(2), "four").unwrap();
        assert_eq!(gone, None);
        let (five, gone) = session_slots.take(None, prefix(3), "five").unwrap();
        assert_eq!(gone, Some(("one", Lost::Shared)));
        assert!(
            session_slots.take(None, prefix(2), "six").is_none(),
            "all hold about as much"
        );
        drop((four, five));
        assert_eq!(
            session_slots.take(None, prefix(2), "seven").unwrap().1,
            None
        );
    }
}
