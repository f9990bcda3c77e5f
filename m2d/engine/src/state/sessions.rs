//! Sessions as the engine knows them. Their connections belong to the network tasks; the two share
//! an id.

use crate::pseudonym::Pseudonym;
use m2_core::sessions::{SessionId, SessionView};
use m2_core::strangers::Strangers;
use m2_crypto::envelope::{EpochSecret, SESSION_NAME_BYTES};
use m2_crypto::letter::LetterSecret;
use m2_crypto::{Certificate, PeerId, Secret};
use m2_delivery::Path;
use m2_wire::{Message, Places};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The most statements of places in one session: one at its start, one each time the two become
/// contacts in it, and one for each new incarnation.
const MAX_STATEMENTS: u32 = 8;

/// What is known of a session since it was established.
pub struct Session {
    /// Identifies this session within this run of the daemon.
    pub id: SessionId,
    /// The peer's id, proven in the handshake.
    pub peer_id: PeerId,
    /// The peer's certificate, proven in the handshake.
    pub certificate: Arc<Certificate>,
    /// The number of the handshake's suite.
    pub suite: u16,
    /// True if this daemon dialled.
    pub dialled: bool,
    /// The peer's address when the session was established.
    pub remote: SocketAddr,
    /// The path of the session.
    pub path: Path,
    /// Key that binds invitation proofs to this session.
    pub proof_key: Secret<32>,
    /// The name of the session in grants.
    pub name_in_grants: [u8; SESSION_NAME_BYTES],
    /// Pairwise look-up secrets of this session: this daemon's, then the peer's.
    pub lookup_secrets: (Secret<32>, Secret<32>),
}

impl Session {
    /// Returns the peer's name in debug lines.
    pub fn name(&self) -> Pseudonym {
        Pseudonym::of(&self.peer_id)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.id.0)
    }
}

/// What has happened in a session.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// True once the conversation was notified of the session. A conversation that is loaded again
    /// must be notified again.
    pub begun: bool,
    /// The incarnation that this daemon stated last; 0 before the first statement.
    pub stated: u64,
    /// The peer's latest statement.
    pub places: Option<Arc<Places>>,
    /// How often the peer has stated its places.
    statements: u32,
    /// How often the peer has stated the series of which it has tokens. It takes tokens since the first.
    series_statements: u32,
    /// How often this daemon has stated the series of which it has tokens.
    series_said: u32,
    /// True once what letters need was exchanged in the session.
    pub greeted: bool,
    /// True if the peer sent a contact request.
    pub asked: bool,
    /// True once the contact reported this daemon's observed address.
    pub told_observed: bool,
    /// True if another session should replace this one, as it is old or its path is gone.
    pub stale: bool,
    /// True while frames have been unanswered for seconds and no datagram was received since.
    pub in_doubt: bool,
    /// The peer's clock, in Unix milliseconds, minus the local steady clock, if the peer reported its
    /// time. The local wall clock may be set while the session is up.
    pub clock: Option<i64>,
}

impl Progress {
    /// Returns whether another session should replace this one.
    pub(crate) const fn wants_successor(&self) -> bool {
        self.stale || self.in_doubt
    }

    /// Returns whether the peer has stated its places in this session.
    pub(crate) const fn is_placed(&self) -> bool {
        self.statements > 0
    }

    /// Counts a statement of series. Returns whether it is within the limit.
    pub(crate) const fn takes_series(&mut self) -> bool {
        self.series_statements = self.series_statements.saturating_add(1);
        self.series_statements <= MAX_STATEMENTS
    }

    /// Counts a statement of series of this daemon. Returns whether the peer takes another one.
    pub(crate) const fn may_say_series(&mut self) -> bool {
        self.series_said = self.series_said.saturating_add(1);
        self.series_said <= MAX_STATEMENTS
    }

    /// Returns whether the peer takes tokens.
    pub(crate) const fn takes_tokens(&self) -> bool {
        self.series_statements > 0
    }

    /// Counts a statement of the peer. Returns whether it is within the limit.
    pub(crate) const fn takes_statement(&mut self) -> bool {
        self.statements = self.statements.saturating_add(1);
        self.statements <= MAX_STATEMENTS
    }
}

/// The established sessions of all peers.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    established: HashMap<SessionId, Established>,
    /// Sessions with peers that have no row, oldest first. They may only send a contact request.
    pub(crate) strangers: Strangers<SessionId>,
    /// The older ones of crossed sessions, and when they are closed, in Unix milliseconds.
    pub(crate) crossed: BTreeSet<(u64, SessionId)>,
    /// Sessions in which epochs may have been opened in this batch.
    lent: Vec<SessionId>,
    /// Sessions with once-per-session frames in this batch. They are closed if it is rolled back.
    pub(crate) sent_once: Vec<SessionId>,
    /// Sessions that were reported as ended in the batch that was rolled back last.
    pub(crate) over: Vec<SessionId>,
}

#[derive(Debug)]
struct Established {
    session: Arc<Session>,
    progress: Progress,
    /// The secrets that its engine keeps.
    secrets: SessionSecrets,
}

/// The secrets of a session that the engine uses.
#[derive(Debug)]
pub struct SessionSecrets {
    /// The secret of the epochs that this side opens in it.
    pub epochs: EpochSecret,
    /// The secret that it leaves for letters.
    pub letters: LetterSecret,
}

impl Sessions {
    /// Adds a session. `clock` is that of [`Progress`].
    pub(crate) fn insert(
        &mut self,
        session: Arc<Session>,
        secrets: SessionSecrets,
        clock: Option<i64>,
    ) {
        let progress = Progress {
            clock,
            ..Progress::default()
        };
        let established = Established {
            session,
            progress,
            secrets,
        };
        self.established.insert(established.session.id, established);
    }

