//! A session as the engine holds it.

use super::PunchState;
use super::outgoing::{NoRoom, Outgoing};
use super::silence::{Signs, Silence};
use crate::log::Pseudonym;
use m2_core::sessions::{SessionId, SessionView};
use m2_crypto::{Certificate, PeerId, Secret};
use m2_delivery::Path;
use m2_limits::counters::Counters;
use m2_net::frame::FrameSender;
use m2_net::line::is_on_line;
use m2_net::session::{CloseCode, Ended, SessionHandle};
use m2_net::wire::{Message, Places};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most misdeeds that one session survives (`docs/spec/contact.md#misdeeds`).
const MAX_MISDEEDS: u32 = 100;

/// The most statements of places in one session: one at its start, one each time the two become
/// contacts in it, and one for each new incarnation.
const MAX_STATEMENTS: u32 = 8;

/// The sending half of a session, and the engine's state of it.
pub struct Link {
    /// Identifies this session within this run of the daemon.
    pub id: u64,
    /// The peer's id, proven in the handshake.
    pub peer_id: PeerId,
    /// The peer's certificate, proven in the handshake.
    pub certificate: Arc<Certificate>,
    /// True if this daemon dialled.
    pub dialled: bool,
    /// The peer's address when the session was established.
    pub remote: SocketAddr,
    /// Key that binds invitation proofs to this session.
    pub proof_key: Secret<32>,
    /// Pairwise look-up secrets of this session: this daemon's, then the peer's.
    pub lookup_secrets: (Secret<32>, Secret<32>),
    pub(super) counters: Arc<Counters>,
    pub(super) misdeeds: AtomicU32,
    pub(super) asked: AtomicBool,
    /// True once the conversation was notified of the session.
    pub(super) begun: AtomicBool,
    /// The incarnation that this daemon stated last in the session; 0 before the first statement.
    pub(super) stated: AtomicU64,
    /// How often the peer has stated its places.
    pub(super) statements: AtomicU32,
    /// The peer's latest statement.
    pub(super) places: Mutex<Option<Arc<Places>>>,
    pub(super) outgoing: Outgoing,
    pub(super) sender: FrameSender,
    pub(super) silence: Silence,
    pub(super) renewing: AtomicBool,
    pub(super) punch_state: PunchState,
    pub(super) session: SessionHandle,
    pub(super) since: Instant,
    /// True once the task that runs the session is done with it.
    pub(super) ended: AtomicBool,
}

impl Link {
    /// Queues a frame. An envelope for which there is no room is dropped, as it will be
    /// retransmitted. A peer that does not read the answers to its own frames loses the session.
    pub fn send(&self, message: Message) {
        match self.outgoing.room_for(&message) {
            Ok(room) => {
                self.silence.expect_answer(self.since, || self.signs());
                // Of a session that has ended, the frames are lost.
                let _ = self.sender.queue(message, room);
            }
            Err(NoRoom::Envelope) => self.counters.count("ENVELOPE_DROPPED"),
            Err(NoRoom::Answer) => {
                if self.session.close_reason().is_none() {
                    self.counters.count("NOT_READING");
                    self.close(CloseCode::Misbehaved);
                }
            }
        }
    }

    /// Returns the peer's name in debug lines.
    pub fn name(&self) -> Pseudonym {
        Pseudonym::of(&self.peer_id)
    }

    /// Counts a misdeed under its reason. More than `MAX_MISDEEDS` of them close the session.
    pub fn count_misdeed(&self, reason: &'static str) {
        tracing::debug!(session = self.id, peer = %self.name(), reason, "a misdeed");
        self.counters.count(reason);
        if self.misdeeds.fetch_add(1, Ordering::Relaxed) >= MAX_MISDEEDS {
            self.close(CloseCode::Misbehaved);
        }
    }

    /// Counts a violation under its reason and closes the session.
    pub fn close_for_violation(&self, reason: &'static str) {
        tracing::debug!(session = self.id, peer = %self.name(), reason, "a violation ends the session");
        self.counters.count(reason);
        self.close(CloseCode::Misbehaved);
    }

    /// Returns whether frames have been unanswered for seconds and no datagram was received since.
    pub fn in_doubt(&self) -> bool {
        self.silence.is_doubtful(self.heard())
    }

