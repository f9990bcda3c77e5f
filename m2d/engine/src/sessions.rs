//! Handles sessions as they are established and end.

use super::input::Reply;
use super::peer_state::PeerState;
use super::{Effect, Engine};
use crate::pseudonym::Pseudonym;
use crate::refusal::Refusal;
use crate::session::Session;
use m2_core::dial::Order;
use m2_core::frames::NOT_A_CONTACT;
use m2_core::sessions::{self, SessionId};
use m2_core::strangers::Eviction;
use m2_core::{ContactState, KnownAddress};
use m2_crypto::PeerId;
use m2_crypto::envelope::EpochHeader;
use m2_delivery::{AcceptedGrant, Path, Time};
use m2_limits::prefix::Prefix;
use m2_wire::CloseCode;
use m2_wire::{ContactRequest, Message};
use std::sync::Arc;
use std::time::Duration;

/// A session that ends before this age counts as a failed attempt. At most `MAX_SHORT` of them
/// lengthen the pause, to four seconds: two daemons of one identity also end each other's sessions.
const SHORT_SESSION: Duration = Duration::from_secs(10);
const MAX_SHORT: u32 = 5;
/// How long the peer with the larger id may leave two crossed sessions open, in milliseconds.
const CROSSED_MS: u64 = 10_000;

