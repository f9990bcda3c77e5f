//! What was dropped, refused or limited, counted by reason. Counters say what and how often,
//! never who (spec §10).

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
        }
    };
}

counters! {
    /// A datagram too short for any packet.
    DatagramTooShort = "datagram_too_short",
    /// A header that is none: fixed bit unset, or cut off.
    DatagramMalformed = "datagram_malformed",
    /// A long header of another QUIC version.
    DatagramVersion = "datagram_version",
    /// A destination id that is not ours where only ours will do.
    DatagramForeignId = "datagram_foreign_id",
    /// A first packet that does not open under our Initial keys.
    DatagramNotForUs = "datagram_not_for_us",
    /// A first packet with a Retry token from elsewhere, or where none belongs.
    DatagramRetryToken = "datagram_retry_token",
    /// An Initial packet that came while the endpoint was closing.
    DatagramClosing = "datagram_closing",
    /// A first packet whose original id was not made by a caller, or a repeated retry token.
    CallStray = "call_stray",
    /// A first packet that was played again.
    CallReplayed = "call_replayed",
    /// Callers asked to prove their address before any RSA work.
    CallRetried = "call_retried",
    /// Calls with the priority of a contact.
    CallKnown = "call_known",
    /// Calls of contacts ignored because our own call to the same contact goes first.
    CallCrossed = "call_crossed",
    /// Callers ignored because their source prefix calls too often.
    CallPrefixLimited = "call_prefix_limited",
    /// Callers ignored because too many were waiting.
    CallOverload = "call_overload",
    /// Callers ignored because no session key was ready.
    CallNoKey = "call_no_key",
    /// Callers whose handshake failed or took too long.
    CallFailed = "call_failed",
    /// Handshakes in which the other side broke the protocol.
    HandshakeMisbehaved = "handshake_misbehaved",
    /// Accepted sessions whose first frame was no Hello, or came too late.
    HelloFailed = "hello_failed",
    /// Accepted sessions that were handed out.
    SessionAccepted = "session_accepted",
    /// Dialled sessions that were handed out.
    SessionDialled = "session_dialled",
    /// Sessions closed because the peer broke the frame format.
    FrameMalformed = "frame_malformed",
    /// Sessions ended because the peer broke QUIC's rules: a stream too many, a datagram.
    TransportViolated = "transport_violated",
    /// Callers ignored because they could not be written to the replay log.
    ReplayLogFailed = "replay_log_failed",
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
        assert_eq!(all.get("call_replayed"), Some(&2));
        assert_eq!(all.values().sum::<u64>(), 2);
    }
}
