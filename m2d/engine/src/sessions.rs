//! Handles sessions as they are established and end.

use crate::effect::Effect;
use crate::pseudonym::Pseudonym;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::{Session, SessionSecrets, State};
use crate::{
    call, conversation, dialling, frames, greeting, lines, mail, meeting, paths, peer_requests,
    places, problem, time,
};
use m2_core::ContactState;
use m2_core::PathFailure;
use m2_core::dial::Order;
use m2_core::sessions::SessionId;
use m2_core::strangers::Eviction;
use m2_crypto::envelope::EpochHeader;
use m2_delivery::{AcceptedGrant, Path, Time};
use m2_limits::prefix::Prefix;
use m2_store::ContactRowId;
use m2_wire::{CloseCode, Message};
use std::sync::Arc;
use std::time::Duration;

/// An event of a session.
pub enum SessionInput {
    /// It was established.
    Up {
        /// The session.
        session: Session,
        /// The secrets that the engine keeps of it.
        secrets: SessionSecrets,
        /// How far the peer's clock is ahead, in milliseconds, if it reported its time.
        clock_skew_ms: Option<i64>,
        /// How the session is treated.
        reply: Reply<Arrived>,
    },
    /// It has ended.
    Down(SessionEnd, Reply<()>),
    /// A frame arrived, with the grant that was opened for it.
    Frame(SessionId, Message, Option<AcceptedGrant>),
    /// A new grant arrived. Opening it costs RSA operations.
    Grant(SessionId, EpochHeader, Reply<GrantCheck>),
    /// Its peer does not answer.
    Silent(SessionId),
    /// A datagram arrived after it was silent.
    Heard(SessionId),
    /// It must be renewed because of its age.
    Old(SessionId),
    /// Its peer, a stranger, sent no contact request in time.
    Unasked(SessionId),
    /// This host's addresses changed, or it slept.
    NetworkChanged(Reply<()>),
    /// No datagram arrived on these sessions since they were probed.
    StillSilent(Vec<SessionId>),
}

/// The end of a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionEnd {
    /// The session.
    pub id: SessionId,
    /// Its age.
    pub age: Duration,
    /// Why the peer refused it, if it did.
    pub refused: Option<PathFailure>,
}

/// How the engine treats a session that was established.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// The peer is a contact or a known peer: its frames are processed.
    Welcome,
    /// The peer is no contact: it may send a contact request.
    Stranger,
    /// The session must be closed.
    Unwanted,
}

/// The result of the check whether a grant is worth the RSA operations that open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GrantCheck {
    /// Open the grant and pass it on with the envelope.
    Open,
    /// Pass the envelope on without the grant.
    #[default]
    Ignore,
}

/// Handles an event of a session. Events of sessions that have ended are ignored.
pub(crate) fn handle(engine: &mut State, input: SessionInput) {
    match input {
        SessionInput::Up {
            session,
            secrets,
            clock_skew_ms,
            reply,
        } => {
            let session = Arc::new(session);
            let clock = clock_skew_ms.map(|skew_ms| steady_offset(engine, skew_ms));
            engine.sessions.insert(session.clone(), secrets, clock);
            call::run(engine, reply, |engine| on_link_up(engine, &session));
        }
        SessionInput::Down(end, reply) => {
            engine.sessions.over.push(end.id);
            call::run(engine, reply, |engine| on_link_down(engine, end));
        }
        SessionInput::Frame(id, message, accepted) => {
            of(engine, id, |engine, link| {
                frames::on_frame(engine, link, message, accepted)
            });
        }
        SessionInput::Grant(id, header, reply) => {
            // Answered before the commit: the answer says nothing about stored data, and the frame
            // waits for it.
            let check = check_grant(engine, id, &header);
            reply.send(Ok(check));
        }
        SessionInput::Silent(id) => of(engine, id, paths::on_link_silent),
        SessionInput::Heard(id) => of(engine, id, paths::on_link_heard),
        SessionInput::Old(id) => of(engine, id, paths::on_link_old),
        SessionInput::Unasked(id) => of(engine, id, problem::on_unasked),
        SessionInput::NetworkChanged(reply) => {
            call::run(engine, reply, paths::on_network_changed);
        }
        SessionInput::StillSilent(ids) => paths::on_still_silent(engine, ids),
    }
}

