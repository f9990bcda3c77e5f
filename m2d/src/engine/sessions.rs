//! Handles sessions as they are established and end.

use super::Engine;
use super::effect::Effect;
use super::peer_state::PeerState;
use crate::log::Pseudonym;
use crate::network::Link;
use crate::refusal::Refusal;
use m2_core::dial::Order;
use m2_core::frames::NOT_A_CONTACT;
use m2_core::sessions::{self, SessionId};
use m2_core::strangers::Eviction;
use m2_core::{ContactState, KnownAddress};
use m2_crypto::envelope::EpochHeader;
use m2_delivery::{Path, Time};
use m2_limits::prefix::Prefix;
use m2_net::session::CloseCode;
use m2_net::wire::ContactRequest;
use std::sync::Arc;
use std::time::Duration;

/// A session that ends before this age counts as a failed attempt. At most `MAX_SHORT` of them
/// lengthen the pause, to four seconds: two daemons of one identity also end each other's sessions.
const SHORT_SESSION: Duration = Duration::from_secs(10);
const MAX_SHORT: u32 = 5;

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
    /// Handles a session that was established.
    pub fn on_link_up(&mut self, link: &Arc<Link>) -> Result<Arrived, Refusal> {
        let (peer, path) = (link.name(), link.path());
        tracing::debug!(session = link.id, %peer, ?path, dialled = link.dialled, "a session is up");
        let Some(row) = self.row_of(&link.peer_id) else {
            self.admit_stranger(link);
            return Ok(Arrived::Stranger);
        };
        if self.contact_mut(row)?.state == ContactState::Blocked {
            self.misdeed(link, "BLOCKED");
            return Ok(Arrived::Unwanted);
        }
        if self.forbids(row, link.path()) {
            tracing::debug!(session = link.id, peer = %link.name(), "the contact's mode forbids direct sessions");
            self.counters.count("DIRECT_FORBIDDEN");
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
    fn admit_stranger(&mut self, link: &Arc<Link>) {
        let prefix = Prefix::of(link.remote.ip());
        let evicted = self
            .strangers
            .admit(link.id, link.peer_id, prefix, link.clone());
        if let Some((old, why)) = evicted {
            tracing::debug!(session = old.id, ?why, "a stranger's session must end");
            self.counters.count(match why {
                Eviction::Replaced => "STRANGER_REPLACED",
                Eviction::Crowded => "STRANGERS_TOO_MANY",
            });
            self.effects.push(Effect::Close(old, CloseCode::Replaced));
        }
    }

    /// Records that a peer with a row is connected.
    fn meet(&mut self, row: i64, link: &Arc<Link>) -> Result<(), Refusal> {
        let now = self.now_ms();
        let contact = self.contact_mut(row)?;
        contact.last_seen_ms = now;
        contact.certificate = Some(link.certificate.spki_der().to_vec());
        self.save_contact(row)?;
        if self.contact_mut(row)?.state.is_wanted() && link.path() == Path::Direct {
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
        link: &Arc<Link>,
        request: &ContactRequest,
    ) -> Result<Option<i64>, Refusal> {
        if let Some(row) = self.row_of(&link.peer_id) {
            return Ok(Some(row));
        }
        if !self.may_ask(link, request)? {
            return Ok(None);
        }
        let row = self.new_contact(link.peer_id, ContactState::Removed, "")?;
        self.strangers.remove(link.id);
        self.meet(row, link)?;
        Ok(Some(row))
    }

    /// Adds a new session, closes those that it replaces, and updates the dialer.
    fn add_link(&mut self, row: i64, link: &Arc<Link>) {
        let (mode, own_is_smaller) = (self.ip_mode(row), self.own_id < link.peer_id);
        let steady_ms = self.clock.steady_ms();
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return;
        };
        peer_state.last_failure = "";
        peer_state.confirmed_ms = steady_ms;
        let admission = sessions::admit(
            &peer_state.session_views(),
            link.view(),
            mode,
            own_is_smaller,
        );
        peer_state.links.push(link.clone());
        let why = admission.closed.iter().map(|(_, why)| *why);
        let closed: Vec<SessionId> = admission.closed.iter().map(|(id, _)| *id).collect();
        let closed = peer_state.links_of(&closed);
        peer_state.links = peer_state.links_of(&admission.kept);
        for (old, why) in closed.into_iter().zip(why) {
            let peer = old.name();
            tracing::debug!(session = old.id, %peer, by = link.id, ?why, "a session is replaced");
            // It takes no part in later choices, even before its end is known.
            old.mark_stale();
            self.effects.push(Effect::Close(old, CloseCode::Replaced));
        }
        let order = match admission.settles {
            true => Order::Settled,
            // A dial in progress may lead to a better session.
            false => Order::Rest,
        };
        self.order(link.peer_id, order);
        self.wake_lookup();
    }

    /// Returns whether a session is the one to send on.
    pub(super) fn serves(&self, row: i64, link: &Link) -> bool {
        let serving = self.peers.get(&row).and_then(PeerState::link);
        serving.is_some_and(|serving| serving.id == link.id)
    }

    /// Handles the end of a session.
    pub fn on_link_down(&mut self, link: &Arc<Link>) -> Result<(), Refusal> {
        self.strangers.remove(link.id);
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
            match link.refused() {
                Some(reason) => {
                    self.note_offline(row);
                    self.dial_after_refusal(row, link, reason)?;
                }
                None => self.dial_after_end(row, link.age())?,
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
        link: &Arc<Link>,
        reason: &'static str,
    ) -> Result<(), Refusal> {
        let wants_lines = reason != NOT_A_CONTACT && link.path() == Path::Direct;
        if wants_lines && !self.store.contact_lines(row)?.is_empty() {
            self.store.forget_addresses(row)?;
        }
        let route = self.route(row)?;
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return Ok(());
        };
        let peer = Pseudonym::of(&link.peer_id);
        tracing::debug!(session = link.id, %peer, reason, wants_lines, "the contact refused the session");
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
    pub fn check_grant(&mut self, link: &Link, grant: &EpochHeader) -> GrantCheck {
        let now = Time(self.clock.now_ms());
        let contact = self.row_of(&link.peer_id);
        let contact = contact.filter(|row| self.is_contact(*row) && link.is_placed());
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

    /// Closes all sessions when the daemon stops.
    pub(super) fn close_all(&self) {
        let known = self.peers.values().flat_map(|peer_state| &peer_state.links);
        for link in known.chain(self.strangers.sessions()) {
            link.close(CloseCode::ShuttingDown);
        }
    }
}
