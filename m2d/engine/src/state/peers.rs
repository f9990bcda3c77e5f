//! The peers that have a row, with what is in memory of each.

use super::{PeerClock, Session};
use crate::refusal::Refusal;
use m2_core::contact_name::{is_fit, look_alike};
use m2_core::found::Found;
use m2_core::resolve::{self, NotFound};
use m2_core::sessions::SessionId;
use m2_core::{ContactState, PathFailure};
use m2_crypto::{Certificate, PeerId};
use m2_delivery::Conversation;
use m2_proto::reason::Reason;
use m2_store::{ContactRow, ContactRowId, LookupSecrets, StoreError};
use std::collections::HashMap;
use std::sync::Arc;

/// One contact with its sessions and, once loaded, its conversation.
pub(crate) struct PeerState {
    /// The row as stored.
    pub(crate) contact: ContactRow,
    /// The parsed certificate, cached at its first use.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// The conversation, loaded at its first use.
    pub(crate) conversation: Option<Conversation>,
    /// Established sessions, in order of preference: messages are sent on the last.
    pub(crate) links: Vec<Arc<Session>>,
    /// The newest session in which the contact stated its places.
    pub(crate) placed_by: u64,
    /// Due time of the conversation's timer, in Unix milliseconds.
    pub(crate) timer: Option<u64>,
    /// The session whose look-up secrets were stored last.
    pub(crate) agreed_in: Option<u64>,
    /// The pairwise look-up secrets, cached at their first use.
    pub(crate) secrets: Option<LookupSecrets>,
    /// Addresses and lines found by look-up.
    pub(crate) found: Found,
    /// The contact's clock, as its last session reported it.
    pub(crate) clock: Option<PeerClock>,
    /// Why the last attempt to reach the contact failed; `None` if it did not.
    pub(crate) last_failure: Option<PathFailure>,
    /// Why the contact refused the last session; `None` if it did not.
    pub(crate) refused: Option<PathFailure>,
    /// Consecutive sessions that the contact refused.
    pub(crate) refusals: u32,
    /// Consecutive sessions that ended early.
    pub(crate) short_sessions: u32,
    /// When a session began to serve or the contact last acknowledged a message, in milliseconds of
    /// the steady clock.
    pub(crate) confirmed_ms: u64,
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
            last_failure: None,
            refused: None,
            refusals: 0,
            short_sessions: 0,
            confirmed_ms: 0,
        }
    }

    /// Takes over the state that exists in memory alone, as a rollback does not affect it. Sessions
    /// that have ended are dropped, since the batch that recorded their end may have been rolled
    /// back. Returns whether that leaves no session where there was one before.
    pub(crate) fn inherit(&mut self, before: Self, is_over: &dyn Fn(SessionId) -> bool) -> bool {
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
    pub(crate) fn link(&self) -> Option<&Arc<Session>> {
        self.links.last()
    }

    /// Returns the sessions with these ids, in their order.
    pub(crate) fn links_of(&self, ids: &[SessionId]) -> Vec<Arc<Session>> {
        let link = |id: &SessionId| self.links.iter().find(|link| link.id == *id);
        ids.iter().filter_map(link).cloned().collect()
    }

    /// Returns the certificate, parsed at its first use.
    ///
    /// Errors: NOT_A_CONTACT if no session with the peer has been up yet; the store's if the
    /// certificate is damaged.
    pub(crate) fn certificate(&mut self) -> Result<Arc<Certificate>, Refusal> {
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

/// All peers that have a row, by row.
#[derive(Default)]
pub(crate) struct Peers {
    by_row: HashMap<ContactRowId, PeerState>,
    rows: HashMap<PeerId, ContactRowId>,
}

impl Peers {
    /// Returns the peer with a row.
    pub(crate) fn get(&self, row: &ContactRowId) -> Option<&PeerState> {
        self.by_row.get(row)
    }

    /// Returns the peer with a row, to change it.
    pub(crate) fn get_mut(&mut self, row: &ContactRowId) -> Option<&mut PeerState> {
        self.by_row.get_mut(row)
    }

    /// Iterates over all peers.
    pub(crate) fn values(&self) -> impl Iterator<Item = &PeerState> {
        self.by_row.values()
    }

    /// Iterates over all peers, to change them.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut PeerState> {
        self.by_row.values_mut()
    }

    /// Returns all rows.
    pub(crate) fn rows(&self) -> Vec<ContactRowId> {
        self.by_row.keys().copied().collect()
    }

    /// Returns the row of a peer.
    pub(crate) fn row_of(&self, peer: &PeerId) -> Option<ContactRowId> {
        self.rows.get(peer).copied()
    }

    /// Adds a contact that was just stored or read.
    pub(crate) fn insert(&mut self, contact: ContactRow) -> &mut PeerState {
        let row = contact.row;
        self.rows.insert(contact.peer_id, row);
        self.by_row
            .entry(row)
            .or_insert_with(|| PeerState::new(contact))
    }

    /// Removes a peer whose row was deleted.
    pub(crate) fn remove(&mut self, row: ContactRowId) {
        if let Some(peer_state) = self.by_row.remove(&row) {
            self.rows.remove(&peer_state.contact.peer_id);
        }
    }

    /// Removes all peers, and returns them by their ids.
    pub(crate) fn take(&mut self) -> HashMap<PeerId, PeerState> {
        self.rows.clear();
        let peers = std::mem::take(&mut self.by_row).into_values();
        peers
            .map(|peer_state| (peer_state.contact.peer_id, peer_state))
            .collect()
    }

    /// Iterates over the rows of the contacts in a state.
    pub(crate) fn contacts_in(
        &self,
        state: ContactState,
    ) -> impl Iterator<Item = ContactRowId> + '_ {
        self.values()
            .filter(move |peer_state| peer_state.contact.state == state)
            .map(|peer_state| peer_state.contact.row)
    }

    /// Returns how many contacts are in a state.
    pub(crate) fn count(&self, state: ContactState) -> usize {
        self.contacts_in(state).count()
    }

    /// Returns the number of rows that count towards the limit of contacts.
    pub(crate) fn living(&self) -> usize {
        self.by_row.len() - self.count(ContactState::Removed)
    }

    /// Returns whether the peer with a row is a contact.
    pub(crate) fn is_contact(&self, row: ContactRowId) -> bool {
        self.get(&row)
            .is_some_and(|peer_state| peer_state.contact.state == ContactState::Contact)
    }

    /// Returns the row of a contact as stored, to change it.
    ///
    /// Errors: CONTACT_UNKNOWN.
    pub(crate) fn contact_mut(&mut self, row: ContactRowId) -> Result<&mut ContactRow, Refusal> {
        let peer_state = self.get_mut(&row).ok_or_else(unknown)?;
        Ok(&mut peer_state.contact)
    }

    /// Returns the session on which a peer's messages are sent.
    pub(crate) fn serving(&self, row: ContactRowId) -> Option<Arc<Session>> {
        self.get(&row)?.link().cloned()
    }

    /// Returns whether a session is the one to send on.
    pub(crate) fn serves(&self, row: ContactRowId, link: &Session) -> bool {
        let serving = self.get(&row).and_then(PeerState::link);
        serving.is_some_and(|serving| serving.id == link.id)
    }

    /// Returns all sessions with a peer.
    pub(crate) fn links(&self, row: ContactRowId) -> Vec<Arc<Session>> {
        let peer_state = self.get(&row);
        peer_state.map_or_else(Vec::new, |peer_state| peer_state.links.clone())
    }

    /// Checks that a name is fit and free for the contact with `row`.
    pub(crate) fn check_name(&self, name: &str, row: Option<ContactRowId>) -> Result<(), Refusal> {
        if !is_fit(name) {
            return Err(Refusal::argument(
                "name",
                "1..64 bytes, visible",
                "A name has 1 to 64 bytes, no invisible or control characters, no spaces at its \
                 ends, and does not begin like a peer id (m21).",
            ));
        }
        let taken = self.values().any(|peer_state| {
            Some(peer_state.contact.row) != row
                && peer_state.contact.state != ContactState::Removed
                && look_alike(&peer_state.contact.name, name)
        });
        if taken {
            return Err(Refusal::new(Reason::NameTaken));
        }
        Ok(())
    }

    /// Names a contact as the user wants, else as the peer suggests if that name is free and fit.
    /// Otherwise keeps the name.
    pub(crate) fn name(
        &mut self,
        row: ContactRowId,
        wanted: &str,
        suggested: &str,
    ) -> Result<(), Refusal> {
        if !wanted.is_empty() {
            self.check_name(wanted, Some(row))?;
            self.contact_mut(row)?.name = wanted.to_owned();
        } else if self.check_name(suggested, Some(row)).is_ok() {
            self.contact_mut(row)?.name = suggested.to_owned();
        }
        Ok(())
    }

    /// Returns the contact with this name, this peer id, or the only one whose id has this prefix.
    pub(crate) fn resolve(&self, text: &str) -> Result<ContactRowId, Refusal> {
        let known = || {
            self.values()
                .filter(|peer_state| peer_state.contact.state != ContactState::Removed)
        };
        let folded = text.to_lowercase();
        let by_name = known().find(|peer_state| peer_state.contact.name.to_lowercase() == folded);
        if let Some(peer_state) = by_name {
            return Ok(peer_state.contact.row);
        }
        let by_id = known().map(|peer_state| &peer_state.contact);
        let by_id = by_id.map(|contact| (contact.peer_id, contact.row));
        resolve::by_prefix(text, by_id).map_err(|error| match error {
            NotFound::Unknown => unknown(),
            NotFound::Ambiguous => Refusal::new(Reason::ContactAmbiguous),
        })
    }

    /// Returns the peer as [`Self::resolve`] does, if it waits for an answer to its request.
    pub(crate) fn resolve_request(&self, name: &str) -> Result<ContactRowId, Refusal> {
        let row = self.resolve(name)?;
        let peer_state = self.get(&row).ok_or_else(unknown)?;
        if peer_state.contact.state == ContactState::Request {
            Ok(row)
        } else {
            Err(Refusal::new(Reason::NoRequest))
        }
    }
}

/// Returns the refusal for a contact that does not exist.
pub(crate) fn unknown() -> Refusal {
    Refusal::new(Reason::ContactUnknown)
}
