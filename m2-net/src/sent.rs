//! Counts the datagrams that a dial sends before the dialled peer has proved its peer id.

use crate::start_padding::LARGEST;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the datagrams of one or several dials up to the proof. Packets that share a datagram are
/// counted separately, and each with the largest size to which its datagram may be padded, so the count
/// is never too low.
#[derive(Debug, Default)]
pub struct Sent {
    datagrams: AtomicU64,
    bytes: AtomicU64,
}

impl Sent {
    /// Returns how many datagrams were sent.
    pub fn datagrams(&self) -> u64 {
        self.datagrams.load(Ordering::Relaxed)
    }

    /// Returns how many bytes were sent, without IP and UDP headers.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, bytes: usize) {
        self.datagrams.fetch_add(1, Ordering::Relaxed);
        let bytes = u64::try_from(bytes.max(LARGEST)).unwrap_or(u64::MAX);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