/// Returns how far a clock that is ahead of the local one by `skew_ms` is ahead of the steady
/// clock, in milliseconds.
fn steady_offset(engine: &State, skew_ms: i64) -> i64 {
    let theirs = skew_ms.saturating_add_unsigned(engine.batch.clock.now_ms());
    theirs.saturating_sub_unsigned(engine.batch.clock.steady_ms())
}

/// Processes an event of a session, unless the session has ended.
fn of(engine: &mut State, id: SessionId, process: impl FnOnce(&mut State, &Arc<Session>)) {
    if let Some(session) = engine.sessions.get(id) {
        process(engine, &session);
    }
}

/// Handles a session that was established.
fn on_link_up(engine: &mut State, link: &Arc<Session>) -> Result<Arrived, Refusal> {
    let (peer, path) = (link.name(), link.path);
    tracing::debug!(session = link.id.0, %peer, ?path, dialled = link.dialled, "a session is up");
    let Some(row) = engine.peers.row_of(&link.peer_id) else {
        admit_stranger(engine, link);
        return Ok(Arrived::Stranger);
    };
    if engine.peers.contact_mut(row)?.state == ContactState::Blocked {
        engine.batch.misdeed(link.id, "BLOCKED");
        engine.sessions.remove(link.id);
        return Ok(Arrived::Unwanted);
    }
    if lines::forbids(engine, row, link.path) {
        tracing::debug!(session = link.id.0, peer = %link.name(), "the contact's mode forbids direct sessions");
        engine.batch.counters.count("DIRECT_FORBIDDEN");
        engine.sessions.remove(link.id);
        return Ok(Arrived::Unwanted);
    }
    meeting::meet(engine, row, link)?;
    let asks = peer_requests::ask_again(engine, row)?;
    let answers = peer_requests::answer(engine, row)?;
    // Otherwise both sides state their places after the answer.
    if engine.peers.is_contact(row) && !asks && !answers {
        places::begin_talk(engine, row, link)?;
    }
    Ok(match engine.peers.contact_mut(row)?.state {
        ContactState::Removed => Arrived::Stranger,
        _ => Arrived::Welcome,
    })
}

/// Admits a stranger's session.
fn admit_stranger(engine: &mut State, link: &Arc<Session>) {
    let prefix = Prefix::of(link.remote.ip());
    let evicted = engine
        .sessions
        .strangers
        .admit(link.id.0, link.peer_id, prefix, link.id);
    if let Some((old, why)) = evicted {
        tracing::debug!(session = old.0, ?why, "a stranger's session must end");
        engine.batch.counters.count(match why {
            Eviction::Replaced => "STRANGER_REPLACED",
            Eviction::Crowded => "STRANGERS_TOO_MANY",
        });
        engine.batch.effect(Effect::Close(old, CloseCode::Replaced));
    }
}

/// Closes the older of two crossed sessions, of which the peer should have closed one long ago: two
/// daemons with one identity each have one (`docs/spec/reach.md#which-session-serves`).
pub(crate) fn end_crossed(engine: &mut State, id: SessionId) {
    let Some(link) = engine.sessions.get(id) else {
        return;
    };
    let peer_state = engine
        .peers
        .row_of(&link.peer_id)
        .and_then(|row| engine.peers.get(&row));
    if peer_state.is_none_or(|peer_state| peer_state.links.len() < 2) {
        return;
    }
    tracing::debug!(session = id.0, peer = %link.name(), "the peer has closed none of two crossed sessions");
    engine.batch.counters.count("SESSION_NOT_CLOSED");
    engine.sessions.mark_stale(id);
    engine.batch.effect(Effect::Close(id, CloseCode::Replaced));
}

