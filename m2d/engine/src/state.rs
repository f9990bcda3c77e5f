//! What the engine has in memory. Each part is an object of its own. A rule that concerns several
//! parts is a function of its room, with the whole state as its first argument.

mod batch;
mod conversations;
mod dirty;
mod lines;
mod mail;
mod maintenance;
mod peers;
mod presences;
mod sessions;
mod shared;
mod time;
mod waiting_suites;

pub use lines::LineHealth;
pub use mail::BoxHealth;
pub use sessions::{Session, SessionSecrets, is_sent_once};

pub(crate) use batch::{Batch, Changed};
pub(crate) use conversations::{Conversations, Renewal};
pub(crate) use lines::Lines;
pub(crate) use mail::Mail;
pub(crate) use maintenance::{Maintenance, Round};
pub(crate) use peers::{PeerState, Peers, unknown};
pub(crate) use presences::Presences;
pub(crate) use sessions::Sessions;
pub(crate) use shared::{Shared, Worker};
pub(crate) use time::{PeerClock, TimeKeeping};
pub(crate) use waiting_suites::WaitingSuites;

use crate::effect::{ContactNotice, NoticeKind};
use m2_core::sessions::SessionView;
use m2_crypto::PeerId;
use m2_store::{ContactRowId, StoreError};

/// The engine's state.
pub(crate) struct State {
    /// The open batch.
    pub(crate) batch: Batch,
    /// Contacts and other peers with a row.
    pub(crate) peers: Peers,
    /// Established sessions.
    pub(crate) sessions: Sessions,
    /// What the conversations share.
    pub(crate) conversations: Conversations,
    /// Mailboxes.
    pub(crate) mail: Mail,
    /// Relays.
    pub(crate) lines: Lines,
    /// When periodic work is due.
    pub(crate) maintenance: Maintenance,
    /// Progress of the retention scan.
    pub(crate) round: Round,
    /// Suites that are not stored yet.
    pub(crate) suites: WaitingSuites,
    /// The workers that share client names.
    pub(crate) shared: Shared,
    /// Which contacts are online.
    pub(crate) presences: Presences,
    /// Which changes of the clock were handled.
    pub(crate) time: TimeKeeping,
    /// The incarnation of the event log.
    pub(crate) log_incarnation: u64,
}

impl State {
    /// Writes the rows that wait, so that statements about whole tables see them.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        self.conversations.dirty.flush(&self.batch.store)
    }

    /// Writes the rows that wait, and commits the batch.
    pub(crate) fn flush_and_commit(&mut self) -> Result<(), StoreError> {
        self.flush()?;
        self.batch.store.commit()
    }

    /// Deletes an incarnation of a contact, also from the rows that wait.
    pub(crate) fn delete_incarnation(
        &mut self,
        row: ContactRowId,
        incarnation: u64,
    ) -> Result<(), StoreError> {
        self.conversations
            .dirty
            .forget_incarnation(row, incarnation);
        self.batch.store.delete_incarnation(row, incarnation)
    }

    /// Returns the sessions of a peer as the core sees them, in order of preference.
    pub(crate) fn session_views(&self, row: ContactRowId) -> Vec<SessionView> {
        let links = self.peers.get(&row).map(|peer_state| &peer_state.links);
        links.map_or_else(Vec::new, |links| self.sessions.views(links))
    }

    /// Returns whether one of a peer's sessions is up and answers.
    pub(crate) fn is_online(&self, row: ContactRowId) -> bool {
        let links = self.peers.get(&row).map(|peer_state| &peer_state.links);
        links.is_some_and(|links| links.iter().any(|link| !self.sessions.is_in_doubt(link.id)))
    }

    /// Returns a notice about a contact, with its name and the time.
    pub(crate) fn notice_of(&self, contact: PeerId, notice: NoticeKind) -> ContactNotice {
        let row = self.peers.row_of(&contact);
        let peer_state = row.and_then(|row| self.peers.get(&row));
        ContactNotice {
            contact,
            name: peer_state.map_or_else(String::new, |it| it.contact.name.clone()),
            notice,
            time_ms: self.batch.now_ms(),
        }
    }

    /// Returns how far a contact's clock is ahead of the local one, in milliseconds, if it was
    /// reported since the start.
    pub(crate) fn skew_of(&self, row: ContactRowId) -> Option<i64> {
        let clock = self.peers.get(&row)?.clock?;
        Some(clock.ahead_of(self.batch.now_ms()))
    }
}
