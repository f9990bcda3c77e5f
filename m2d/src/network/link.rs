//! A session as the engine holds it.

use super::Meets;
use super::outgoing::{NotQueued, Outgoing};
use super::silence::{Signs, Silence};
use crate::counters::Counters;
use m2_crypto::{Certificate, PeerId, Secret};
use m2_net::delivery::Path;
use m2_net::line::is_on_line;
use m2_net::session::{CloseCode, Ended, SessionHandle};
use m2_net::wire::{Message, Places};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Misdeeds that a session outlives.
const MAX_MISDEEDS: u32 = 100;

/// Statements of places that a session outlives: one at its start, one each time that the two
/// become contacts in it, and one for each new incarnation.
const MAX_STATEMENTS: u32 = 8;

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
    /// The conversation was told of it.
    pub(super) begun: AtomicBool,
    /// The incarnation that we stated last in it; 0 for none.
    pub(super) stated: AtomicU64,
    /// How often the peer has stated its own places.
    pub(super) statements: AtomicU32,
    /// What the peer stated last.
    pub(super) places: Mutex<Option<Arc<Places>>>,
    pub(super) outgoing: Outgoing,
    pub(super) silence: Silence,
    pub(super) renewing: AtomicBool,
    pub(super) meets: Meets,
    pub(super) session: SessionHandle,
    pub(super) since: Instant,
    /// The task that runs the session is done with it.
    pub(super) ended: AtomicBool,
}

impl Link {
    /// Queues a frame. A message for which there is no room is dropped: it will be repeated.
    /// Who lets answers pile up and does not read them loses the session.
    pub fn send(&self, message: Message) {
        match self.outgoing.push(message) {
            Ok(()) | Err(NotQueued::Ended) => {}
            Err(NotQueued::Envelope) => self.counters.count("ENVELOPE_DROPPED"),
            Err(NotQueued::Answer) => {
                if self.session.close_reason().is_none() {
                    self.counters.count("NOT_READING");
                    self.close(CloseCode::Misbehaved);
                }
            }
        }
    }

    /// Counts something that no peer may do, by its reason. Too much of it ends the session.
    pub fn misbehaved(&self, reason: &'static str) {
        self.counters.count(reason);
        if self.misdeeds.fetch_add(1, Ordering::Relaxed) >= MAX_MISDEEDS {
            self.close(CloseCode::Misbehaved);
        }
    }

    /// Counts something that ends a session at once, by its reason.
    pub fn violated(&self, reason: &'static str) {
        self.counters.count(reason);
        self.close(CloseCode::Misbehaved);
    }

    /// Whether what was sent got no answer for seconds, and nothing was heard since.
    pub fn in_doubt(&self) -> bool {
        self.silence.is_doubtful(self.heard())
    }

    /// Whether another session should take the place of this one: it is old, or in doubt.
    pub fn wants_successor(&self) -> bool {
        self.renewing.load(Ordering::Relaxed) || self.in_doubt()
    }

    /// It is to be replaced as soon as another one stands: its path is known to be gone.
    pub fn give_up(&self) {
        self.renewing.store(true, Ordering::Relaxed);
    }

    /// Sends something that says nothing, so that the peer learns of a new path, or silence tells
    /// that there is none.
    pub fn nudge(&self) {
        self.send(Message::Cover(0));
    }

    /// What is remembered of looking for a direct path beside this session.
    pub const fn meets(&self) -> &Meets {
        &self.meets
    }

    /// Notes that nothing is read from the session any more.
    pub(super) fn note_ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Whether the session has ended.
    pub fn is_over(&self) -> bool {
        self.ended.load(Ordering::Relaxed) || self.session.close_reason().is_some()
    }

    /// Returns the session's age.
    pub fn age(&self) -> Duration {
        self.since.elapsed()
    }

    /// Waits for the session's end.
    pub async fn over(&self) {
        self.session.closed().await;
    }

    /// The way that the session takes.
    pub fn path(&self) -> Path {
        if is_on_line(&self.remote) {
            Path::Line
        } else {
            Path::Direct
        }
    }

    /// Why the peer ended the session, as a stable reason, if it does not want it.
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

    /// Whether the peer asked to become a contact in this session.
    pub fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Datagrams that came from the peer so far.
    pub fn heard(&self) -> u64 {
        self.session.heard()
    }

    /// What was sent that demands an answer, and what was heard, so far.
    pub(super) fn signs(&self) -> Signs {
        Signs {
            heard: self.session.heard(),
            asked: self.session.asked(),
        }
    }

    /// Notes that the peer asks to become a contact. Says whether it did so before.
    pub fn asks(&self) -> bool {
        self.asked.swap(true, Ordering::Relaxed)
    }

    /// Notes that the conversation was told of this session.
    pub fn note_begun(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Whether the conversation was told of this session. A conversation that is loaded again must be
    /// told again.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Notes that our places are stated in this session, for this incarnation.
    pub fn note_stated(&self, incarnation: u64) {
        self.stated.store(incarnation, Ordering::Relaxed);
    }

    /// The incarnation that we stated last in this session; 0 for none.
    pub fn stated(&self) -> u64 {
        self.stated.load(Ordering::Relaxed)
    }

    /// Keeps what the peer stated, or forgets it.
    pub fn keep_places(&self, places: Option<Arc<Places>>) {
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
    }

    /// What the peer stated last in this session.
    pub fn places(&self) -> Option<Arc<Places>> {
        let places = self.places.lock();
        places.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the peer states its places. Says whether it still may.
    pub fn takes_statement(&self) -> bool {
        self.statements.fetch_add(1, Ordering::Relaxed) < MAX_STATEMENTS
    }

    /// Whether the peer has stated its places in this session.
    pub fn is_placed(&self) -> bool {
        self.statements.load(Ordering::Relaxed) > 0
    }

    /// How far the peer's clock is ahead of ours, in milliseconds, if it told its time.
    pub fn clock_skew_ms(&self) -> Option<i64> {
        self.session.clock_skew_ms()
    }

    /// The present estimate of the round trip time.
    pub fn round_trip(&self) -> Duration {
        self.session.rtt()
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