/// An event of a session.
pub enum SessionInput {
    /// It was established.
    Up {
        /// The session.
        session: Session,
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
    /// Why the peer refused it, as a stable reason, if it did.
    pub refused: Option<&'static str>,
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

impl Engine {
    /// Handles an event of a session. Events of sessions that have ended are ignored.
    pub(super) fn on_session(&mut self, input: SessionInput) {
        match input {
            SessionInput::Up {
                session,
                clock_skew_ms,
                reply,
            } => {
                let session = Arc::new(session);
                let clock = clock_skew_ms.map(|skew_ms| self.steady_offset(skew_ms));
                self.sessions.insert(session.clone(), clock);
                self.run(reply, |it| it.on_link_up(&session));
            }
            SessionInput::Down(end, reply) => {
                self.over.push(end.id);
                self.run(reply, |it| it.on_link_down(end));
            }
            SessionInput::Frame(id, message, accepted) => {
                self.of(id, |it, link| it.on_frame(link, message, accepted));
            }
            SessionInput::Grant(id, header, reply) => {
                self.run(reply, |it| Ok(it.check_grant(id, &header)));
            }
            SessionInput::Silent(id) => self.of(id, Self::on_link_silent),
            SessionInput::Heard(id) => self.of(id, Self::on_link_heard),
            SessionInput::Old(id) => self.of(id, Self::on_link_old),
            SessionInput::Unasked(id) => self.of(id, Self::on_unasked),
            SessionInput::NetworkChanged(reply) => {
                self.run(reply, |it| it.on_network_changed());
            }
            SessionInput::StillSilent(ids) => self.on_still_silent(ids),
        }
    }

    /// Returns how far a clock that is ahead of the local one by `skew_ms` is ahead of the steady
    /// clock, in milliseconds.
    fn steady_offset(&self, skew_ms: i64) -> i64 {
        let theirs = skew_ms.saturating_add_unsigned(self.clock.now_ms());
        theirs.saturating_sub_unsigned(self.clock.steady_ms())
    }

    /// Processes an event of a session, unless the session has ended.
    fn of(&mut self, id: SessionId, process: impl FnOnce(&mut Self, &Arc<Session>)) {
        if let Some(session) = self.sessions.get(id) {
            process(self, &session);
        }
    }

    /// Handles a session that was established.
    fn on_link_up(&mut self, link: &Arc<Session>) -> Result<Arrived, Refusal> {
        let (peer, path) = (link.name(), link.path);
        tracing::debug!(session = link.id.0, %peer, ?path, dialled = link.dialled, "a session is up");
        let Some(row) = self.row_of(&link.peer_id) else {
            self.admit_stranger(link);
            return Ok(Arrived::Stranger);
        };
        if self.contact_mut(row)?.state == ContactState::Blocked {
            self.misdeed(link.id, "BLOCKED");
            self.sessions.remove(link.id);
            return Ok(Arrived::Unwanted);
        }
        if self.forbids(row, link.path) {
            tracing::debug!(session = link.id.0, peer = %link.name(), "the contact's mode forbids direct sessions");
            self.counters.count("DIRECT_FORBIDDEN");
            self.sessions.remove(link.id);
            return Ok(Arrived::Unwanted);
        }
        self.meet(row, link)?;
        let asks = self.ask_again(row)?;
        let answers = self.answer_request(row)?;
        // Otherwise both sides state their places after the answer.
        if self.is_contact(row) && !asks && !answers {
            self.begin_talk(row, link)?;
        }
        Ok(match self.contact_mut(row)?.state {
            ContactState::Removed => Arrived::Stranger,
            _ => Arrived::Welcome,
        })
    }

    /// Admits a stranger's session.
    fn admit_stranger(&mut self, link: &Arc<Session>) {
        let prefix = Prefix::of(link.remote.ip());
        let evicted = self
            .strangers
            .admit(link.id.0, link.peer_id, prefix, link.id);
        if let Some((old, why)) = evicted {
            tracing::debug!(session = old.0, ?why, "a stranger's session must end");
            self.counters.count(match why {
                Eviction::Replaced => "STRANGER_REPLACED",
                Eviction::Crowded => "STRANGERS_TOO_MANY",
            });
            self.effect(Effect::Close(old, CloseCode::Replaced));
        }
    }

    /// Records that a peer with a row is connected.
    fn meet(&mut self, row: i64, link: &Arc<Session>) -> Result<(), Refusal> {
        let now = self.now_ms();
        let contact = self.contact_mut(row)?;
        contact.last_seen_ms = now;
        contact.certificate = Some(link.certificate.spki_der().to_vec());
        self.save_contact(row)?;
        if self.contact_mut(row)?.state.is_wanted() && link.path == Path::Direct {
            let reached = KnownAddress::Proved(link.remote);
            self.store.put_address(row, reached, now)?;
        }
        self.add_link(row, link);
        self.note_clock(row, link);
        Ok(())
    }

    /// Returns the row of a session's peer. A stranger that sends a request gets one, unless the
    /// request would be dropped: the state that strangers can create is bounded.
    pub(super) fn row_for_request(
        &mut self,
        link: &Arc<Session>,
        request: &ContactRequest,
    ) -> Result<Option<i64>, Refusal> {
        if let Some(row) = self.row_of(&link.peer_id) {
            return Ok(Some(row));
        }
        if !self.may_ask(link, request)? {
            return Ok(None);
        }
        let row = self.new_contact(link.peer_id, ContactState::Removed, "")?;
        // The session may have lost its place among the strangers in the meantime.
        let has_met = |peer_state: &PeerState| peer_state.links.iter().any(|it| it.id == link.id);
        if !self.peers.get(&row).is_some_and(has_met) {
            self.meet(row, link)?;
        }
        Ok(Some(row))
    }

    /// Takes over the session that a peer had as a stranger, as it has a row now.
    pub(super) fn adopt_stranger(&mut self, row: i64, peer: &PeerId) -> Result<(), Refusal> {
        let Some(id) = self.strangers.of(peer).copied() else {
            return Ok(());
        };
        self.strangers.remove(id.0);
        match self.sessions.get(id) {
            Some(session) => self.meet(row, &session),
            None => Ok(()),
        }
    }

    /// Adds a new session, closes those that it replaces, and updates the dialer.
    fn add_link(&mut self, row: i64, link: &Arc<Session>) {
        let (mode, own_is_smaller) = (self.ip_mode(row), self.own_id < link.peer_id);
        let steady_ms = self.clock.steady_ms();
        let views = self.session_views(row);
        let admission = sessions::admit(&views, self.view_of(link), mode, own_is_smaller);
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return;
        };
        peer_state.last_failure = "";
        peer_state.confirmed_ms = steady_ms;
        peer_state.links.push(link.clone());
        let why = admission.closed.iter().map(|(_, why)| *why);
        let closed: Vec<SessionId> = admission.closed.iter().map(|(id, _)| *id).collect();
        let closed = peer_state.links_of(&closed);
        peer_state.links = peer_state.links_of(&admission.kept);
        if admission.kept.len() > 1 {
            let due = self.now_ms().saturating_add(CROSSED_MS);
            let older = admission.kept.iter().min().copied();
            self.crossed.extend(older.map(|id| (due, id)));
        }
        for (old, why) in closed.into_iter().zip(why) {
            let peer = old.name();
            tracing::debug!(session = old.id.0, %peer, by = link.id.0, ?why, "a session is replaced");
            // It takes no part in later choices, even before its end is known.
            self.mark_stale(old.id);
            self.effect(Effect::Close(old.id, CloseCode::Replaced));
        }
        let order = match admission.settles {
            true => Order::Settled,
            // A dial in progress may lead to a better session.
            false => Order::Rest,
        };
        self.order(link.peer_id, order);
        self.wake_lookup();
    }

    /// Closes the older of two crossed sessions, of which the peer should have closed one long ago: two
    /// daemons with one identity each have one (`docs/spec/reach.md#which-session-serves`).
    pub(super) fn end_crossed(&mut self, id: SessionId) {
        let Some(link) = self.sessions.get(id) else {
            return;
        };
        let peer_state = self
            .row_of(&link.peer_id)
            .and_then(|row| self.peers.get(&row));
        if peer_state.is_none_or(|peer_state| peer_state.links.len() < 2) {
            return;
        }
        tracing::debug!(session = id.0, peer = %link.name(), "the peer has closed none of two crossed sessions");
        self.counters.count("SESSION_NOT_CLOSED");
        self.mark_stale(id);
        self.effect(Effect::Close(id, CloseCode::Replaced));
    }

    /// Returns whether a session is the one to send on.
    pub(super) fn serves(&self, row: i64, link: &Session) -> bool {
        let serving = self.peers.get(&row).and_then(PeerState::link);
        serving.is_some_and(|serving| serving.id == link.id)
    }

    /// Handles the end of a session.
    fn on_link_down(&mut self, end: SessionEnd) -> Result<(), Refusal> {
        self.strangers.remove(end.id.0);
        let Some(link) = self.sessions.remove(end.id) else {
            return Ok(());
        };
        let Some(row) = self.row_of(&link.peer_id) else {
            return Ok(());
        };
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return Ok(());
        };
        let was_serving = peer_state
            .link()
            .is_some_and(|serving| serving.id == link.id);
        peer_state.links.retain(|other| other.id != link.id);
        let next = peer_state.link().cloned();
        if self.is_contact(row) && was_serving {
            match &next {
                Some(next) => self.talk_on(row, next)?,
                None => {
                    self.with_conversation(row, |conversation, cx| conversation.disconnected(cx))?
                }
            }
        }
        if next.is_none() {
            match end.refused {
                Some(reason) => {
                    self.note_offline(row);
                    self.dial_after_refusal(row, &link, reason)?;
                }
                None => self.dial_after_end(row, end.age)?,
            }
        }
        Ok(())
    }

