//! The counters of an endpoint, by kind of event. They count events, never peers or addresses
//! (docs/threat-model.md).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A kind of event that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter {
            $($(#[$doc])* $variant,)*
        }

        impl Counter {
            /// All counters, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the name under which the counter is reported.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the counter that is reported under `name`.
            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|counter| counter.name() == name)
            }
        }
    };
}

counters! {
    /// Datagrams too short for any packet.
    DatagramTooShort = "DATAGRAM_TOO_SHORT",
    /// Datagrams with an invalid header: fixed bit unset, or truncated.
    DatagramMalformed = "DATAGRAM_MALFORMED",
    /// Long headers of another QUIC version.
    DatagramVersion = "DATAGRAM_VERSION",
    /// Packets whose destination id is not a local one where it must be.
    DatagramForeignId = "DATAGRAM_FOREIGN_ID",
    /// First packets that do not open under the local Initial keys.
    DatagramNotForUs = "DATAGRAM_NOT_FOR_US",
    /// First packets with a Retry token from another address, or where no token is allowed.
    DatagramRetryToken = "DATAGRAM_RETRY_TOKEN",
    /// Initial packets that arrived while the endpoint was closing, or at an endpoint that only
    /// dials.
    DatagramClosing = "DATAGRAM_CLOSING",
    /// First packets whose original destination id does not have the length that dialling peers
    /// use.
    DialStray = "DIAL_STRAY",
    /// Replayed first packets.
    DialReplayed = "DIAL_REPLAYED",
    /// Callers asked to prove their address before any RSA work.
    DialRetried = "DIAL_RETRIED",
    /// Connection attempts answered with the priority of a contact.
    DialKnown = "DIAL_KNOWN",
    /// Attempts of contacts ignored because this side's own dial of the same contact goes first.
    DialCrossed = "DIAL_CROSSED",
    /// Attempts ignored because their source prefix exceeds its rate limit.
    DialPrefixLimited = "DIAL_PREFIX_LIMITED",
    /// Attempts ignored because too many were pending.
    DialOverload = "DIAL_OVERLOAD",
    /// Attempts ignored because no session key was ready.
    DialNoKey = "DIAL_NO_KEY",
    /// Attempts whose handshake failed or took too long.
    DialFailed = "DIAL_FAILED",
    /// Handshakes in which the other side broke the protocol.
    HandshakeMisbehaved = "HANDSHAKE_MISBEHAVED",
    /// Accepted connections whose first frame was not a Hello, or came too late.
    HelloFailed = "HELLO_FAILED",
    /// Accepted sessions that were handed out.
    SessionAccepted = "SESSION_ACCEPTED",
    /// Dialled sessions that were handed out.
    SessionDialled = "SESSION_DIALLED",
    /// Sessions closed because the peer broke the frame format.
    FrameMalformed = "FRAME_MALFORMED",
    /// Sessions that ended because the peer broke QUIC's rules: one stream too many, a datagram.
    TransportViolated = "TRANSPORT_VIOLATED",
    /// Attempts ignored because they could not be written to the replay log.
    ReplayLogFailed = "REPLAY_LOG_FAILED",
}

impl Counter {
    /// Returns whether the counter counts ordinary work; all others count refused, dropped or
    /// failed events.
    pub const fn is_work(self) -> bool {
        matches!(
            self,
            Self::SessionAccepted | Self::SessionDialled | Self::DialRetried | Self::DialKnown
        )
    }
}

/// A set of counters, shared by all parts of one endpoint.
#[derive(Debug)]
pub struct Counters {
    values: [AtomicU64; Counter::ALL.len()],
}

impl Counters {
    /// Creates counters that are all zero.
    pub fn new() -> Self {
        Self {
            values: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Adds one to a counter.
    pub fn count(&self, counter: Counter) {
        if let Some(value) = self.values.get(counter as usize) {
            value.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the current value of a counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values
            .get(counter as usize)
            .map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// Returns all values by name.
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        Counter::ALL
            .iter()
            .map(|counter| (counter.name(), self.get(*counter)))
            .collect()
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_events_are_counted_under_their_name() {
        let counters = Counters::new();
        counters.count(Counter::DialReplayed);
        counters.count(Counter::DialReplayed);
        let all = counters.snapshot();
        assert_eq!(all.len(), Counter::ALL.len());
        assert_eq!(all.get("DIAL_REPLAYED"), Some(&2));
        assert_eq!(all.values().sum::<u64>(), 2);
    }

    #[test]
    fn names_are_of_one_style_and_work_is_distinguished() {
        for counter in Counter::ALL {
            let name = counter.name();
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
            assert_eq!(Counter::by_name(name), Some(*counter));
        }
        assert!(Counter::SessionAccepted.is_work());
        assert!(!Counter::DialReplayed.is_work());
    }
}
