//! Moves a contact's session to a better path, and replaces one whose path is gone
//! (`docs/spec/reach.md#which-session-serves`).

use crate::effect::Effect;
use crate::refusal::Refusal;
use crate::state::{Session, State};
use crate::{conversation, dialling, greeting, lines};
use m2_core::IpMode;
use m2_core::sessions::{self as choice, SessionId};
use m2_crypto::address::NamedAddress;
use m2_delivery::Path;
use m2_store::ContactRowId;
use m2_wire::Message;
use m2_wire::reach::Reach;
use std::sync::Arc;

/// Starts the search for a direct path when a session begins to serve and the mode allows it.
/// On a direct path, tells the peer its observed address instead.
pub(crate) fn seek_direct(engine: &mut State, row: ContactRowId, link: &Arc<Session>) {
    if lines::ip_mode(engine, row) != IpMode::Direct {
        return;
    }
    engine.batch.effect(Effect::AllowPunch(link.id, true));
    match link.path {
        Path::Line if link.dialled => engine.batch.effect(Effect::Seek(link.id)),
        Path::Direct => {
            let seen = Reach::Observed(NamedAddress::new(link.remote));
            engine
                .batch
                .push_frame(link.id, Message::Reach(Box::new(seen)));
        }
        Path::Line => {}
    }
}

/// Handles a frame about reachability. Where the mode does not allow direct paths, the frame is
/// ignored (`docs/spec/reach.md`).
pub(crate) fn on_reach(engine: &mut State, row: ContactRowId, link: &Arc<Session>, reach: Reach) {
    if lines::ip_mode(engine, row) != IpMode::Direct {
        tracing::debug!(session = link.id.0, peer = %link.name(), "a contact asks for a path that its mode does not allow");
        return;
    }
    engine.batch.effect(Effect::AllowPunch(link.id, true));
    match (reach, link.path) {
        (Reach::Observed(address), Path::Direct) => {
            // Only once per session: each new address is sent to all contacts.
            if hears_observed(engine, link.id) {
                engine.batch.effect(Effect::Observed(link.peer_id, address));
            }
        }
        (Reach::Candidates(candidates), Path::Line) => {
            engine.batch.effect(Effect::Candidates(link.id, candidates));
        }
        _ => engine.batch.misdeed(link.id, "REACH_OUT_OF_PLACE"),
    }
}

/// Records a report of this host's observed address. Returns whether it is the first in the
/// session.
fn hears_observed(engine: &mut State, id: SessionId) -> bool {
    let progress = engine.sessions.progress_mut(id);
    progress.is_some_and(|progress| !std::mem::replace(&mut progress.told_observed, true))
}

/// Moves a conversation from a session in doubt to another established one, if there is any.
fn use_another(engine: &mut State, doubted: &Arc<Session>) -> Result<(), Refusal> {
    let Some(row) = engine.peers.row_of(&doubted.peer_id) else {
        return Ok(());
    };
    if !engine.peers.serves(row, doubted) {
        return Ok(());
    }
    let healthy = choice::instead_of_doubtful(&engine.session_views(row));
    let Some(peer_state) = engine.peers.get_mut(&row) else {
        return Ok(());
    };
    let Some(link) = healthy.and_then(|id| peer_state.links_of(&[id]).pop()) else {
        return Ok(());
    };
    peer_state.links.retain(|other| other.id != link.id);
    peer_state.links.push(link.clone());
    if engine.peers.is_contact(row) {
        conversation::talk_on(engine, row, &link)?;
        greeting::greet(engine, row, &link)?;
    }
    Ok(())
}

/// Handles a change of this host's addresses. Dialled sessions may migrate: a probe is sent on
/// each, and those that stay silent must be passed to [`on_still_silent`] soon. Accepted
/// direct sessions cannot migrate, as their diallers know only the old addresses, so their
/// peers are dialled at once.
pub(crate) fn on_network_changed(engine: &mut State) -> Result<(), Refusal> {
    let peers = engine.peers.values();
    let links = peers.flat_map(|peer_state| &peer_state.links);
    let links: Vec<Arc<Session>> = links.cloned().collect();
    for link in links {
        match (link.path, link.dialled) {
            (Path::Direct, false) => replace(engine, &link),
            _ => engine.batch.effect(Effect::Probe(link.id)),
        }
    }
    dialling::dial_all(engine)
}

/// Dials the peers of sessions that have not received a datagram since they were probed.
pub(crate) fn on_still_silent(engine: &mut State, silent: Vec<SessionId>) {
    for id in silent {
        if let Some(link) = engine.sessions.get(id) {
            replace(engine, &link);
        }
    }
}

fn replace(engine: &mut State, link: &Arc<Session>) {
    engine.sessions.mark_stale(link.id);
    dialling::dial_replacement(engine, link);
}

/// Handles a session without an answer: the peer may be gone, or have lost its side of the
/// session. The peer is dialled, and a new session replaces this one.
pub(crate) fn on_link_silent(engine: &mut State, link: &Arc<Session>) {
    tracing::debug!(session = link.id.0, peer = %link.name(), "the session is in doubt: no answer for seconds");
    engine.sessions.set_doubt(link.id, true);
    engine.batch.counters.count("SESSION_SILENT");
    if let Err(refusal) = use_another(engine, link) {
        engine.batch.fail(refusal);
    }
    dialling::dial_replacement(engine, link);
}

/// Handles a datagram of a session that was in doubt.
pub(crate) fn on_link_heard(engine: &mut State, link: &Arc<Session>) {
    tracing::debug!(session = link.id.0, peer = %link.name(), "the session is no longer in doubt");
    engine.sessions.set_doubt(link.id, false);
}

/// Handles a session that must be renewed because of its age.
pub(crate) fn on_link_old(engine: &mut State, link: &Arc<Session>) {
    tracing::debug!(session = link.id.0, peer = %link.name(), "the session is renewed because of its age");
    engine.sessions.mark_stale(link.id);
    dialling::dial_successor(engine, link);
}
