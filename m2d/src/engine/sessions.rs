//! Sessions come, bring frames, and go.

use super::Engine;
use super::effect::Effect;
use super::paths::{crossed, path_rank};
use super::slot::Slot;
use crate::network::Link;
use crate::refusal::Refusal;
use crate::store::{BudgetRow, ContactState, KnownAddress};
use m2_crypto::PeerId;
use m2_crypto::envelope::{EpochHeader, ReceiveEpoch};
use m2_net::delivery::{Ack, ContentHash, MessageId, Misbehaved, Path, Time};
use m2_net::prefix::Prefix;
use m2_net::session::CloseCode;
use m2_net::shares::{Claim, FairShares, WhenEven};
use m2_net::wire::line::Line;
use m2_net::wire::mailbox::Mailbox;
use m2_net::wire::{ContactRequest, Envelope, Message};
use std::sync::Arc;

/// Sessions kept with one peer: the newest, and those it may still be sending on.
const MAX_LINKS: usize = 3;
/// Sessions with peers that are no contacts.
const MAX_STRANGERS: usize = 64;

/// What becomes of a session that came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// Its frames are welcome.
    Welcome,
    /// It is to be closed.
    Unwanted,
}

/// Whether a grant deserves its RSA operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GrantCheck {
    /// Open it and give it with the envelope.
    Open,
    /// Give the envelope without it.
    #[default]
    Ignore,
}

impl Engine {
    /// A session stands.
    pub fn on_link_up(&mut self, link: &Arc<Link>) -> Result<Arrived, Refusal> {
        let Some(row) = self.row_of(&link.peer_id) else {
            self.admit_stranger(link);
            return Ok(Arrived::Welcome);
        };
        if self.contact_mut(row)?.state == ContactState::Blocked {
            link.misbehaved("BLOCKED");
            return Ok(Arrived::Unwanted);
        }
        if self.forbids(row, link.path()) {
            self.counters.count("DIRECT_FORBIDDEN");
            return Ok(Arrived::Unwanted);
        }
        self.meet(row, link)?;
        self.ask_again(row)?;
        self.answer_request(row)?;
        if self.is_contact(row) && self.serves(row, link) {
            let path = link.path();
            self.converse(row, |conversation, cx| conversation.connected(cx, path))?;
            self.offer_on_meeting(row)?;
            self.offer_lines(row)?;
            self.seek_direct(row, link);
        }
        Ok(Arrived::Welcome)
    }

    /// Admits a stranger's session. A peer may have one. Their places are shared out among source
    /// prefixes, so that nobody keeps out those who come with an invitation.
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

    /// The session that has to end for another stranger's: none while there is room.
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

