//! A session as the engine holds it.

use crate::counters::Counters;
use m2_crypto::{Certificate, PeerId, Secret};
use m2_net::session::{CloseCode, SessionHandle};
use m2_net::wire::Message;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::sync::mpsc;

/// Misdeeds that a session outlives.
const MAX_MISDEEDS: u32 = 100;

/// A session's sending half and what the engine must know of it.
pub struct Link {
    /// Tells this session from every other of this run.
    pub id: u64,
    /// Who is at the other end, proven in the handshake.
    pub peer_id: PeerId,
    /// Its certificate, proven in the handshake.
    pub certificate: Arc<Certificate>,
    /// We dialled.
    pub dialled: bool,
    /// Where the peer was when the session came up.
    pub remote: SocketAddr,
    /// Binds invitation proofs to this session.
    pub proof_key: Secret<32>,
    /// Pairwise look-up secrets of this session: ours, theirs.
    pub lookup_secrets: (Secret<32>, Secret<32>),
    pub(super) counters: Arc<Counters>,
    pub(super) misdeeds: AtomicU32,
    pub(super) asked: AtomicBool,
    pub(super) frames: mpsc::Sender<Message>,
    pub(super) session: SessionHandle,
}

impl Link {
    /// Queues a frame. When the queue is full the frame is dropped: acknowledgements and
    /// messages are repeated, and the window keeps the queue from filling in normal use.
    pub fn send(&self, message: Message) {
        let _ = self.frames.try_send(message);
    }

    /// Counts something that no peer may do, by its reason. Too much of it ends the session.
    pub fn misbehaved(&self, reason: &'static str) {
        self.counters.count(reason);
        if self.misdeeds.fetch_add(1, Ordering::Relaxed) >= MAX_MISDEEDS {
            self.close(CloseCode::Misbehaved);
        }
    }

    /// Notes that the peer asks to become a contact. Says whether it did so before.
    pub fn asks(&self) -> bool {
        self.asked.swap(true, Ordering::Relaxed)
    }

    /// How far the peer's clock is ahead of ours, in milliseconds.
    pub fn clock_skew_ms(&self) -> i64 {
        self.session.clock_skew_ms()
    }

    /// Ends the session.
    pub fn close(&self, code: CloseCode) {
        self.session.close(code);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.id)
    }
}