    /// Removes a session that has ended.
    pub(crate) fn remove(&mut self, id: SessionId) -> Option<Arc<Session>> {
        self.established
            .remove(&id)
            .map(|established| established.session)
    }

    /// Returns a session unless it has ended.
    pub(crate) fn get(&self, id: SessionId) -> Option<Arc<Session>> {
        let established = self.established.get(&id);
        established.map(|established| established.session.clone())
    }

    /// Returns the progress of a session; `None` once it has ended.
    pub(crate) fn progress(&self, id: SessionId) -> Option<&Progress> {
        self.established
            .get(&id)
            .map(|established| &established.progress)
    }

    /// Returns the progress of a session, to change it.
    pub(crate) fn progress_mut(&mut self, id: SessionId) -> Option<&mut Progress> {
        let established = self.established.get_mut(&id);
        established.map(|established| &mut established.progress)
    }

    /// Returns the secret of the epochs that this side opens in a session.
    pub(crate) fn epochs_mut(&mut self, id: SessionId) -> Option<&mut EpochSecret> {
        if self.lent.last() != Some(&id) {
            self.lent.push(id);
        }
        let established = self.established.get_mut(&id);
        established.map(|established| &mut established.secrets.epochs)
    }

    /// Returns the secret that a session leaves for letters; `None` once it has ended.
    pub(crate) fn letter_secret(&self, id: SessionId) -> Option<LetterSecret> {
        let established = self.established.get(&id);
        established.map(|established| established.secrets.letters.clone())
    }

    /// Erases the shares of the epochs that were opened in a batch that is on disk.
    pub(crate) fn settle_epochs(&mut self) {
        for id in std::mem::take(&mut self.lent) {
            if let Some(established) = self.established.get_mut(&id) {
                established.secrets.epochs.settle();
            }
        }
    }

    /// Takes back the shares of the epochs that were opened in a batch that is rolled back.
    pub(crate) fn take_back_epochs(&mut self) {
        for id in std::mem::take(&mut self.lent) {
            if let Some(established) = self.established.get_mut(&id) {
                established.secrets.epochs.take_back();
            }
        }
    }

    /// Drops the sessions that have ended.
    pub(crate) fn retain(&mut self, is_over: &dyn Fn(SessionId) -> bool) {
        self.established.retain(|id, _| !is_over(*id));
    }

    /// Iterates over the ids of all sessions.
    pub(crate) fn ids(&self) -> impl Iterator<Item = SessionId> + '_ {
        self.established.keys().copied()
    }

    pub(crate) fn has_begun(&self, id: SessionId) -> bool {
        let progress = self.progress(id);
        progress.is_some_and(|progress| progress.begun)
    }

    /// Records a contact request of a session's peer. Returns whether it sent one before.
    pub(crate) fn asks(&mut self, id: SessionId) -> bool {
        let progress = self.progress_mut(id);
        progress.is_some_and(|progress| std::mem::replace(&mut progress.asked, true))
    }

    /// Returns whether a session does not serve any more, or not for long.
    pub(crate) fn wants_successor(&self, id: SessionId) -> bool {
        let progress = self.progress(id);
        progress.is_none_or(Progress::wants_successor)
    }

    /// Returns whether a session's peer does not answer.
    pub(crate) fn is_in_doubt(&self, id: SessionId) -> bool {
        let progress = self.progress(id);
        progress.is_none_or(|progress| progress.in_doubt)
    }

    /// Records whether a session's peer answers.
    pub(crate) fn set_doubt(&mut self, id: SessionId, in_doubt: bool) {
        if let Some(progress) = self.progress_mut(id) {
            progress.in_doubt = in_doubt;
        }
    }

    /// Marks a session to be replaced as soon as possible.
    pub(crate) fn mark_stale(&mut self, id: SessionId) {
        if let Some(progress) = self.progress_mut(id) {
            progress.stale = true;
        }
    }

    /// Returns what the choice of the serving session depends on.
    pub(crate) fn view_of(&self, session: &Session) -> SessionView {
        SessionView {
            id: session.id,
            dialled: session.dialled,
            path: session.path,
            wants_successor: self.wants_successor(session.id),
        }
    }

    /// Returns whether the peer has stated its places in a session.
    pub(crate) fn is_placed(&self, id: SessionId) -> bool {
        let progress = self.progress(id);
        progress.is_some_and(Progress::is_placed)
    }

    /// Returns the peer's latest statement in a session.
    pub(crate) fn places_in(&self, id: SessionId) -> Option<Arc<Places>> {
        self.progress(id)?.places.clone()
    }

    /// Returns the incarnation that this daemon stated last in a session; 0 before the first
    /// statement.
    pub(crate) fn stated_in(&self, id: SessionId) -> u64 {
        let progress = self.progress(id);
        progress.map_or(0, |progress| progress.stated)
    }

    /// Records that the conversation was notified of a session.
    pub(crate) fn note_begun(&mut self, id: SessionId) {
        if let Some(progress) = self.progress_mut(id) {
            progress.begun = true;
        }
    }

    /// Returns the sessions of a peer as the core sees them, in order of preference.
    pub(crate) fn views(&self, links: &[Arc<Session>]) -> Vec<SessionView> {
        links.iter().map(|link| self.view_of(link)).collect()
    }
}

/// Returns whether a frame is sent once per session, so that the session is useless if it is lost.
pub fn is_sent_once(frame: &Message) -> bool {
    matches!(
        frame,
        Message::Places(_)
            | Message::ContactRequest(_)
            | Message::ContactReply { .. }
            | Message::Mailbox(_)
            | Message::Line(_)
    )
}