/// Handles the end of a session.
fn on_link_down(engine: &mut State, end: SessionEnd) -> Result<(), Refusal> {
    engine.sessions.strangers.remove(end.id.0);
    let Some(link) = engine.sessions.remove(end.id) else {
        return Ok(());
    };
    let Some(row) = engine.peers.row_of(&link.peer_id) else {
        return Ok(());
    };
    let Some(peer_state) = engine.peers.get_mut(&row) else {
        return Ok(());
    };
    let was_serving = peer_state
        .link()
        .is_some_and(|serving| serving.id == link.id);
    peer_state.links.retain(|other| other.id != link.id);
    conversation::end_epochs(engine, row, &link);
    let Some(peer_state) = engine.peers.get(&row) else {
        return Ok(());
    };
    let next = peer_state.link().cloned();
    let has_conversation = peer_state.conversation.is_some();
    if was_serving {
        match next.as_ref().filter(|_| engine.peers.is_contact(row)) {
            Some(next) => {
                conversation::talk_on(engine, row, next)?;
                greeting::greet(engine, row, next)?;
            }
            // Perhaps the peer is no contact any more, and the session ends for this reason.
            None if has_conversation => conversation::feed(engine, row, |conversation, cx| {
                conversation.disconnected(cx)
            })?,
            None => {}
        }
    }
    if next.is_none() {
        match end.refused {
            Some(reason) => {
                mail::note_offline(engine, row);
                dial_after_refusal(engine, row, &link, reason)?;
            }
            None => dial_after_end(engine, row, end.age)?,
        }
    }
    Ok(())
}

/// Dials a peer whose last session ended at this age. If its sessions end early, whatever the
/// cause, the pauses grow: each session uses up a pooled key on both sides.
fn dial_after_end(engine: &mut State, row: ContactRowId, age: Duration) -> Result<(), Refusal> {
    meeting::note_end(engine, row, age);
    let Some(peer_state) = engine.peers.get(&row) else {
        return Ok(());
    };
    let (peer, short) = (peer_state.contact.peer_id, peer_state.short_sessions);
    let name = Pseudonym::of(&peer);
    tracing::debug!(peer = %name, ?age, short_sessions = short, "the contact has no session any more");
    if short > 0 && peer_state.contact.state.is_wanted() && peer_state.links.is_empty() {
        let route = lines::route(engine, row)?;
        engine.batch.order(peer, Order::Want(route, short));
        return Ok(());
    }
    dialling::dial(engine, row)
}

/// Dials a peer that refused a session, after a pause. If it has lines, its direct addresses
/// are forgotten: it may refuse only direct sessions (`docs/operator/lines.md#line-only`).
fn dial_after_refusal(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
    reason: PathFailure,
) -> Result<(), Refusal> {
    let wants_lines = reason != PathFailure::NotAContact && link.path == Path::Direct;
    if wants_lines && !engine.batch.store.contact_lines(row)?.is_empty() {
        engine.batch.store.forget_addresses(row)?;
    }
    let route = lines::route(engine, row)?;
    let Some(peer_state) = engine.peers.get_mut(&row) else {
        return Ok(());
    };
    let peer = Pseudonym::of(&link.peer_id);
    tracing::debug!(session = link.id.0, %peer, %reason, wants_lines, "the contact refused the session");
    peer_state.refused = Some(reason);
    peer_state.refusals = peer_state.refusals.saturating_add(1);
    if peer_state.contact.state.is_wanted() {
        let order = Order::Want(route, peer_state.refusals);
        let peer = peer_state.contact.peer_id;
        engine.batch.order(peer, order);
    }
    Ok(())
}

/// Returns whether a grant is worth its RSA operations.
fn check_grant(engine: &mut State, id: SessionId, grant: &EpochHeader) -> GrantCheck {
    let now = Time(engine.batch.clock.now_ms());
    let link = engine.sessions.get(id);
    let contact = link.and_then(|link| engine.peers.row_of(&link.peer_id));
    let contact =
        contact.filter(|row| engine.peers.is_contact(*row) && engine.sessions.is_placed(id));
    if let Some(row) = contact {
        time::note_key_time(engine, row, grant.created_s);
    }
    let wanted = contact.and_then(|row| {
        conversation::feed_or_fail(engine, row, |conversation, _| {
            conversation.wants_grant(now, grant)
        })
    });
    match wanted {
        Some(true) => GrantCheck::Open,
        Some(false) => {
            engine.batch.counters.count("GRANT_UNWANTED");
            GrantCheck::Ignore
        }
        None => GrantCheck::Ignore,
    }
}

#[cfg(test)]
mod tests;
