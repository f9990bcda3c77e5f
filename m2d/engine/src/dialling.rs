//! Decides when contacts are dialled: at the start, after a session ended or fell silent, and when
//! messages are queued.

use super::peer_state::PeerState;
use super::{Effect, Engine};
use crate::refusal::Refusal;
use crate::session::Session;
use m2_core::address_budget::Level;
use m2_core::dial::Order;
use m2_crypto::PeerId;
use std::sync::Arc;

impl Engine {
    /// Handles a session without an answer: the peer may be gone, or have lost its side of the
    /// session. The peer is dialled, and a new session replaces this one.
    pub(crate) fn on_link_silent(&mut self, link: &Arc<Session>) {
        tracing::debug!(session = link.id.0, peer = %link.name(), "the session is in doubt: no answer for seconds");
        self.set_doubt(link.id, true);
        self.counters.count("SESSION_SILENT");
        if let Err(refusal) = self.use_another(link) {
            self.fail_batch(refusal);
        }
        self.dial_replacement(link);
    }

    /// Handles a datagram of a session that was in doubt.
    pub(crate) fn on_link_heard(&mut self, link: &Arc<Session>) {
        tracing::debug!(session = link.id.0, peer = %link.name(), "the session is no longer in doubt");
        self.set_doubt(link.id, false);
    }

    /// Handles a session that must be renewed because of its age.
    pub(crate) fn on_link_old(&mut self, link: &Arc<Session>) {
        tracing::debug!(session = link.id.0, peer = %link.name(), "the session is renewed because of its age");
        self.mark_stale(link.id);
        self.dial_successor(link);
    }

    /// Dials a peer while its session still serves.
    pub(super) fn dial_successor(&mut self, link: &Arc<Session>) {
        self.redial(link, false);
    }

    /// Dials a peer whose session does not serve any more.
    pub(super) fn dial_replacement(&mut self, link: &Arc<Session>) {
        self.redial(link, true);
    }

    fn redial(&mut self, link: &Arc<Session>, one_died: bool) {
        let row = self.row_of(&link.peer_id);
        let serves = |peer_state: &&PeerState| peer_state.link().is_some_and(|it| it.id == link.id);
        let peer_state = row.and_then(|row| self.peers.get(&row)).filter(serves);
        let Some(peer_state) = peer_state.filter(|peer_state| peer_state.contact.state.is_wanted())
        else {
            return;
        };
        match self.route(peer_state.contact.row) {
            Ok(mut route) => {
                route.one_died = one_died;
                self.order(link.peer_id, Order::Want(route, 0));
            }
            Err(refusal) => self.fail_batch(refusal),
        }
    }

    /// Handles a failed dial, with its stable reason.
    pub(crate) fn on_dial_failed(&mut self, peer: &PeerId, reason: &'static str) {
        let Some(row) = self.row_of(peer) else {
            return;
        };
        // The peer may have been heard again in the meantime.
        if self.is_well_served(row) {
            self.order(*peer, Order::Rest);
        } else if let Some(peer_state) = self.peers.get_mut(&row) {
            peer_state.last_failure = reason;
            self.wake_lookup();
        }
    }

    /// Stores the rest of a contact's budget for dialling addresses that it named.
    pub(crate) fn save_budget(&mut self, left: &Level) {
        // A full disk must not roll back the rest of the batch. The budget is kept in memory too.
        if self.store.is_tight() {
            return;
        }
        let saved = self.store.put_budget(left);
        self.check(saved);
    }

    /// Orders a session with a contact, unless there is one.
    pub(super) fn dial(&mut self, row: i64) -> Result<(), Refusal> {
        let Some(peer_state) = self.peers.get(&row) else {
            return Ok(());
        };
        if !peer_state.contact.state.is_wanted() || !peer_state.links.is_empty() {
            return Ok(());
        }
        let (peer, route) = (peer_state.contact.peer_id, self.route(row)?);
        self.order(peer, Order::Want(route, 0));
        Ok(())
    }

