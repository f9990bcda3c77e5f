//! Adds sessions to their peers, and records that a peer has none any more.

use crate::effect::Effect;
use crate::refusal::Refusal;
use crate::state::{Session, State};
use crate::{contact_rows, lines, mail, suites, time};
use m2_core::KnownAddress;
use m2_core::dial::Order;
use m2_core::sessions::{self as choice, SessionId};
use m2_crypto::PeerId;
use m2_delivery::Path;
use m2_store::ContactRowId;
use m2_wire::CloseCode;
use std::sync::Arc;
use std::time::Duration;

/// A session that ends before this age counts as a failed attempt. At most `MAX_SHORT` of them
/// lengthen the pause, to four seconds: two daemons of one identity also end each other's sessions.
const SHORT_SESSION: Duration = Duration::from_secs(10);
const MAX_SHORT: u32 = 5;
/// How long two crossed sessions may stay open, in milliseconds. The peer with the larger id should
/// close one of them.
const CROSSED_MS: u64 = 10_000;

/// Records that a peer with a row is connected.
pub(crate) fn meet(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
) -> Result<(), Refusal> {
    let now = engine.batch.now_ms();
    let contact = engine.peers.contact_mut(row)?;
    contact.last_seen_ms = now;
    contact.certificate = Some(link.certificate.spki_der().to_vec());
    contact_rows::save(engine, row)?;
    suites::on_completed(engine, link.peer_id, link.suite);
    if engine.peers.contact_mut(row)?.state.is_wanted() && link.path == Path::Direct {
        let reached = KnownAddress::Proved(link.remote);
        engine.batch.store.put_address(row, reached, now)?;
    }
    add_link(engine, row, link);
    time::note_clock(engine, row, link);
    Ok(())
}

/// Takes over the session that a peer had as a stranger, as it has a row now.
pub(crate) fn adopt_stranger(
    engine: &mut State,
    row: ContactRowId,
    peer: &PeerId,
) -> Result<(), Refusal> {
    let Some(id) = engine.sessions.strangers.of(peer).copied() else {
        return Ok(());
    };
    engine.sessions.strangers.remove(id.0);
    match engine.sessions.get(id) {
        Some(session) => meet(engine, row, &session),
        None => Ok(()),
    }
}

/// Adds a new session, closes those that it replaces, and updates the dialer.
fn add_link(engine: &mut State, row: ContactRowId, link: &Arc<Session>) {
    let (mode, own_is_smaller) = (
        lines::ip_mode(engine, row),
        engine.batch.own_id < link.peer_id,
    );
    let steady_ms = engine.batch.clock.steady_ms();
    let views = engine.session_views(row);
    let admission = choice::admit(&views, engine.sessions.view_of(link), mode, own_is_smaller);
    let Some(peer_state) = engine.peers.get_mut(&row) else {
        return;
    };
    peer_state.last_failure = None;
    peer_state.confirmed_ms = steady_ms;
    peer_state.links.push(link.clone());
    let why = admission.closed.iter().map(|(_, why)| *why);
    let closed: Vec<SessionId> = admission.closed.iter().map(|(id, _)| *id).collect();
    let closed = peer_state.links_of(&closed);
    peer_state.links = peer_state.links_of(&admission.kept);
    let by = peer_state.link().map(|link| link.id.0);
    if admission.kept.len() > 1 {
        let due = engine.batch.now_ms().saturating_add(CROSSED_MS);
        let older = admission.kept.iter().min().copied();
        engine.sessions.crossed.extend(older.map(|id| (due, id)));
    }
    for (old, why) in closed.into_iter().zip(why) {
        let peer = old.name();
        tracing::debug!(session = old.id.0, %peer, ?by, ?why, "a session is replaced");
        // It takes no part in later choices, even before its end is known.
        engine.sessions.mark_stale(old.id);
        engine
            .batch
            .effect(Effect::Close(old.id, CloseCode::Replaced));
    }
    let order = match admission.settles {
        true => Order::Settled,
        // A dial in progress may lead to a better session.
        false => Order::Rest,
    };
    engine.batch.order(link.peer_id, order);
    engine.batch.wake_lookup();
}

/// Records that a contact has no session any more. `age` is how long the last one lasted.
pub(crate) fn note_end(engine: &mut State, row: ContactRowId, age: Duration) {
    mail::note_offline(engine, row);
    engine.batch.wake_lookup();
    if let Some(peer_state) = engine.peers.get_mut(&row) {
        peer_state.short_sessions = match age < SHORT_SESSION {
            true => peer_state.short_sessions.saturating_add(1).min(MAX_SHORT),
            false => 0,
        };
    }
}
