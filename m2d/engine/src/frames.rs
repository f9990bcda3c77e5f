//! Processes the frames of sessions.

use super::Engine;
use crate::refusal::Refusal;
use crate::session::{Session, is_sent_once};
use m2_core::frames::{self, FrameKind, Verdict};
use m2_delivery::{AcceptedGrant, Ack, ContentHash, MessageId, Misbehaved};
use m2_wire::line::Line;
use m2_wire::mailbox::Mailbox;
use m2_wire::{Envelope, Message};
use std::sync::Arc;

impl Engine {
    /// Handles a frame of a session, except Hello.
    pub(crate) fn on_frame(
        &mut self,
        link: &Arc<Session>,
        message: Message,
        accepted: Option<AcceptedGrant>,
    ) {
        if is_sent_once(&message) {
            self.sent_once.push(link.id);
        }
        self.set_doubt(link.id, false);
        match self.take_frame(link, message, accepted) {
            Ok(Ok(())) => {}
            Ok(Err(misdeed @ Misbehaved::TooMuchWork)) => {
                self.violation(link.id, reason_of(&misdeed))
            }
            Ok(Err(misdeed)) => self.misdeed(link.id, reason_of(&misdeed)),
            Err(refusal) if refusal.fault.is_some() => self.fail_batch(refusal),
            Err(_) => self.misdeed(link.id, "FRAME_REFUSED"),
        }
    }

    fn take_frame(
        &mut self,
        link: &Arc<Session>,
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
                    self.asks(link.id);
                    self.misdeed(link.id, "REQUESTS_TOO_MANY");
                }
            }
            return Ok(Ok(()));
        }
        let row = self.row_of(&link.peer_id);
        let peer_state = row.and_then(|row| self.peers.get(&row));
        let state = peer_state.map(|peer_state| peer_state.contact.state);
        let verdict = frames::verdict(state, kind_of(&message), self.is_placed(link.id));
        if let Some(peer_state) = row.and_then(|row| self.peers.get_mut(&row))
            && verdict != Verdict::NotAContact
        {
            // A peer that sends frames does not refuse this daemon.
            peer_state.refusals = 0;
            peer_state.refused = "";
        }
        match verdict {
            Verdict::Take => {}
            Verdict::Ignore => return Ok(Ok(())),
            Verdict::NotAContact => {
                self.refuse_talk(link);
                return Ok(Ok(()));
            }
            Verdict::Misdeed(reason) => {
                self.misdeed(link.id, reason);
                return Ok(Ok(()));
            }
            Verdict::Violation(reason) => {
                self.violation(link.id, reason);
                return Ok(Ok(()));
            }
        }
        match row {
            Some(row) => self.take_from(row, link, message, accepted),
            None => Ok(Ok(())),
        }
    }

    /// Processes a frame of a peer with a row that may send it.
    fn take_from(
        &mut self,
        row: i64,
        link: &Arc<Session>,
        message: Message,
        accepted: Option<AcceptedGrant>,
    ) -> Result<Result<(), Misbehaved>, Refusal> {
        match message {
            Message::ContactReply { accepted } => self.on_contact_reply(row, link, accepted)?,
            Message::Places(stated) => self.on_places(row, link, &stated)?,
            Message::Envelope(envelope) => {
                // Two daemons with one identity each have a session of their own.
                self.answering = Some(link.id);
                let result = self.on_envelope(row, &envelope, accepted);
                self.answering = None;
                return result;
            }
            Message::Acks(acks) => return self.on_acks(row, &acks),
            Message::Reach(reach) => self.on_reach(row, link, *reach),
            Message::EpochRefused { incarnation, epoch } => {
                self.with_conversation(row, |conversation, cx| {
                    conversation.on_epoch_refused(cx, incarnation, epoch);
                })?;
            }
            Message::Mailbox(mailbox) => {
                if let Mailbox::Offer(boxes) = *mailbox {
                    self.on_offer(row, boxes)?;
                }
            }
            Message::Line(line) => {
                if let Line::Offer(lines) = *line {
                    self.on_line_offer(row, lines)?;
                }
            }
            Message::Hello(_) | Message::ContactRequest(_) | Message::Cover(_) => {}
        }
        Ok(Ok(()))
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
        acks: &[m2_wire::Ack],
    ) -> Result<Result<(), Misbehaved>, Refusal> {
        let acks: Vec<Ack> = acks
            .iter()
            .map(|ack| Ack {
                id: MessageId(ack.message_id),
                hash: ContentHash(ack.content_hash),
            })
            .collect();
        let steady_ms = self.clock.steady_ms();
        if let Some(peer_state) = self.peers.get_mut(&row) {
            peer_state.confirmed_ms = steady_ms;
        }
        self.with_conversation(row, |conversation, cx| conversation.on_acks(cx, &acks))
    }
}

/// Returns the kind of a frame.
pub(super) fn kind_of(message: &Message) -> FrameKind {
    match message {
        Message::ContactRequest(_) => FrameKind::Request,
        Message::ContactReply { .. } => FrameKind::Reply,
        Message::Places(_) => FrameKind::Places,
        Message::Envelope(_) => FrameKind::Envelope,
        Message::Acks(_) => FrameKind::Acks,
        Message::EpochRefused { .. } => FrameKind::EpochRefused,
        Message::Reach(_) => FrameKind::Reach,
        Message::Mailbox(mailbox) => match **mailbox {
            Mailbox::Offer(_) => FrameKind::MailboxOffer,
            _ => FrameKind::OutOfPlace,
        },
        Message::Line(line) => match **line {
            Line::Offer(_) => FrameKind::LineOffer,
            _ => FrameKind::Relay,
        },
        Message::Hello(_) | Message::Cover(_) => FrameKind::OutOfPlace,
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
