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
    noted: HashMap<Id, u64>,
    order: VecDeque<(Id, u64)>,
}

impl OwnHandshakes {
    /// Records an outgoing packet, before it is obfuscated.
    pub(crate) fn note(&self, packet: &[u8], now_s: u64) {
        let Some(header) = LongHeader::parse(packet).filter(LongHeader::is_of_handshake) else {
            return;
        };
        if let Ok(id) = Id::try_from(header.scid) {
            self.lock().note(id, now_s);
        }
    }

    /// Returns whether an id belongs to a pending handshake.
    pub(crate) fn is_under_way(&self, id: &[u8], now_s: u64) -> bool {
        let Ok(id) = Id::try_from(id) else {
            return false;
        };
        let noted = self.lock().noted.get(&id).copied();
        noted.is_some_and(|at| !is_old(at, now_s))
    }

    fn lock(&self) -> MutexGuard<'_, Ids> {
        // No update under this lock can be interrupted halfway, so a poisoned lock is still
        // consistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ids {
    fn note(&mut self, id: Id, now_s: u64) {
        // The packets of one flight share an entry.
        if self.noted.insert(id, now_s) != Some(now_s) {
            self.order.push_back((id, now_s));
        }
        while let Some((oldest, at)) = self.order.front().copied() {
            if self.order.len() <= CAPACITY && !is_old(at, now_s) {
                return;
            }
            self.order.pop_front();
            if self.noted.get(&oldest) == Some(&at) {
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
        own.note(&packet(0xc0, &[1; LENGTH]), NOW);
        own.note(&packet(0xe0, &[2; LENGTH]), NOW);
        own.note(&packet(0xe0, &[2; LENGTH]), NOW + 30);
        assert!(own.is_under_way(&[1; LENGTH], NOW + 60));
        assert!(!own.is_under_way(&[1; LENGTH], NOW + 61));
        assert!(own.is_under_way(&[2; LENGTH], NOW + 90));
        assert!(!own.is_under_way(&[3; LENGTH], NOW));
        assert!(!own.is_under_way(&[1; 20], NOW));
    }

    #[test]
    fn a_retry_and_data_do_not_count() {
        let own = OwnHandshakes::default();
        own.note(&packet(0xf0, &[1; LENGTH]), NOW);
        own.note(&packet(0x40, &[2; LENGTH]), NOW);
        own.note(&packet(0xc0, &[3; 20]), NOW);
        own.note(&[], NOW);
        for id in 1..4 {
            assert!(!own.is_under_way(&[id; LENGTH], NOW));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let own = OwnHandshakes::default();
        let id = |n: u32| [&[7; 12][..], &n.to_be_bytes()].concat();
        for n in 0..CAPACITY as u32 + 10 {
            own.note(&packet(0xc0, &id(n)), NOW);
        }
        assert_eq!(own.lock().noted.len(), CAPACITY);
        assert!(!own.is_under_way(&id(9), NOW));
        assert!(own.is_under_way(&id(10), NOW));
        own.note(&packet(0xc0, &id(0)), NOW + 61);
        assert_eq!(own.lock().noted.len(), 1);
        assert_eq!(own.lock().order.len(), 1);
    }
}
