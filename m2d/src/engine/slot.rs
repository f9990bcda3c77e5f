//! What the engine keeps in memory of one contact.

use super::Engine;
use super::found::Found;
use super::time::PeerClock;
use crate::network::Link;
use crate::store::{ContactRow, ContactState, LookupSecrets, StoreError};
use bytes::Bytes;
use m2_crypto::{Certificate, PeerId};
use m2_net::delivery::{Conversation, Limits, MessageId};
use m2_net::session::CloseCode;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Sealed bytes kept in memory between sealing and sending; others are read from the store.
const FRESH_BYTES: usize = 4 << 20;

/// One contact with its sessions and, once it is needed, its conversation.
pub(super) struct Slot {
    /// The row as stored.
    pub contact: ContactRow,
    /// The parsed certificate, once it was needed.
    pub certificate: Option<Arc<Certificate>>,
    /// The delivery machine, once it was needed.
    pub conversation: Option<Conversation>,
    /// Sessions that are up, the one to send on last.
    pub links: Vec<Arc<Link>>,
    /// Sealed messages that were not handed to a session yet.
    pub fresh: Fresh,
    /// The newest session in which it stated its places.
    pub placed_by: u64,
    /// When the conversation's timer is set to.
    pub timer: Option<u64>,
    /// The session whose look-up secrets were stored last.
    pub agreed_in: Option<u64>,
    /// The pairwise secrets of look-up, once they were needed.
    pub secrets: Option<LookupSecrets>,
    /// Ways to it that look-up found.
    pub found: Found,
    /// What it told of its clock last.
    pub clock: Option<PeerClock>,
    /// Why the last attempt to reach it failed.
    pub last_failure: &'static str,
    /// Why it ended our last session, as a stable reason, if it did not want it.
    pub refused: &'static str,
    /// Sessions in a row that it refused.
    pub refusals: u32,
    /// Sessions in a row that ended soon.
    pub short_sessions: u32,
}

impl Slot {
    fn new(contact: ContactRow) -> Self {
        Self {
            contact,
            certificate: None,
            conversation: None,
            links: Vec::new(),
            fresh: Fresh::default(),
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
        }
    }

    /// Keeps what is of memory alone: it does not change with what could not be written. Of sessions that
    /// are over, the end may be what could not be written. Returns whether the last session is lost so.
    fn inherit(&mut self, before: Self) -> bool {
        let had_links = !before.links.is_empty();
        self.links = before.links;
        self.links.retain(|link| !link.is_over());
        self.short_sessions = before.short_sessions;
        self.found = before.found;
        self.clock = before.clock;
        self.last_failure = before.last_failure;
        self.refused = before.refused;
        self.refusals = before.refusals;
        had_links && self.links.is_empty()
    }

    /// The session to send on.
    pub(super) fn link(&self) -> Option<&Arc<Link>> {
        self.links.last()
    }

    /// The certificate, parsed at its first use.
    pub(super) fn certificate(&mut self) -> Result<Arc<Certificate>, StoreError> {
        if let Some(certificate) = &self.certificate {
            return Ok(certificate.clone());
        }
        let spki = self.contact.certificate.as_deref().unwrap_or_default();
        let parsed =
            Certificate::from_spki_der(spki).map_err(|_| StoreError::Corrupt("certificate"))?;
        let certificate = Arc::new(parsed);
        self.certificate = Some(certificate.clone());
        Ok(certificate)
    }
}

/// A bounded memory of sealed bytes, oldest out first.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    sealed: HashMap<MessageId, (u64, Bytes)>,
    order: VecDeque<MessageId>,
    size: usize,
}

impl Fresh {
    /// Keeps the sealed bytes of a message under an epoch.
    pub(super) fn put(&mut self, id: MessageId, epoch: u64, sealed: Bytes) {
        self.size += sealed.len();
        self.order.push_back(id);
        if let Some((_, old)) = self.sealed.insert(id, (epoch, sealed)) {
            self.size = self.size.saturating_sub(old.len());
        }
        while self.size > FRESH_BYTES || self.order.len() > 4 * 1_024 {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            let _ = self.take(&oldest);
        }
    }

    /// Takes the sealed bytes of a message, with their epoch.
    pub(super) fn take(&mut self, id: &MessageId) -> Option<(u64, Bytes)> {
        let found = self.sealed.remove(id)?;
        self.size = self.size.saturating_sub(found.1.len());
        if self.sealed.is_empty() {
            self.order.clear();
        }
        Some(found)
    }
}

impl Engine {
    /// Reads all contacts from the store. Sessions that are up stay.
    pub(super) fn reload(&mut self) -> Result<(), StoreError> {
        let contacts = self.store.contacts()?;
        self.mail.load(&self.store)?;
        // From here on nothing fails that would lose sight of a session.
        let before = std::mem::take(&mut self.slots);
        let mut before: HashMap<PeerId, Slot> = before
            .into_values()
            .map(|slot| (slot.contact.peer_id, slot))
            .collect();
        self.rows.clear();
        self.timers.clear();
        let mut lost = Vec::new();
        for contact in contacts {
            let mut slot = Slot::new(contact);
            let before = before.remove(&slot.contact.peer_id);
            if before.is_some_and(|before| slot.inherit(before)) {
                lost.push(slot.contact.row);
            }
            self.rows.insert(slot.contact.peer_id, slot.contact.row);
            self.slots.insert(slot.contact.row, slot);
        }
        for link in before.into_values().flat_map(|slot| slot.links) {
            link.close(CloseCode::Done);
        }
        self.strangers.retain(|_, link| !link.is_over());
        for row in lost {
            self.note_end(row, Duration::ZERO);
        }
        for row in self.slots.keys() {
            self.note_caller(*row)?;
        }
        self.wake_conversations()
    }

    /// The row of a peer that has a slot.
    pub(super) fn row_of(&self, peer: &PeerId) -> Option<i64> {
        self.rows.get(peer).copied()
    }

    /// Makes a slot for a contact that was just stored.
    pub(super) fn insert_slot(&mut self, contact: ContactRow) -> &mut Slot {
        let row = contact.row;
        self.rows.insert(contact.peer_id, row);
        self.slots.entry(row).or_insert_with(|| Slot::new(contact))
    }

    /// The rows that are in a state.
    pub(super) fn contacts_in(&self, state: ContactState) -> impl Iterator<Item = i64> + '_ {
        let slots = self.slots.values();
        slots
            .filter(move |slot| slot.contact.state == state)
            .map(|slot| slot.contact.row)
    }

    /// How many slots are in a state.
    pub(super) fn count(&self, state: ContactState) -> usize {
        self.contacts_in(state).count()
    }

    /// The limits of a conversation.
    pub(super) fn delivery_limits(&self) -> Limits {
        Limits {
            max_outbox: self.limits.max_outbox as usize,
            ..Limits::default()
        }
    }
}
