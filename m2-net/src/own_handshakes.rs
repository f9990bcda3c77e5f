//! The pending handshakes of this endpoint, by local connection id.
//!
//! QUIC authenticates an Initial packet for an existing connection with that connection's keys. It
//! takes one for any other id as a connection attempt, which it may answer before it has
//! authenticated it. So the gate must know which ids belong to a handshake: the ids that outgoing
//! packets name as their source.

use m2_crypto::connection_id::LENGTH;
use m2_crypto::initial::LongHeader;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How long an id is kept after the last packet that named it, in seconds: longer than a handshake
/// may take.
const KEPT_S: u64 = 60;
/// The number of remembered ids; the oldest are evicted first.
const CAPACITY: usize = 8_192;

type Id = [u8; LENGTH];

/// The ids of pending handshakes. Bounded.
#[derive(Debug, Default)]
pub(crate) struct OwnHandshakes(Mutex<Ids>);

#[derive(Debug, Default)]
struct Ids {
    noted: HashMap<Id, Noted>,
    order: VecDeque<(Id, u64)>,
}

/// When the first and the last packet that named an id were sent.
#[derive(Debug, Clone, Copy)]
struct Noted {
    first_ms: u64,
    last_s: u64,
}

impl OwnHandshakes {
    /// Records an outgoing packet, before it is obfuscated. Returns the milliseconds since the first
    /// packet of its handshake; `None` for a packet of no handshake.
    pub(crate) fn note(&self, packet: &[u8], now_ms: u64) -> Option<u64> {
        let header = LongHeader::parse(packet).filter(LongHeader::is_of_handshake)?;
        let id = Id::try_from(header.scid).ok()?;
        Some(self.lock().note(id, now_ms))
    }

    /// Returns whether an id belongs to a pending handshake.
    pub(crate) fn is_under_way(&self, id: &[u8], now_s: u64) -> bool {
        let Ok(id) = Id::try_from(id) else {
            return false;
        };
        let noted = self.lock().noted.get(&id).copied();
        noted.is_some_and(|noted| !is_old(noted.last_s, now_s))
    }

    fn lock(&self) -> MutexGuard<'_, Ids> {
        // No update under this lock can be interrupted halfway, so a poisoned lock is still
        // consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    fn note(&mut self, id: Id, now_ms: u64) -> u64 {
        let now_s = now_ms / 1000;
        let known = self.noted.get(&id).copied();
        let first_ms = known.map_or(now_ms, |noted| noted.first_ms);
        let last_s = now_s;
        self.noted.insert(id, Noted { first_ms, last_s });
        // The packets of one flight share an entry.
        if known.is_none_or(|noted| noted.last_s != now_s) {
            self.order.push_back((id, now_s));
        }
        self.evict(now_s);
        now_ms.saturating_sub(first_ms)
    }

    fn evict(&mut self, now_s: u64) {
        while let Some((oldest, at)) = self.order.front().copied() {
            if self.order.len() <= CAPACITY && !is_old(at, now_s) {
                return;
            }
            self.order.pop_front();
            if self
                .noted
                .get(&oldest)
                .is_some_and(|noted| noted.last_s == at)
            {
                self.noted.remove(&oldest);
            }
        }
    }
}

const fn is_old(at_s: u64, now_s: u64) -> bool {
    now_s.saturating_sub(at_s) > KEPT_S
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::initial::QUIC_VERSION;

    const NOW: u64 = 1_800_000_000;

    fn packet(first: u8, source: &[u8]) -> Vec<u8> {
        let mut packet = vec![first];
        packet.extend_from_slice(&QUIC_VERSION.to_be_bytes());
        packet.extend_from_slice(&[4, 1, 2, 3, 4]);
        packet.push(source.len() as u8);
        packet.extend_from_slice(source);
        packet
    }

    #[test]
    fn the_source_of_a_handshake_packet_counts_for_a_minute() {
        let own = OwnHandshakes::default();
        assert_eq!(own.note(&packet(0xc0, &[1; LENGTH]), 1000 * NOW), Some(0));
        assert_eq!(own.note(&packet(0xe0, &[2; LENGTH]), 1000 * NOW), Some(0));
        let again = own.note(&packet(0xe0, &[2; LENGTH]), 1000 * NOW + 30_250);
        assert_eq!(again, Some(30_250));
        assert!(own.is_under_way(&[1; LENGTH], NOW + 60));
        assert!(!own.is_under_way(&[1; LENGTH], NOW + 61));
        assert!(own.is_under_way(&[2; LENGTH], NOW + 90));
        assert!(!own.is_under_way(&[3; LENGTH], NOW));
        assert!(!own.is_under_way(&[1; 20], NOW));
    }

    #[test]
    fn a_retry_and_data_do_not_count() {
        let own = OwnHandshakes::default();
        let others = [packet(0xf0, &[1; LENGTH]), packet(0x40, &[2; LENGTH])];
        for packet in others.iter().chain([&packet(0xc0, &[3; 20]), &vec![]]) {
            assert_eq!(own.note(packet, 1000 * NOW), None);
        }
        for id in 1..4 {
            assert!(!own.is_under_way(&[id; LENGTH], NOW));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let own = OwnHandshakes::default();
        let id = |n: u32| [&[7; 12][..], &n.to_be_bytes()].concat();
        for n in 0..CAPACITY as u32 + 10 {
            own.note(&packet(0xc0, &id(n)), 1000 * NOW);
        }
        assert_eq!(own.lock().noted.len(), CAPACITY);
        assert!(!own.is_under_way(&id(9), NOW));
        assert!(own.is_under_way(&id(10), NOW));
        own.note(&packet(0xc0, &id(0)), 1000 * (NOW + 61));
        assert_eq!(own.lock().noted.len(), 1);
        assert_eq!(own.lock().order.len(), 1);
    }
}
