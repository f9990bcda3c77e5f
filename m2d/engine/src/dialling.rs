//! Decides when contacts are dialled: at the start, after a session ended or fell silent, and when
//! messages are queued.

use crate::effect::Effect;
use crate::lines;
use crate::refusal::Refusal;
use crate::state::{PeerState, Session, State};
use m2_core::PathFailure;
use m2_core::address_budget::Level;
use m2_core::dial::Order;
use m2_crypto::PeerId;
use m2_store::ContactRowId;
use std::sync::Arc;

/// Dials a peer while its session still serves.
pub(crate) fn dial_successor(engine: &mut State, link: &Arc<Session>) {
    redial(engine, link, false);
}

/// Dials a peer whose session does not serve any more.
pub(crate) fn dial_replacement(engine: &mut State, link: &Arc<Session>) {
    redial(engine, link, true);
}

fn redial(engine: &mut State, link: &Arc<Session>, one_died: bool) {
    let row = engine.peers.row_of(&link.peer_id);
    let serves = |peer_state: &&PeerState| peer_state.link().is_some_and(|it| it.id == link.id);
    let peer_state = row.and_then(|row| engine.peers.get(&row)).filter(serves);
    let Some(peer_state) = peer_state.filter(|peer_state| peer_state.contact.state.is_wanted())
    else {
        return;
    };
    match lines::route(engine, peer_state.contact.row) {
        Ok(mut route) => {
            route.one_died = one_died;
            engine.batch.order(link.peer_id, Order::Want(route, 0));
        }
        Err(refusal) => engine.batch.fail(refusal),
    }
}

/// Handles a failed dial, with its reason.
pub(crate) fn on_dial_failed(engine: &mut State, peer: &PeerId, reason: PathFailure) {
    let Some(row) = engine.peers.row_of(peer) else {
        return;
    };
    // The peer may have been heard again in the meantime.
    if is_well_served(engine, row) {
        engine.batch.order(*peer, Order::Rest);
    } else if let Some(peer_state) = engine.peers.get_mut(&row) {
        let is_first = peer_state.last_failure.replace(reason).is_none();
        // Later failures do not change what is looked up.
        if is_first {
            engine.batch.wake_lookup();
        }
    }
}

/// Stores the rest of a contact's budget for dialling addresses that it named.
pub(crate) fn save_budget(engine: &mut State, left: &Level) {
    // A full disk must not roll back the rest of the batch. The budget is kept in memory too.
    if engine.batch.store.is_tight() {
        return;
    }
    let saved = engine.batch.store.put_budget(left);
    engine.batch.check(saved);
}

/// Orders a session with a contact, unless there is one.
pub(crate) fn dial(engine: &mut State, row: ContactRowId) -> Result<(), Refusal> {
    let Some(peer_state) = engine.peers.get(&row) else {
        return Ok(());
    };
    if !peer_state.contact.state.is_wanted() || !peer_state.links.is_empty() {
        return Ok(());
    }
    let (peer, route) = (peer_state.contact.peer_id, lines::route(engine, row)?);
    engine.batch.order(peer, Order::Want(route, 0));
    Ok(())
}

/// Speeds up dialling and look-up for an offline contact that has a message queued. If its
/// session still waits for its statement of places, no message can leave, so a cover frame
/// probes whether the peer is alive.
pub(crate) fn expedite(engine: &mut State, row: ContactRowId) {
    let Some(peer_state) = engine.peers.get(&row) else {
        return;
    };
    match peer_state.link() {
        Some(link) if engine.sessions.places_in(link.id).is_none() => {
            let probe = Effect::Probe(link.id);
            engine.batch.effect(probe);
        }
        Some(_) => {}
        None => {
            engine
                .batch
                .order(peer_state.contact.peer_id, Order::Expedite);
            engine.batch.wake_lookup();
        }
    }
}

/// Orders sessions with all contacts that are offline, at once.
pub(crate) fn dial_all(engine: &mut State) -> Result<(), Refusal> {
    let rows: Vec<ContactRowId> = engine.peers.rows();
    rows.into_iter().try_for_each(|row| dial(engine, row))
}

/// Brings the dialer in line with the contacts in memory, whatever orders it had before: at the
/// start, and after a batch was rolled back with its orders. Returns whether all routes could
/// be read.
pub(crate) fn dial_missing(engine: &mut State) -> bool {
    let mut is_complete = true;
    let mut orders = Vec::new();
    for peer_state in engine.peers.values() {
        let row = peer_state.contact.row;
        if is_well_served(engine, row) || !peer_state.contact.state.is_wanted() {
            continue;
        }
        match lines::route(engine, row) {
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
    engine.batch.effects.extend(orders);
    is_complete
}

/// Returns whether a peer has a session that needs no successor.
fn is_well_served(engine: &State, row: ContactRowId) -> bool {
    let serving = engine.peers.serving(row);
    serving.is_some_and(|link| !engine.sessions.wants_successor(link.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::engine;
    use crate::{Engine, relations};
    use m2_core::ContactState;
    use m2_proto::reason::Reason;

    const PEER: PeerId = PeerId::from_bytes([1; 32]);

    /// Returns an engine with one contact, whose orders to the dialer were performed.
    fn with_contact() -> (tempfile::TempDir, Engine) {
        let (dir, mut engine) = engine();
        batch(&mut engine, |engine| {
            relations::begin(&mut engine.state, PEER, ContactState::Contact, "").unwrap();
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

    #[test]
    fn only_the_first_failure_wakes_the_look_up() {
        let (_dir, mut engine) = with_contact();
        let mut wakes = || {
            batch(&mut engine, |engine| {
                on_dial_failed(&mut engine.state, &PEER, PathFailure::NoAnswer);
            });
            let effects = std::iter::from_fn(|| engine.poll_effect());
            effects
                .filter(|effect| matches!(effect, Effect::WakeLookup))
                .count()
        };
        assert_eq!([wakes(), wakes(), wakes()], [1, 0, 0]);
    }

    fn row(engine: &Engine) -> ContactRowId {
        engine.state.peers.row_of(&PEER).unwrap()
    }

    #[test]
    fn a_contact_whose_removal_was_rolled_back_is_still_dialled() {
        let (_dir, mut engine) = with_contact();
        batch(&mut engine, |engine| {
            let row = row(engine);
            relations::end(&mut engine.state, row, ContactState::Removed).unwrap();
            engine.state.batch.fail(Refusal::new(Reason::DiskFull));
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
        dial(&mut engine.state, row).unwrap();
        assert_eq!(orders(&mut engine), []);
        engine.end_batch().unwrap();
        assert!(matches!(orders(&mut engine)[..], [Order::Want(_, 0)]));
    }
}
