//! The sizes of the datagrams that peers sent when they dialled, by address. The accepting side adds
//! no more random bytes than they allow (docs/spec/obfuscation.md#sizes-at-the-start).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The number of remembered addresses; the oldest are evicted first.
const CAPACITY: usize = 1_024;
/// What may be sent to an address that has proved nothing, for each byte received from it
/// (RFC 9000, section 8.1).
const AMPLIFICATION: u64 = 3;

/// The sources of long-header packets that passed the gate. Bounded.
#[derive(Debug, Default)]
pub(crate) struct Sources(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    sources: HashMap<SocketAddr, Source>,
    order: VecDeque<SocketAddr>,
}

#[derive(Debug, Default)]
struct Source {
    largest: usize,
    received: u64,
    sent: u64,
    /// Set once the peer sent a packet that it could send only after it had read an answer.
    proved: bool,
}

impl Sources {
    /// Records a datagram from an address.
    pub(crate) fn received(&self, from: SocketAddr, bytes: usize) {
        let mut table = self.lock();
        if !table.sources.contains_key(&from) {
            table.order.push_back(from);
            if table.order.len() > CAPACITY
                && let Some(oldest) = table.order.pop_front()
            {
                table.sources.remove(&oldest);
            }
        }
        let source = table.sources.entry(from).or_default();
        source.largest = source.largest.max(bytes);
        source.received = source.received.saturating_add(bytes as u64);
    }

    /// Records a datagram to an address.
    pub(crate) fn sent(&self, to: SocketAddr, bytes: usize) {
        if let Some(source) = self.lock().sources.get_mut(&to) {
            source.sent = source.sent.saturating_add(bytes as u64);
        }
    }

    /// Records that a peer has proved that it receives what is sent to its address.
    pub(crate) fn proved(&self, from: SocketAddr) {
        if let Some(source) = self.lock().sources.get_mut(&from) {
            source.proved = true;
        }
    }

    /// Returns whether a datagram of this size may be sent to an address: what an address that proved
    /// nothing was sent may be at most three times what came from it. QUIC observes this rule too, but
    /// does not count random bytes.
    pub(crate) fn allows(&self, to: SocketAddr, bytes: usize) -> bool {
        self.lock().sources.get(&to).is_none_or(|source| {
            let allowed = source.received.saturating_mul(AMPLIFICATION);
            source.proved || source.sent.saturating_add(bytes as u64) <= allowed
        })
    }

    /// Returns the largest size to which the next datagram to an address may be padded: that of the
    /// largest one from it, as long as all together are at most three times what it sent.
    pub(crate) fn largest(&self, to: SocketAddr) -> usize {
        self.lock().sources.get(&to).map_or(0, |source| {
            let allowed = source.received.saturating_mul(AMPLIFICATION);
            let left = allowed.saturating_sub(source.sent);
            source
                .largest
                .min(usize::try_from(left).unwrap_or(usize::MAX))
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No update under this lock can be interrupted halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u16) -> SocketAddr {
        ([192, 0, 2, 1], n).into()
    }

    #[test]
    fn padding_grows_to_the_largest_datagram_and_to_three_times_their_sum() {
        let sources = Sources::default();
        assert_eq!(sources.largest(address(1)), 0);
        sources.received(address(1), 1_300);
        sources.received(address(1), 1_200);
        assert_eq!(sources.largest(address(1)), 1_300);
        assert_eq!(sources.largest(address(2)), 0);
        for _ in 0..5 {
            sources.sent(address(1), 1_300);
        }
        assert_eq!(sources.largest(address(1)), 3 * 2_500 - 5 * 1_300);
        sources.sent(address(1), 1_300);
        assert_eq!(sources.largest(address(1)), 0);
        sources.received(address(1), 1_200);
        assert_eq!(sources.largest(address(1)), 1_300);
    }

    #[test]
    fn an_address_that_proved_nothing_is_sent_three_times_what_it_sent() {
        let sources = Sources::default();
        sources.received(address(1), 1_000);
        sources.sent(address(1), 2_500);
        assert!(sources.allows(address(1), 500));
        assert!(!sources.allows(address(1), 501));
        sources.proved(address(1));
        assert!(sources.allows(address(1), 501));
        assert!(sources.allows(address(2), 501), "nothing is known of it");
    }

    #[test]
    fn memory_is_bounded() {
        let sources = Sources::default();
        for n in 0..CAPACITY as u16 + 10 {
            sources.received(address(n), 1_200);
        }
        assert_eq!(sources.lock().sources.len(), CAPACITY);
        assert_eq!(sources.lock().order.len(), CAPACITY);
        assert_eq!(sources.largest(address(9)), 0);
        assert_eq!(sources.largest(address(10)), 1_200);
    }
}
