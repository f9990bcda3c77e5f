//! When contacts are dialled: at the start, after a session ended or fell silent, and when there is
//! something to send.

use super::Engine;
use super::sessions::contact_like;
use super::slot::Slot;
use crate::network::Link;
use crate::refusal::Refusal;
use crate::store::BudgetRow;
use m2_crypto::PeerId;
use std::sync::Arc;

impl Engine {
    /// Nothing came back for what was sent on a session: the peer may be gone, or have lost its
    /// side of it. It is called beside, and the session that comes up takes the place of this one.
    pub fn on_link_silent(&mut self, link: &Arc<Link>) {
        tracing::debug!("a session is in doubt");
        self.counters.count("SESSION_SILENT");
        if let Err(refusal) = self.use_another(link) {
            self.fail_batch(refusal);
        }
        self.call_instead(link);
    }

    /// A session is to be renewed.
    pub fn on_link_old(&mut self, link: &Arc<Link>) {
        self.call_beside(link);
    }

    /// Calls a peer whose session serves still.
    pub(super) fn call_beside(&mut self, link: &Arc<Link>) {
        self.call_anew(link, false);
    }

    /// Calls a peer whose session does not serve any more.
    pub(super) fn call_instead(&mut self, link: &Arc<Link>) {
        self.call_anew(link, true);
    }

    fn call_anew(&mut self, link: &Arc<Link>, one_died: bool) {
        let row = self.row_of(&link.peer_id);
        let serves = |slot: &&Slot| slot.link().is_some_and(|it| it.id == link.id);
        let slot = row.and_then(|row| self.slots.get(&row)).filter(serves);
        let Some(slot) = slot.filter(|slot| contact_like(slot.contact.state)) else {
            return;
        };
        match self.route(slot.contact.row) {
            Ok(mut route) => {
                route.one_died = one_died;
                self.dialer.want(link.peer_id, route);
            }
            Err(refusal) => self.fail_batch(refusal),
        }
    }

    /// A peer could not be reached, for a stable reason.
    pub fn on_dial_failed(&mut self, peer: &PeerId, reason: &'static str) {
        let row = self.row_of(peer);
        let Some(slot) = row.and_then(|row| self.slots.get_mut(&row)) else {
            return;
        };
        match slot.link() {
            // It was heard again meanwhile.
            Some(link) if !link.wants_successor() => self.dialer.rest(*peer),
            _ => {
                slot.last_failure = reason;
                self.wake_lookup();
            }
        }
    }

    /// Remembers what a contact has left for dials to addresses that it named.
    pub fn save_budget(&mut self, left: &BudgetRow) {
        // A full disk must not take back what else is in the batch. Memory has it.
        if self.store.is_tight() {
            return;
        }
        let saved = self.store.put_budget(left);
        self.check(saved);
    }

    /// Wants a session with a contact, unless there is one.
    pub(super) fn dial(&mut self, row: i64) -> Result<(), Refusal> {
        let Some(slot) = self.slots.get(&row) else {
            return Ok(());
        };
        if !contact_like(slot.contact.state) || !slot.links.is_empty() {
            return Ok(());
        }
        self.dialer.want(slot.contact.peer_id, self.route(row)?);
        Ok(())
    }

    /// There is something to send: a contact that is away is tried soon, and looked for. Where it waits
    /// for the contact's statement of places, nothing else leaves on the session: a frame that says
    /// nothing shows whether the contact is still there.
    pub(super) fn hurry(&mut self, row: i64) {
        let Some(slot) = self.slots.get(&row) else {
            return;
        };
        match slot.link() {
            Some(link) if link.places().is_none() => link.nudge(),
            Some(_) => {}
            None => {
                self.dialer.hurry(slot.contact.peer_id);
                self.wake_lookup();
            }
        }
    }

    /// Wants sessions with all contacts, at the start.
    pub(super) fn dial_all(&mut self) {
        let rows: Vec<i64> = self.slots.keys().copied().collect();
        for row in rows {
            if let Err(refusal) = self.dial(row) {
                tracing::warn!(reason = %refusal.reason, "a contact's addresses can't be read");
            }
        }
    }
}