    /// Returns whether another session should replace this one, because it is old, in doubt or
    /// given up.
    pub fn wants_successor(&self) -> bool {
        self.renewing.load(Ordering::Relaxed) || self.in_doubt()
    }

    /// Returns what the choice of the serving session depends on.
    pub fn view(&self) -> SessionView {
        SessionView {
            id: SessionId(self.id),
            dialled: self.dialled,
            path: self.path(),
            wants_successor: self.wants_successor(),
        }
    }

    /// Marks the session to be replaced as soon as possible, as its path is known to be gone.
    pub fn mark_stale(&self) {
        self.renewing.store(true, Ordering::Relaxed);
    }

    /// Sends an empty cover frame. The peer learns of a new path from it, or its silence shows that
    /// the path is gone.
    pub fn probe_path(&self) {
        self.send(Message::Cover(0));
    }

    /// Returns the state of the search for a direct path next to this session.
    pub const fn punch_state(&self) -> &PunchState {
        &self.punch_state
    }

    /// Records that no more frames are read from the session.
    pub(super) fn note_ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Returns whether the session has ended.
    pub fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.session.close_reason().is_some()
    }

    /// Returns the session's age.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Waits for the end of the session.
    pub async fn over(&self) {
        self.session.closed().await;
    }

    /// Returns the path of the session.
    pub fn path(&self) -> Path {
        if is_on_line(&self.remote) {
            Path::Line
        } else {
            Path::Direct
        }
    }

    /// Returns why the peer refused the session, as a stable reason, if it did.
    pub fn refused(&self) -> Option<&'static str> {
        const REFUSED: u64 = CloseCode::Refused as u64;
        const NOT_A_CONTACT: u64 = CloseCode::NotAContact as u64;
        const MISBEHAVED: u64 = CloseCode::Misbehaved as u64;
        match self.session.close_reason() {
            Some(Ended::ByPeer(REFUSED)) => Some("REFUSED"),
            Some(Ended::ByPeer(NOT_A_CONTACT)) => Some("NOT_A_CONTACT"),
            Some(Ended::ByPeer(MISBEHAVED)) => Some("MISBEHAVED"),
            _ => None,
        }
    }

    /// Returns whether the peer sent a contact request in this session.
    pub fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Returns the number of datagrams received so far.
    pub fn heard(&self) -> u64 {
        self.session.heard()
    }

    /// Returns the counts of datagrams received and of sent frames and probes that demand an
    /// answer.
    pub(super) fn signs(&self) -> Signs {
        Signs {
            heard: self.session.heard(),
            asked: self.session.asked(),
        }
    }

    /// Records a contact request of the peer. Returns whether it sent one before.
    pub fn asks(&self) -> bool {
        self.asked.swap(true, Ordering::Relaxed)
    }

    /// Records that the conversation was notified of this session.
    pub fn note_begun(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Returns whether the conversation was notified of this session. A conversation that is loaded
    /// again must be notified again.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Records that this daemon stated its places in this session, for this incarnation.
    pub fn note_stated(&self, incarnation: u64) {
        self.stated.store(incarnation, Ordering::Relaxed);
    }

    /// Returns the incarnation that this daemon stated last in this session; 0 before the first
    /// statement.
    pub fn stated(&self) -> u64 {
        self.stated.load(Ordering::Relaxed)
    }

    /// Stores or clears the peer's latest statement.
    pub fn keep_places(&self, places: Option<Arc<Places>>) {
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
    }

    /// Returns the peer's latest statement in this session.
    pub fn places(&self) -> Option<Arc<Places>> {
        let places = self.places.lock();
        places.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts a statement of the peer. Returns whether it is within the limit.
    pub fn takes_statement(&self) -> bool {
        self.statements.fetch_add(1, Ordering::Relaxed) < MAX_STATEMENTS
    }

    /// Returns whether the peer has stated its places in this session.
    pub fn is_placed(&self) -> bool {
        self.statements.load(Ordering::Relaxed) > 0
    }

    /// Returns how far the peer's clock is ahead, in milliseconds, if it reported its time.
    pub fn clock_skew_ms(&self) -> Option<i64> {
        self.session.clock_skew_ms()
    }

    /// Returns the current estimate of the round-trip time.
    pub fn round_trip(&self) -> Duration {
        self.session.rtt()
    }

    /// Closes the session.
    pub fn close(&self, code: CloseCode) {
        self.session.close(code);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.id)
    }
}
