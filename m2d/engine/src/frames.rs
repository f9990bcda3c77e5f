//! Processes the frames of sessions.

use crate::refusal::Refusal;
use crate::state::{Session, State, is_sent_once};
use crate::{
    contact_boxes, conversation, letter_secrets, lines, paths, peer_requests, places, problem,
    retention, token_giving,
};
use m2_core::frames::{self, FrameKind, Verdict};
use m2_delivery::{AcceptedGrant, Ack, ContentHash, MessageId, Misdeed};
use m2_store::ContactRowId;
use m2_wire::line::Line;
use m2_wire::mailbox::Mailbox;
use m2_wire::{Envelope, Message};
use std::sync::Arc;

/// Handles a frame of a session, except Hello.
pub(crate) fn on_frame(
    engine: &mut State,
    link: &Arc<Session>,
    message: Message,
    accepted: Option<AcceptedGrant>,
) {
    if is_sent_once(&message) {
        engine.sessions.sent_once.push(link.id);
    }
    engine.sessions.set_doubt(link.id, false);
    match take_frame(engine, link, message, accepted) {
        Ok(Ok(())) => {}
        Ok(Err(misdeed @ Misdeed::TooMuchWork)) => {
            engine.batch.violation(link.id, reason_of(&misdeed))
        }
        Ok(Err(misdeed)) => engine.batch.misdeed(link.id, reason_of(&misdeed)),
        Err(refusal) if refusal.fault.is_some() => engine.batch.fail(refusal),
        Err(_) => engine.batch.misdeed(link.id, "FRAME_REFUSED"),
    }
}

fn take_frame(
    engine: &mut State,
    link: &Arc<Session>,
    message: Message,
    accepted: Option<AcceptedGrant>,
) -> Result<Result<(), Misdeed>, Refusal> {
    let takes_room = matches!(message, Message::ContactRequest(_) | Message::Envelope(_));
    if takes_room && !engine.batch.store.has_room()? {
        // The peer keeps the message and offers it again.
        engine.batch.counters.count("FRAME_NO_ROOM");
        return Ok(Ok(()));
    }
    if let Message::ContactRequest(request) = &message {
        match peer_requests::row_for_request(engine, link, request)? {
            Some(row) => peer_requests::on_request(engine, row, link, request)?,
            None => {
                engine.sessions.asks(link.id);
                engine.batch.misdeed(link.id, "REQUESTS_TOO_MANY");
            }
        }
        return Ok(Ok(()));
    }
    let row = engine.peers.row_of(&link.peer_id);
    let peer_state = row.and_then(|row| engine.peers.get(&row));
    let state = peer_state.map(|peer_state| peer_state.contact.state);
    let verdict = frames::verdict(state, kind_of(&message), engine.sessions.is_placed(link.id));
    if let Some(peer_state) = row.and_then(|row| engine.peers.get_mut(&row))
        && verdict != Verdict::NotAContact
    {
        // A peer that sends frames does not refuse this daemon.
        peer_state.refusals = 0;
        peer_state.refused = None;
    }
    match verdict {
        Verdict::Take => {}
        Verdict::Ignore => return Ok(Ok(())),
        Verdict::NotAContact => {
            problem::refuse_talk(engine, link);
            return Ok(Ok(()));
        }
        Verdict::Misdeed(reason) => {
            engine.batch.misdeed(link.id, reason);
            return Ok(Ok(()));
        }
        Verdict::Violation(reason) => {
            engine.batch.violation(link.id, reason);
            return Ok(Ok(()));
        }
    }
    match row {
        Some(row) => take_from(engine, row, link, message, accepted),
        None => Ok(Ok(())),
    }
}

