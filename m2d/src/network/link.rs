//! The connection of a session.

use super::PunchState;
use super::outgoing::{NoRoom, Outgoing};
use super::silence::{Signs, Silence};
use crate::log::Pseudonym;
use m2_core::PathFailure;
use m2_core::sessions::SessionId;
use m2_crypto::{Certificate, PeerId};
use m2_delivery::Path;
use m2_limits::counters::Counters;
use m2_net::frame::FrameSender;
use m2_net::line::is_on_line;
use m2_net::session::{CloseCode, Ended, SessionHandle};
use m2_net::wire::Message;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most misdeeds that one session survives (`docs/spec/contact.md#misdeeds`).
const MAX_MISDEEDS: u32 = 100;

/// The sending half of a session. What the session means is the engine's; the two share an id.
pub struct Link {
    /// Identifies this session within this run of the daemon.
    pub id: SessionId,
    /// The peer's id, proven in the handshake.
    pub peer_id: PeerId,
    /// The peer's certificate, proven in the handshake.
    pub certificate: Arc<Certificate>,
    /// True if this daemon dialled.
    pub dialled: bool,
    /// The peer's address when the session was established.
    pub remote: SocketAddr,
    pub(super) counters: Arc<Counters>,
    pub(super) misdeeds: AtomicU32,
    pub(super) outgoing: Outgoing,
    pub(super) sender: FrameSender,
    pub(super) silence: Silence,
    pub(super) punch_state: PunchState,
    pub(super) session: SessionHandle,
    pub(super) since: Instant,
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
        tracing::debug!(session = self.id.0, peer = %self.name(), reason, "a misdeed");
        self.counters.count(reason);
        if self.misdeeds.fetch_add(1, Ordering::Relaxed) >= MAX_MISDEEDS {
            self.close(CloseCode::Misbehaved);
        }
    }

    /// Counts a violation under its reason and closes the session.
    pub fn close_for_violation(&self, reason: &'static str) {
        tracing::debug!(session = self.id.0, peer = %self.name(), reason, "a violation ends the session");
        self.counters.count(reason);
        self.close(CloseCode::Misbehaved);
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

    /// Returns whether the session has ended.
    pub fn is_over(&self) -> bool {
        self.session.close_reason().is_some()
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

    /// Returns why the peer refused the session, if it did.
    pub fn refused(&self) -> Option<PathFailure> {
        const REFUSED: u64 = CloseCode::Refused as u64;
        const NOT_A_CONTACT: u64 = CloseCode::NotAContact as u64;
        const MISBEHAVED: u64 = CloseCode::Misbehaved as u64;
        match self.session.close_reason() {
            Some(Ended::ByPeer(REFUSED)) => Some(PathFailure::Refused),
            Some(Ended::ByPeer(NOT_A_CONTACT)) => Some(PathFailure::NotAContact),
            Some(Ended::ByPeer(MISBEHAVED)) => Some(PathFailure::Misbehaved),
            _ => None,
        }
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

    /// Returns the current estimate of the round-trip time.
    pub fn round_trip(&self) -> Duration {
        self.session.rtt()
    }

    /// Closes the session.
    pub fn close(&self, code: CloseCode) {
        let (peer, reason) = (self.name(), CloseCode::name(code as u64));
        tracing::debug!(session = self.id.0, %peer, reason, "this daemon closes the session");
        self.session.close(code);
    }
}

/// The connections of all established sessions between peers.
#[derive(Debug, Default)]
pub struct Links(Mutex<HashMap<SessionId, Arc<Link>>>);

impl Links {
    /// Returns the connection of a session, unless it has ended.
    pub fn get(&self, id: SessionId) -> Option<Arc<Link>> {
        self.all().get(&id).cloned()
    }

    /// Adds the connection of a session until the returned guard is dropped.
    pub(super) fn hold(self: &Arc<Self>, link: Arc<Link>) -> HeldLink {
        let id = link.id;
        self.all().insert(id, link);
        HeldLink {
            links: self.clone(),
            id,
        }
    }

    /// Returns the sessions that may migrate to a new address of this host, each with the number of
    /// datagrams received so far.
    pub fn migrating(&self) -> Vec<(SessionId, u64)> {
        let all = self.all();
        // The dialler of an accepted direct session knows only this host's old address.
        let migrates = |link: &&Arc<Link>| link.dialled || link.path() == Path::Line;
        let links = all.values().filter(migrates);
        links.map(|link| (link.id, link.heard())).collect()
    }

    /// Returns those sessions on which no datagram was received since they were counted.
    pub fn still_silent(&self, counted: &[(SessionId, u64)]) -> Vec<SessionId> {
        let all = self.all();
        let is_silent = |(id, heard): &&(SessionId, u64)| {
            let link = all.get(id);
            link.is_some_and(|link| link.heard() == *heard && !link.is_over())
        };
        let silent = counted.iter().filter(is_silent);
        silent.map(|(id, _)| *id).collect()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Link>>> {
        // No update under this lock is ever left incomplete, so poisoning is ignored.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a connection in the table of [`Links`].
pub(super) struct HeldLink {
    links: Arc<Links>,
    id: SessionId,
}

impl Drop for HeldLink {
    fn drop(&mut self) {
        self.links.all().remove(&self.id);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.id.0)
    }
}
