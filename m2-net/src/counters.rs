//! What an endpoint did, dropped, refused or limited, counted by kind. Counters say what and how
//! often, never with whom (spec §10).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// One thing that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Counter {
            $($(#[$doc])* $variant,)*
        }

        impl Counter {
            /// Every counter, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name under which it is reported.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The counter that is reported under `name`.
            pub fn by_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|counter| counter.name() == name)
            }
        }
    };
}

counters! {
    /// A datagram too short for any packet.
    DatagramTooShort = "DATAGRAM_TOO_SHORT",
    /// A header that is none: fixed bit unset, or cut off.
    DatagramMalformed = "DATAGRAM_MALFORMED",
    /// A long header of another QUIC version.
    DatagramVersion = "DATAGRAM_VERSION",
    /// A destination id that is not ours where only ours will do.
    DatagramForeignId = "DATAGRAM_FOREIGN_ID",
    /// A first packet that does not open under our Initial keys.
    DatagramNotForUs = "DATAGRAM_NOT_FOR_US",
    /// A first packet with a Retry token from elsewhere, or where none belongs.
    DatagramRetryToken = "DATAGRAM_RETRY_TOKEN",
    /// An Initial packet that came while the endpoint was closing.
    DatagramClosing = "DATAGRAM_CLOSING",
    /// A first packet whose original id was not made by a caller, or a repeated retry token.
    CallStray = "CALL_STRAY",
    /// A first packet that was played again.
    CallReplayed = "CALL_REPLAYED",
    /// Callers asked to prove their address before any RSA work.
    CallRetried = "CALL_RETRIED",
    /// Calls with the priority of a contact.
    CallKnown = "CALL_KNOWN",
    /// Calls of contacts ignored because our own call to the same contact goes first.
    CallCrossed = "CALL_CROSSED",
    /// Callers ignored because their source prefix calls too often.
    CallPrefixLimited = "CALL_PREFIX_LIMITED",
    /// Callers ignored because too many were waiting.
    CallOverload = "CALL_OVERLOAD",
    /// Callers ignored because no session key was ready.
    CallNoKey = "CALL_NO_KEY",
    /// Callers whose handshake failed or took too long.
    CallFailed = "CALL_FAILED",
    /// Handshakes in which the other side broke the protocol.
    HandshakeMisbehaved = "HANDSHAKE_MISBEHAVED",
    /// Accepted sessions whose first frame was no Hello, or came too late.
    HelloFailed = "HELLO_FAILED",
    /// Accepted sessions that were handed out.
    SessionAccepted = "SESSION_ACCEPTED",
    /// Dialled sessions that were handed out.
    SessionDialled = "SESSION_DIALLED",
    /// Sessions closed because the peer broke the frame format.
    FrameMalformed = "FRAME_MALFORMED",
    /// Sessions ended because the peer broke QUIC's rules: a stream too many, a datagram.
    TransportViolated = "TRANSPORT_VIOLATED",
    /// Callers ignored because they could not be written to the replay log.
    ReplayLogFailed = "REPLAY_LOG_FAILED",
}

impl Counter {
    /// Whether it counts ordinary work; every other counts what was refused, dropped or failed.
    pub const fn is_work(self) -> bool {
        matches!(
            self,
            Self::SessionAccepted | Self::SessionDialled | Self::CallRetried | Self::CallKnown
        )
    }
}

/// A set of counters, shared by everything that belongs to one endpoint.
#[derive(Debug)]
pub struct Counters {
    values: [AtomicU64; Counter::ALL.len()],
}

impl Counters {
    /// All zero.
    pub fn new() -> Self {
        Self {
            values: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Adds one.
    pub fn count(&self, counter: Counter) {
        if let Some(value) = self.values.get(counter as usize) {
            value.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The present value.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values
            .get(counter as usize)
            .map_or(0, |value| value.load(Ordering::Relaxed))
    }

    /// All values by name.
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
    fn names_are_unique_and_counts_land_where_they_belong() {
        let counters = Counters::new();
        counters.count(Counter::CallReplayed);
        counters.count(Counter::CallReplayed);
        let all = counters.snapshot();
        assert_eq!(all.len(), Counter::ALL.len());
        assert_eq!(all.get("CALL_REPLAYED"), Some(&2));
        assert_eq!(all.values().sum::<u64>(), 2);
    }

    #[test]
    fn names_are_of_one_style_and_work_is_told_apart() {
        for counter in Counter::ALL {
            let name = counter.name();
            assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
            assert_eq!(Counter::by_name(name), Some(*counter));
        }
        assert!(Counter::SessionAccepted.is_work());
        assert!(!Counter::CallReplayed.is_work());
    }
}
