//! Handles sessions as they are established, receive frames and end.

use super::Engine;
use super::effect::Effect;
use super::paths::{crossed, path_rank};
use super::peer_state::PeerState;
use super::problem::NOT_A_CONTACT;
use crate::config::IpMode;
use crate::network::{Link, Order, is_sent_once};
use crate::refusal::Refusal;
use crate::store::{ContactState, KnownAddress};
use m2_crypto::envelope::EpochHeader;
use m2_delivery::{AcceptedGrant, Ack, ContentHash, MessageId, Misbehaved, Path, Time};
use m2_limits::prefix::Prefix;
use m2_limits::shares::{Claim, FairShares, WhenEven};
use m2_net::session::CloseCode;
use m2_net::wire::line::Line;
use m2_net::wire::mailbox::Mailbox;
use m2_net::wire::{ContactRequest, Envelope, Message};
use std::sync::Arc;
use std::time::Duration;

/// The most sessions kept with one peer: the newest, and those that the peer may still send on.
const MAX_LINKS: usize = 3;
/// The most sessions with strangers.
const MAX_STRANGERS: usize = 64;
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
        let Some(row) = self.row_of(&link.peer_id) else {
            self.admit_stranger(link);
            return Ok(Arrived::Stranger);
        };
        if self.contact_mut(row)?.state == ContactState::Blocked {
            link.count_misdeed("BLOCKED");
            return Ok(Arrived::Unwanted);
        }
        if self.forbids(row, link.path()) {
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

    /// Admits a stranger's session, one for each peer. The sessions are shared among source
    /// prefixes, so that no prefix can lock out peers that have an invitation.
    fn admit_stranger(&mut self, link: &Arc<Link>) {
        let same = |other: &&Arc<Link>| other.peer_id == link.peer_id;
        let (gone, reason) = match self.strangers.values().find(same) {
            Some(same) => (Some(same.id), "STRANGER_REPLACED"),
            None => (self.stranger_to_end(link), "STRANGERS_TOO_MANY"),
        };
        if let Some(old) = gone.and_then(|id| self.strangers.remove(&id)) {
            self.counters.count(reason);
            self.effects.push(Effect::Close(old, CloseCode::Replaced));
        }
        self.strangers.insert(link.id, link.clone());
    }

    /// Returns the session that must end to admit another stranger; `None` while there is room.
    fn stranger_to_end(&self, link: &Link) -> Option<u64> {
        let mut shares = FairShares::new(MAX_STRANGERS, WhenEven::Replace);
        let prefix = |link: &Link| Prefix::of(link.remote.ip());
        for (id, stranger) in &self.strangers {
            shares.claim(*id, prefix(stranger));
        }
        match shares.claim(link.id, prefix(link)) {
            Claim::Granted => None,
            Claim::TakeFrom(other) => Some(other),
            Claim::Refused => self.strangers.keys().next().copied(),
        }
    }

    /// Records that a peer with a row is connected.
    fn meet(&mut self, row: i64, link: &Arc<Link>) -> Result<(), Refusal> {
        let now = self.now_ms();
        let contact = self.contact_mut(row)?;
        contact.last_seen_ms = now;
        contact.certificate = Some(link.certificate.spki_der().to_vec());
        self.save_contact(row)?;
        if contact_like(self.contact_mut(row)?.state) && link.path() == Path::Direct {
            let reached = KnownAddress::Proved(link.remote);
            self.store.put_address(row, reached, now)?;
        }
        self.add_link(row, link);
        self.note_clock(row, link);
        Ok(())
    }

    /// Returns the row of a session's peer. A stranger that sends a request gets one, unless the
    /// request would be dropped: the state that strangers can create is bounded.
    fn row_for_request(
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
        self.strangers.remove(&link.id);
        self.meet(row, link)?;
        Ok(Some(row))
    }

    /// Makes the newest session the one to send on. It replaces a session that the same side
    /// dialled, as that one is dead or about to be, a session that wants a successor, and one on a
    /// lower-ranked path.
    fn add_link(&mut self, row: i64, link: &Arc<Link>) {
        let (mode, own_is_smaller) = (self.ip_mode(row), self.own_id < link.peer_id);
        let Some(peer_state) = self.peers.get_mut(&row) else {
            return;
        };
        peer_state.last_failure = "";
        let (replaced, mut kept): (Vec<_>, Vec<_>) = peer_state.links.drain(..).partition(|old| {
            old.dialled == link.dialled
                || old.wants_successor()
                || path_rank(mode, link) > path_rank(mode, old)
        });
        while kept.len() + 1 > MAX_LINKS {
            kept.remove(0);
        }
        kept.push(link.clone());
        let unwanted = crossed(&mut kept, mode, own_is_smaller);
        peer_state.links = kept;
        let replaced = replaced.into_iter().chain(unwanted);
        let effects = replaced.map(|old| Effect::Close(old, CloseCode::Replaced));
        self.effects.extend(effects);
        // Of two crossed sessions the one that the smaller id dialled is kept, so do not cancel
        // that dial.
        let wins = link.dialled || !own_is_smaller;
        if wins && mode == IpMode::Direct && link.path() == Path::Direct {
            self.order(link.peer_id, Order::Settled);
        } else {
            // A dial in progress may lead to a better path.
            self.order(link.peer_id, Order::Rest);
        }
        self.wake_lookup();
    }

    /// Returns whether a session is the one to send on.
    pub(super) fn serves(&self, row: i64, link: &Link) -> bool {
        let serving = self.peers.get(&row).and_then(PeerState::link);
        serving.is_some_and(|serving| serving.id == link.id)
    }

    /// Handles the end of a session.
    pub fn on_link_down(&mut self, link: &Arc<Link>) -> Result<(), Refusal> {
        self.strangers.remove(&link.id);
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
        if short > 0 && contact_like(peer_state.contact.state) && peer_state.links.is_empty() {
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
        peer_state.refused = reason;
        peer_state.refusals = peer_state.refusals.saturating_add(1);
        if contact_like(peer_state.contact.state) {
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

    /// Handles a frame of a session, except Hello.
    pub fn on_frame(
        &mut self,
        link: &Arc<Link>,
        message: Message,
        accepted: Option<AcceptedGrant>,
    ) {
        if is_sent_once(&message) {
            self.sent_once.push(link.clone());
        }
        match self.take_frame(link, message, accepted) {
            Ok(Ok(())) => {}
            Ok(Err(misdeed @ Misbehaved::TooMuchWork)) => {
                link.close_for_violation(reason_of(&misdeed))
            }
            Ok(Err(misdeed)) => link.count_misdeed(reason_of(&misdeed)),
            Err(refusal) if refusal.fault.is_some() => self.fail_batch(refusal),
            Err(_) => link.count_misdeed("FRAME_REFUSED"),
        }
    }

    fn take_frame(
        &mut self,
        link: &Arc<Link>,
        message: Message,
        accepted: Option<AcceptedGrant>,
    ) -> Result<Result<(), Misbehaved>, Refusal> {
        let takes_room = matches!(message, Message::ContactRequest(_) | Message::Envelope(_));
        if takes_room && !self.store.has_room()? {
            // The peer keeps the message and offers it again.
            self.counters.count("FRAME_NO_ROOM");
            return Ok(Ok(()));
        }
        if let Message::ContactRequest(request) = &message {
            match self.row_for_request(link, request)? {
                Some(row) => self.on_contact_request(row, link, request)?,
                None => {
                    link.asks();
                    link.count_misdeed("REQUESTS_TOO_MANY");
                }
            }
            return Ok(Ok(()));
        }
        let state = |row| {
            self.peers
                .get(&row)
                .map(|peer_state| peer_state.contact.state)
        };
        let row = self.row_of(&link.peer_id);
        if matches!(row.and_then(state), None | Some(ContactState::Removed)) && is_talk(&message) {
            self.refuse_talk(link);
            return Ok(Ok(()));
        }
        let Some(row) = row else {
            link.count_misdeed(NOT_A_CONTACT);
            return Ok(Ok(()));
        };
        // A peer that sends frames does not refuse this daemon.
        if let Some(peer_state) = self.peers.get_mut(&row) {
            peer_state.refusals = 0;
            peer_state.refused = "";
        }
        match message {
            Message::ContactReply { accepted } => self.on_contact_reply(row, link, accepted)?,
            Message::Places(stated) if self.is_contact(row) => {
                self.on_places(row, link, &stated)?;
            }
            // The peer still takes the two for contacts. It states its places again with its
            // answer.
            Message::Places(_) if self.has_asked(row) => {}
            // A peer that is no contact may do nothing else
            // (`docs/spec/contact.md#before-both-are-contacts`). It may not know yet that it was
            // declined.
            _ if !self.is_contact(row) => link.count_misdeed(NOT_A_CONTACT),
            _ if !link.is_placed() => link.close_for_violation("PLACES_MISSING"),
            Message::Envelope(envelope) => return self.on_envelope(row, &envelope, accepted),
            Message::Acks(acks) => return self.on_acks(row, &acks),
            Message::Mailbox(mailbox) => match *mailbox {
                Mailbox::Offer(boxes) => self.on_offer(row, boxes)?,
                _ => link.count_misdeed("FRAME_OUT_OF_PLACE"),
            },
            Message::Line(line) => match *line {
                Line::Offer(lines) => self.on_line_offer(row, lines)?,
                _ => link.count_misdeed("FRAME_OUT_OF_PLACE"),
            },
            Message::Reach(reach) => self.on_reach(row, link, *reach),
            Message::EpochRefused { incarnation, epoch } => {
                self.with_conversation(row, |conversation, cx| {
                    conversation.on_epoch_refused(cx, incarnation, epoch);
                })?;
            }
            Message::Hello(_)
            | Message::ContactRequest(_)
            | Message::Cover(_)
            | Message::Places(_) => {
                link.count_misdeed("FRAME_OUT_OF_PLACE");
            }
        }
        Ok(Ok(()))
    }

    fn has_asked(&self, row: i64) -> bool {
        let peer_state = self.peers.get(&row);
        peer_state.is_some_and(|peer_state| peer_state.contact.state == ContactState::Asked)
    }

    fn on_envelope(
        &mut self,
        row: i64,
        envelope: &Envelope,
        accepted: Option<AcceptedGrant>,
    ) -> Result<Result<(), Misbehaved>, Refusal> {
        if self.is_over_quota(row)? {
            return Ok(Ok(()));
        }
        self.with_conversation(row, |conversation, cx| {
            conversation.on_envelope(cx, accepted, &envelope.sealed)
        })
    }

    fn on_acks(
        &mut self,
        row: i64,
        acks: &[m2_net::wire::Ack],
    ) -> Result<Result<(), Misbehaved>, Refusal> {
        let acks: Vec<Ack> = acks
            .iter()
            .map(|ack| Ack {
                id: MessageId(ack.message_id),
                hash: ContentHash(ack.content_hash),
            })
            .collect();
        self.with_conversation(row, |conversation, cx| conversation.on_acks(cx, &acks))
    }

    /// Closes all sessions when the daemon stops.
    pub(super) fn close_all(&self) {
        let known = self.peers.values().flat_map(|peer_state| &peer_state.links);
        for link in known.chain(self.strangers.values()) {
            link.close(CloseCode::ShuttingDown);
        }
    }
}

const fn reason_of(misdeed: &Misbehaved) -> &'static str {
    match misdeed {
        Misbehaved::Envelope => "ENVELOPE_MALFORMED",
        Misbehaved::ForeignGrant => "GRANT_FOREIGN",
        Misbehaved::TooMuchWork => "ENVELOPE_COSTLY",
        Misbehaved::Payload(_) => "PAYLOAD_MALFORMED",
        Misbehaved::IdReused => "MESSAGE_ID_REUSED",
        Misbehaved::TooManyAcks => "ACKS_TOO_MANY",
        Misbehaved::AckMismatch => "ACK_MISMATCH",
    }
}

pub(super) const fn contact_like(state: ContactState) -> bool {
    matches!(state, ContactState::Asked | ContactState::Contact)
}

/// Returns whether a frame is one that only contacts send.
pub(super) const fn is_talk(message: &Message) -> bool {
    match message {
        Message::Places(_)
        | Message::Envelope(_)
        | Message::Acks(_)
        | Message::EpochRefused { .. }
        | Message::Line(_)
        | Message::Reach(_) => true,
        Message::Mailbox(mailbox) => matches!(**mailbox, Mailbox::Offer(_)),
        _ => false,
    }
}