/// Processes a frame of a peer with a row that may send it.
fn take_from(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
    message: Message,
    accepted: Option<AcceptedGrant>,
) -> Result<Result<(), Misdeed>, Refusal> {
    match message {
        Message::ContactReply { accepted } => peer_requests::on_reply(engine, row, link, accepted)?,
        Message::Places(stated) => places::on_places(engine, row, link, &stated)?,
        Message::Envelope(envelope) => {
            // Two daemons with one identity each have a session of their own.
            engine.conversations.answering = Some(link.id);
            let result = on_envelope(engine, row, &envelope, accepted);
            engine.conversations.answering = None;
            return result;
        }
        Message::Acks(acks) => return on_acks(engine, row, &acks),
        Message::Reach(reach) => paths::on_reach(engine, row, link, *reach),
        Message::EpochRefused { incarnation, epoch } => {
            conversation::feed(engine, row, |conversation, cx| {
                conversation.on_epoch_refused(cx, incarnation, epoch);
            })?;
        }
        Message::Mailbox(mailbox) => on_mailbox(engine, row, link, *mailbox)?,
        Message::Line(line) => {
            if let Line::Offer(lines) = *line {
                lines::on_offer(engine, row, lines)?;
            }
        }
        Message::Hello(_) | Message::ContactRequest(_) | Message::Cover(_) => {}
    }
    Ok(Ok(()))
}

/// Processes a contact's frame about letters.
fn on_mailbox(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
    frame: Mailbox,
) -> Result<(), Refusal> {
    match frame {
        Mailbox::Offer(boxes) => contact_boxes::on_offer(engine, row, boxes),
        Mailbox::Tokens { series, tokens } => {
            contact_boxes::on_tokens(engine, row, link, series, &tokens)
        }
        Mailbox::TokenReport { taken, refused } => {
            token_giving::on_report(engine, row, &taken, &refused)
        }
        Mailbox::SeriesHeld(held) => token_giving::on_series_held(engine, row, link, &held),
        Mailbox::LetterSecrets { stored, seals_with } => {
            letter_secrets::on_statement(engine, row, link, &stored, seals_with.as_ref())
        }
        _ => Ok(()),
    }
}

fn on_envelope(
    engine: &mut State,
    row: ContactRowId,
    envelope: &Envelope,
    accepted: Option<AcceptedGrant>,
) -> Result<Result<(), Misdeed>, Refusal> {
    if retention::is_over_quota(engine, row)? {
        return Ok(Ok(()));
    }
    conversation::feed(engine, row, |conversation, cx| {
        conversation.on_envelope(cx, accepted, &envelope.sealed)
    })
}

fn on_acks(
    engine: &mut State,
    row: ContactRowId,
    acks: &[m2_wire::Ack],
) -> Result<Result<(), Misdeed>, Refusal> {
    let acks: Vec<Ack> = acks
        .iter()
        .map(|ack| Ack {
            id: MessageId(ack.message_id),
            hash: ContentHash(ack.content_hash),
        })
        .collect();
    let steady_ms = engine.batch.clock.steady_ms();
    if let Some(peer_state) = engine.peers.get_mut(&row) {
        peer_state.confirmed_ms = steady_ms;
    }
    conversation::feed(engine, row, |conversation, cx| {
        conversation.on_acks(cx, &acks)
    })
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
            Mailbox::Offer(_)
            | Mailbox::Tokens { .. }
            | Mailbox::TokenReport { .. }
            | Mailbox::SeriesHeld(_)
            | Mailbox::LetterSecrets { .. } => FrameKind::Letters,
            _ => FrameKind::OutOfPlace,
        },
        Message::Line(line) => match **line {
            Line::Offer(_) => FrameKind::LineOffer,
            _ => FrameKind::Relay,
        },
        Message::Hello(_) | Message::Cover(_) => FrameKind::OutOfPlace,
    }
}

const fn reason_of(misdeed: &Misdeed) -> &'static str {
    match misdeed {
        Misdeed::Envelope => "ENVELOPE_MALFORMED",
        Misdeed::ForeignGrant => "GRANT_FOREIGN",
        Misdeed::TooMuchWork => "ENVELOPE_COSTLY",
        Misdeed::Payload(_) => "PAYLOAD_MALFORMED",
        Misdeed::IdReused => "MESSAGE_ID_REUSED",
        Misdeed::TooManyAcks => "ACKS_TOO_MANY",
        Misdeed::AckMismatch => "ACK_MISMATCH",
    }
}
