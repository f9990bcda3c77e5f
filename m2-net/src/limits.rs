//! The limits of an endpoint.

use std::time::Duration;

/// The limits on resources that callers use (docs/spec/obfuscation.md#calls-under-load).
#[derive(Debug, Clone)]
pub struct Limits {
    /// Concurrent handshakes that do RSA work.
    pub turns: usize,
    /// The number of pending handshakes from which on callers must prove their address first.
    pub retry_above: usize,
    /// The number of pending handshakes from which on further attempts are ignored.
    pub waiting: usize,
    /// Open connections of one socket.
    pub sessions: usize,
    /// The burst of connection attempts of a source prefix (/24, /48).
    pub prefix_burst: u32,
    /// The sustained rate of connection attempts of a source prefix, per second.
    pub prefix_per_second: u32,
    /// The timeout of the handshake and, separately, of the Hello, in both directions.
    pub handshake: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turns: 4,
            retry_above: 8,
            waiting: 256,
            sessions: 1024,
            prefix_burst: 64,
            prefix_per_second: 16,
            handshake: Duration::from_secs(10),
        }
    }
}