    /// Dials a peer whose last session ended at this age. If its sessions end early, whatever the
    /// cause, the pauses grow: each session uses up a pooled key on both sides.
    fn dial_after_end(&mut self, row: i64, age: Duration) -> Result<(), Refusal> {
        self.note_end(row, age);
        let Some(peer_state) = self.peers.get(&row) else {
            return Ok(());
        };
        let (peer, short) = (peer_state.contact.peer_id, peer_state.short_sessions);
        let name = Pseudonym::of(&peer);
        tracing::debug!(peer = %name, ?age, short_sessions = short, "the contact has no session any more");
        if short > 0 && peer_state.contact.state.is_wanted() && peer_state.links.is_empty() {
            let route = self.route(row)?;
            self.order(peer, Order::Want(route, short));
            return Ok(());
        }
        self.dial(row)
    }

    /// Records that a contact has no session any more. The last one ended at this age.
    pub(super) fn note_end(&mut self, row: i64, age: Duration) {
        self.note_offline(row);
        self.wake_lookup();
        if let Some(peer_state) = self.peers.get_mut(&row) {
            peer_state.short_sessions = match age < SHORT_SESSION {
                true => peer_state.short_sessions.saturating_add(1).min(MAX_SHORT),
                false => 0,
            };
        }
    }

    /// Dials a peer that refused a session, after a pause. If it has lines, its direct addresses
    /// are forgotten: it may refuse only direct sessions (`docs/operator/lines.md#line-only`).
    fn dial_after_refusal(
        &mut self,
        row: i64,
        link: &Arc<Session>,
        reason: &'static str,
    ) -> Result<(), Refusal> {
        let wants_lines = reason != NOT_A_CONTACT && link.path == Path::Direct;
        if wants_lines && !self.store.contact_lines(row)?.is_empty() {
            self.store.forget_addresses(row)?;
        }
        let route = self.route(row)?;
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return Ok(());
        };
        let peer = Pseudonym::of(&link.peer_id);
        tracing::debug!(session = link.id.0, %peer, reason, wants_lines, "the contact refused the session");
        peer_state.refused = reason;
        peer_state.refusals = peer_state.refusals.saturating_add(1);
        if peer_state.contact.state.is_wanted() {
            let order = Order::Want(route, peer_state.refusals);
            let peer = peer_state.contact.peer_id;
            self.order(peer, order);
        }
        Ok(())
    }

    /// Returns whether a grant is worth its RSA operations.
    fn check_grant(&mut self, id: SessionId, grant: &EpochHeader) -> GrantCheck {
        let now = Time(self.clock.now_ms());
        let link = self.sessions.get(id);
        let contact = link.and_then(|link| self.row_of(&link.peer_id));
        let contact = contact.filter(|row| self.is_contact(*row) && self.is_placed(id));
        if let Some(row) = contact {
            self.note_key_time(row, grant.created_s);
        }
        let wanted = contact.and_then(|row| {
            self.with_conversation_quietly(row, |conversation, _| {
                conversation.wants_grant(now, grant)
            })
        });
        match wanted {
            Some(true) => GrantCheck::Open,
            Some(false) => {
                self.counters.count("GRANT_UNWANTED");
                GrantCheck::Ignore
            }
            None => GrantCheck::Ignore,
        }
    }
}

#[cfg(test)]
mod tests;
