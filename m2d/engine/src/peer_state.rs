//! The engine's in-memory state of one contact.

use super::time::PeerClock;
use super::{Effect, Engine, Refusal};
use crate::session::Session;
use m2_core::ContactState;
use m2_core::found::Found;
use m2_core::sessions::SessionId;
use m2_crypto::{Certificate, PeerId};
use m2_delivery::{Conversation, Limits};
use m2_proto::reason::Reason;
use m2_store::{ContactRow, LookupSecrets, StoreError};
use m2_wire::CloseCode;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// One contact with its sessions and, once loaded, its conversation.
pub(super) struct PeerState {
    /// The row as stored.
    pub contact: ContactRow,
    /// The parsed certificate, cached at its first use.
    pub certificate: Option<Arc<Certificate>>,
    /// The conversation, loaded at its first use.
    pub conversation: Option<Conversation>,
    /// Established sessions, in order of preference: messages are sent on the last.
    pub links: Vec<Arc<Session>>,
    /// The newest session in which the contact stated its places.
    pub placed_by: u64,
    /// Due time of the conversation's timer, in Unix milliseconds.
    pub timer: Option<u64>,
    /// The session whose look-up secrets were stored last.
    pub agreed_in: Option<u64>,
    /// The pairwise look-up secrets, cached at their first use.
    pub secrets: Option<LookupSecrets>,
    /// Addresses and lines found by look-up.
    pub found: Found,
    /// The contact's clock, as its last session reported it.
    pub clock: Option<PeerClock>,
    /// Why the last attempt to reach the contact failed, as a stable reason; empty if it did not.
    pub last_failure: &'static str,
    /// Why the contact refused the last session, as a stable reason; empty if it did not.
    pub refused: &'static str,
    /// Consecutive sessions that the contact refused.
    pub refusals: u32,
    /// Consecutive sessions that ended early.
    pub short_sessions: u32,
    /// When a session began to serve or the contact last acknowledged a message, in milliseconds of
    /// the steady clock.
    pub confirmed_ms: u64,
}

impl PeerState {
    fn new(contact: ContactRow) -> Self {
        Self {
            contact,
            certificate: None,
            conversation: None,
            links: Vec::new(),
            placed_by: 0,
            timer: None,
            agreed_in: None,
            secrets: None,
            found: Found::default(),
            clock: None,
            last_failure: "",
            refused: "",
            refusals: 0,
            short_sessions: 0,
            confirmed_ms: 0,
        }
    }

    /// Takes over the state that exists in memory alone, as a rollback does not affect it. Sessions
    /// that have ended are dropped, since the batch that recorded their end may have been rolled
    /// back. Returns whether that leaves no session where there was one before.
    fn inherit(&mut self, before: Self, is_over: &dyn Fn(SessionId) -> bool) -> bool {
        let had_links = !before.links.is_empty();
        self.links = before.links;
        self.links.retain(|link| !is_over(link.id));
        self.short_sessions = before.short_sessions;
        self.found = before.found;
        self.clock = before.clock;
        self.last_failure = before.last_failure;
        self.refused = before.refused;
        self.refusals = before.refusals;
        self.confirmed_ms = before.confirmed_ms;
        had_links && self.links.is_empty()
    }

    /// Returns the session to send on.
    pub(super) fn link(&self) -> Option<&Arc<Session>> {
        self.links.last()
    }

    /// Returns the sessions with these ids, in their order.
    pub(super) fn links_of(&self, ids: &[SessionId]) -> Vec<Arc<Session>> {
        let link = |id: &SessionId| self.links.iter().find(|link| link.id == *id);
        ids.iter().filter_map(link).cloned().collect()
    }

    /// Returns the certificate, parsed at its first use.
    ///
    /// Errors: NOT_A_CONTACT if no session with the peer has been up yet; the store's if the
    /// certificate is damaged.
    pub(super) fn certificate(&mut self) -> Result<Arc<Certificate>, Refusal> {
        if let Some(certificate) = &self.certificate {
            return Ok(certificate.clone());
        }
        let spki = self.contact.certificate.as_deref();
        let spki = spki.ok_or_else(|| Refusal::new(Reason::NotAContact))?;
        let parsed =
            Certificate::from_spki_der(spki).map_err(|_| StoreError::Corrupt("certificate"))?;
        let certificate = Arc::new(parsed);
        self.certificate = Some(certificate.clone());
        Ok(certificate)
    }
}

impl Engine {
    /// Reads all contacts from the store. Established sessions are kept.
    pub(super) fn reload(&mut self) -> Result<(), StoreError> {
        let contacts = self.store.contacts()?;
        self.mail.load(&self.store)?;
        let over = std::mem::take(&mut self.over);
        let is_over = |id: SessionId| over.contains(&id);
        // No step after this one may fail in a way that loses track of a session.
        let before = std::mem::take(&mut self.peers);
        let mut before: HashMap<PeerId, PeerState> = before
            .into_values()
            .map(|peer_state| (peer_state.contact.peer_id, peer_state))
            .collect();
        self.rows.clear();
        self.timers.clear();
        let mut lost = Vec::new();
        for contact in contacts {
            let mut peer_state = PeerState::new(contact);
            let before = before.remove(&peer_state.contact.peer_id);
            if before.is_some_and(|before| peer_state.inherit(before, &is_over)) {
                lost.push(peer_state.contact.row);
            }
            self.rows
                .insert(peer_state.contact.peer_id, peer_state.contact.row);
            self.peers.insert(peer_state.contact.row, peer_state);
        }
        for link in before.into_values().flat_map(|peer_state| peer_state.links) {
            let end = Effect::Close(link.id, CloseCode::Done);
            self.effects.push_back(end);
        }
        self.strangers.retain(|id| !is_over(*id));
        self.sessions.retain(&is_over);
        for row in lost {
            self.note_end(row, Duration::ZERO);
        }
        self.note_priorities()?;
        self.wake_conversations()
    }

    /// Returns the row of a peer that has a slot.
    pub(super) fn row_of(&self, peer: &PeerId) -> Option<i64> {
        self.rows.get(peer).copied()
    }

    /// Creates a slot for a contact that was just stored.
    pub(super) fn insert_peer(&mut self, contact: ContactRow) -> &mut PeerState {
        let row = contact.row;
        self.rows.insert(contact.peer_id, row);
        self.peers
            .entry(row)
            .or_insert_with(|| PeerState::new(contact))
    }

    /// Iterates over the rows of the contacts in a state.
    pub(super) fn contacts_in(&self, state: ContactState) -> impl Iterator<Item = i64> + '_ {
        let peers = self.peers.values();
        peers
            .filter(move |peer_state| peer_state.contact.state == state)
            .map(|peer_state| peer_state.contact.row)
    }

    /// Returns how many contacts are in a state.
    pub(super) fn count(&self, state: ContactState) -> usize {
        self.contacts_in(state).count()
    }

    /// Returns the limits of a conversation.
    pub(super) fn delivery_limits(&self) -> Limits {
        Limits {
            max_outbox: self.limits.max_outbox as usize,
            ..Limits::default()
        }
    }
}