    /// Speeds up dialling and look-up for an offline contact that has a message queued. If its
    /// session still waits for its statement of places, no message can leave, so a cover frame
    /// probes whether the peer is alive.
    pub(super) fn expedite(&mut self, row: i64) {
        let Some(peer_state) = self.peers.get(&row) else {
            return;
        };
        match peer_state.link() {
            Some(link) if self.places_in(link.id).is_none() => {
                let probe = Effect::Probe(link.id);
                self.effect(probe);
            }
            Some(_) => {}
            None => {
                self.order(peer_state.contact.peer_id, Order::Expedite);
                self.wake_lookup();
            }
        }
    }

    /// Orders sessions with all contacts that are offline, at once.
    pub(super) fn dial_all(&mut self) -> Result<(), Refusal> {
        let rows: Vec<i64> = self.peers.keys().copied().collect();
        rows.into_iter().try_for_each(|row| self.dial(row))
    }

    /// Brings the dialer in line with the contacts in memory, whatever orders it had before: at the
    /// start, and after a batch was rolled back with its orders. Returns whether all routes could
    /// be read.
    pub(super) fn dial_missing(&mut self) -> bool {
        let mut is_complete = true;
        let mut orders = Vec::new();
        for (row, peer_state) in &self.peers {
            if self.is_well_served(*row) || !peer_state.contact.state.is_wanted() {
                continue;
            }
            match self.route(*row) {
                Ok(route) => {
                    let order = Order::Ensure(route, peer_state.short_sessions);
                    orders.push(Effect::Dial(peer_state.contact.peer_id, order));
                }
                Err(refusal) => {
                    tracing::debug!(reason = %refusal.reason, "a contact's addresses can't be read");
                    is_complete = false;
                }
            }
        }
        // They belong to no batch: what they say is on disk already.
        self.effects.extend(orders);
        is_complete
    }

    /// Returns whether a peer has a session that needs no successor.
    fn is_well_served(&self, row: i64) -> bool {
        let serving = self.serving(row);
        serving.is_some_and(|link| !self.wants_successor(link.id))
    }

    /// Sends the dialer an order once the batch is on disk.
    pub(super) fn order(&mut self, peer: PeerId, order: Order) {
        self.effect(Effect::Dial(peer, order));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upkeep::tests::engine;
    use m2_core::ContactState;
    use m2_proto::reason::Reason;

    const PEER: PeerId = PeerId::from_bytes([1; 32]);

    /// Returns an engine with one contact, whose orders to the dialer were performed.
    fn with_contact() -> (tempfile::TempDir, Engine) {
        let (dir, mut engine) = engine();
        batch(&mut engine, |engine| {
            engine.new_contact(PEER, ContactState::Contact, "").unwrap();
        });
        orders(&mut engine);
        (dir, engine)
    }

    fn batch(engine: &mut Engine, work: fn(&mut Engine)) {
        engine.begin_batch();
        work(engine);
        let _ = engine.end_batch();
    }

    fn orders(engine: &mut Engine) -> Vec<Order> {
        let effects = std::iter::from_fn(|| engine.poll_effect());
        let orders = effects.filter_map(|effect| match effect {
            Effect::Dial(PEER, order) => Some(order),
            _ => None,
        });
        orders.collect()
    }

    fn row(engine: &Engine) -> i64 {
        engine.row_of(&PEER).unwrap()
    }

    #[test]
    fn a_contact_whose_removal_was_rolled_back_is_still_dialled() {
        let (_dir, mut engine) = with_contact();
        batch(&mut engine, |engine| {
            let row = row(engine);
            engine.end_contact(row, ContactState::Removed).unwrap();
            engine.fail_batch(Refusal::new(Reason::DiskFull));
        });
        assert_eq!(orders(&mut engine), []);
        batch(&mut engine, |_| {});
        assert!(matches!(orders(&mut engine)[..], [Order::Ensure(_, 0)]));
        // It is ordered only once.
        batch(&mut engine, |_| {});
        assert_eq!(orders(&mut engine), []);
    }

    #[test]
    fn a_contact_is_dialled_once_its_row_is_written() {
        let (_dir, mut engine) = with_contact();
        engine.begin_batch();
        let row = row(&engine);
        engine.dial(row).unwrap();
        assert_eq!(orders(&mut engine), []);
        engine.end_batch().unwrap();
        assert!(matches!(orders(&mut engine)[..], [Order::Want(_, 0)]));
    }
}