    /// Notes that a peer with a row is there.
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
        Ok(())
    }

    /// The row of a session's peer. A stranger that asks gets one, unless its request would not be
    /// kept: what strangers can make us store is bounded.
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

    /// The newest session serves; the same dialler's older one is dead, or soon to be. So is one in
    /// doubt.
    fn add_link(&mut self, row: i64, link: &Arc<Link>) {
        let (mode, own_is_smaller) = (self.ip_mode(row), self.own_id < link.peer_id);
        let Some(slot) = self.slots.get_mut(&row) else {
            return;
        };
        slot.last_failure = "";
        let (replaced, mut kept): (Vec<_>, Vec<_>) = slot.links.drain(..).partition(|old| {
            old.dialled == link.dialled
                || old.wants_successor()
                || path_rank(mode, link) > path_rank(mode, old)
        });
        while kept.len() + 1 > MAX_LINKS {
            kept.remove(0);
        }
        kept.push(link.clone());
        let unwanted = crossed(&mut kept, mode, own_is_smaller);
        slot.links = kept;
        let replaced = replaced.into_iter().chain(unwanted);
        let effects = replaced.map(|old| Effect::Close(old, CloseCode::Replaced));
        self.effects.extend(effects);
        self.dialer.rest(link.peer_id);
        self.wake_lookup();
    }

    /// Whether a session is the one to send on.
    pub(super) fn serves(&self, row: i64, link: &Link) -> bool {
        let serving = self.slots.get(&row).and_then(Slot::link);
        serving.is_some_and(|serving| serving.id == link.id)
    }

    /// A session ended.
    pub fn on_link_down(&mut self, link: &Arc<Link>) -> Result<(), Refusal> {
        self.strangers.remove(&link.id);
        let Some(row) = self.row_of(&link.peer_id) else {
            return Ok(());
        };
        let Some(slot) = self.slots.get_mut(&row) else {
            return Ok(());
        };
        let was_serving = slot.link().is_some_and(|serving| serving.id == link.id);
        slot.links.retain(|other| other.id != link.id);
        let path = slot.link().map(|link| link.path());
        if self.is_contact(row) && was_serving {
            self.converse(row, |conversation, cx| match path {
                Some(path) => conversation.connected(cx, path),
                None => conversation.disconnected(cx),
            })?;
        }
        if path.is_none() {
            self.note_offline(row);
            self.wake_lookup();
            if link.was_refused() {
                self.dial_after_refusal(row, link)?;
            } else {
                self.dial(row)?;
            }
        }
        Ok(())
    }

    /// A peer ended a session as one that it does not want. It is called again after a pause, and
    /// not straight if it may be called on lines: that is what it refuses (spec §7).
    fn dial_after_refusal(&mut self, row: i64, link: &Arc<Link>) -> Result<(), Refusal> {
        if link.path() == Path::Direct && !self.store.contact_lines(row)?.is_empty() {
            self.store.forget_addresses(row)?;
        }
        let route = self.route(row)?;
        let Some(slot) = self.slots.get_mut(&row) else {
            return Ok(());
        };
        slot.refusals = slot.refusals.saturating_add(1);
        if contact_like(slot.contact.state) {
            self.dialer
                .want_after(slot.contact.peer_id, route, slot.refusals);
        }
        Ok(())
    }

    /// Whether a grant deserves its RSA operations.
    pub fn check_grant(&mut self, peer: &PeerId, grant: &EpochHeader) -> GrantCheck {
        let now = Time(self.clock.now_ms());
        let wanted = self
            .row_of(peer)
            .filter(|row| self.is_contact(*row))
            .and_then(|row| {
                self.converse_quietly(row, |conversation, _| conversation.wants_grant(now, grant))
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

    /// A frame of a session, but for Hello.
    pub fn on_frame(&mut self, link: &Arc<Link>, message: Message, accepted: Option<ReceiveEpoch>) {
        match self.take_frame(link, message, accepted) {
            Ok(Ok(())) => {}
            Ok(Err(misbehaved)) => link.misbehaved(reason_of(&misbehaved)),
            Err(refusal) if refusal.store_failed => self.fail_batch(refusal),
            Err(_) => link.misbehaved("FRAME_REFUSED"),
        }
    }

    fn take_frame(
        &mut self,
        link: &Arc<Link>,
        message: Message,
        accepted: Option<ReceiveEpoch>,
    ) -> Result<Result<(), Misbehaved>, Refusal> {
        if let Message::ContactRequest(request) = &message {
            match self.row_for_request(link, request)? {
                Some(row) => self.on_contact_request(row, link, request)?,
                None => link.misbehaved("REQUESTS_TOO_MANY"),
            }
            return Ok(Ok(()));
        }
        let Some(row) = self.row_of(&link.peer_id) else {
            link.misbehaved("NOT_A_CONTACT");
            return Ok(Ok(()));
        };
        // Who speaks to us does not refuse us.
        if let Some(slot) = self.slots.get_mut(&row) {
            slot.refusals = 0;
        }
        match message {
            Message::ContactReply { accepted } => self.on_contact_reply(row, link, accepted)?,
            // Who is no contact may do nothing else (spec §4). It may be one that was removed
            // and doesn't know it yet.
            _ if !self.is_contact(row) => link.misbehaved("NOT_A_CONTACT"),
            Message::Envelope(envelope) => return self.on_envelope(row, &envelope, accepted),
            Message::Acks(acks) => return self.on_acks(row, &acks),
            Message::Mailbox(mailbox) => match *mailbox {
                Mailbox::Offer(boxes) => self.on_offer(row, &boxes)?,
                _ => link.misbehaved("FRAME_OUT_OF_PLACE"),
            },
            Message::Line(line) => match *line {
                Line::Offer(lines) => self.on_line_offer(row, lines)?,
                _ => link.misbehaved("FRAME_OUT_OF_PLACE"),
            },
            Message::Reach(reach) => self.on_reach(row, link, *reach),
            Message::EpochRefused { incarnation, epoch } => {
                self.converse(row, |conversation, cx| {
                    conversation.on_epoch_refused(cx, incarnation, epoch);
                })?;
            }
            Message::Hello(_) | Message::ContactRequest(_) | Message::Cover(_) => {
                link.misbehaved("FRAME_OUT_OF_PLACE");
            }
        }
        Ok(Ok(()))
    }

    fn on_envelope(
        &mut self,
        row: i64,
        envelope: &Envelope,
        accepted: Option<ReceiveEpoch>,
    ) -> Result<Result<(), Misbehaved>, Refusal> {
        self.converse(row, |conversation, cx| {
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
        self.converse(row, |conversation, cx| conversation.on_acks(cx, &acks))
    }

    /// Nothing came back for what was sent on a session: the peer may be gone, or have lost its
    /// side of it. It is called beside, and the session that comes up takes the place of this one.
    pub fn on_link_silent(&mut self, link: &Arc<Link>) {
        tracing::debug!("a session is in doubt");
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

    /// There is something to send: a contact that is away is tried soon, and looked for.
    pub(super) fn hurry(&mut self, row: i64) {
        let slot = self.slots.get(&row);
        let Some(slot) = slot.filter(|slot| slot.links.is_empty()) else {
            return;
        };
        self.dialer.hurry(slot.contact.peer_id);
        self.wake_lookup();
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

    /// Ends all sessions: the daemon stops.
    pub(super) fn close_all(&self) {
        let known = self.slots.values().flat_map(|slot| &slot.links);
        for link in known.chain(self.strangers.values()) {
            link.close(CloseCode::ShuttingDown);
        }
    }
}

const fn reason_of(misbehaved: &Misbehaved) -> &'static str {
    match misbehaved {
        Misbehaved::Envelope => "ENVELOPE_MALFORMED",
        Misbehaved::ForeignGrant => "GRANT_FOREIGN",
        Misbehaved::TooManyIncarnations => "INCARNATIONS",
        Misbehaved::Payload(_) => "PAYLOAD_MALFORMED",
        Misbehaved::IdReused => "MESSAGE_ID_REUSED",
        Misbehaved::TooManyAcks => "ACKS_TOO_MANY",
        Misbehaved::AckMismatch => "ACK_MISMATCH",
    }
}

const fn contact_like(state: ContactState) -> bool {
    matches!(state, ContactState::Asked | ContactState::Contact)
}
