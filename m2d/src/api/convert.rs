//! Conversions between the engine's types and the API's.

use crate::config::IpMode;
use m2_core::ContactState;
use m2_core::PathFailure;
use m2_delivery::{Content, MessageId, Notice, Path, PayloadError};
use m2_engine::Refusal;
use m2_engine::{ContactNotice, ContactView, Failure, MailboxView, NoticeKind};
use m2_proto::api::v1 as pb;
use m2_proto::reason::Reason;
use m2_proto::wkt::Timestamp;
use m2_store::{
    EventKind, EventRow, Gone, HistoryPage, InvitationRow, MailboxState, MessageState,
    ShownMessage, Usage,
};

const MAX_NAME: usize = 64;

/// Converts Unix milliseconds to a timestamp.
pub(super) fn timestamp(ms: u64) -> Timestamp {
    Timestamp::from_unix_millis(ms)
}

/// Converts a duration to whole milliseconds and checks its range.
pub(super) fn duration_ms(
    duration: &pbjson_types::Duration,
    from_ms: u64,
    to_ms: u64,
    field: &'static str,
    limit: &str,
) -> Result<u64, Refusal> {
    let in_range = whole_ms(duration).filter(|ms| (from_ms..=to_ms).contains(ms));
    in_range.ok_or_else(|| {
        let message = format!("{field} must be from {limit}.");
        Refusal::argument(field, limit, message)
    })
}

/// Returns a duration in whole milliseconds, rounded up; `None` if it is negative, malformed or too
/// long.
fn whole_ms(duration: &pbjson_types::Duration) -> Option<u64> {
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u64::try_from(duration.nanos).ok()?;
    if nanos >= 1_000_000_000 {
        return None;
    }
    seconds
        .checked_mul(1_000)?
        .checked_add(nanos.div_ceil(1_000_000))
}

/// Checks the name that an owner gives a front-end or a token.
pub(super) fn check_name(field: &'static str, name: &str) -> Result<(), Refusal> {
    let fit = (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if fit {
        Ok(())
    } else {
        Err(Refusal::argument(
            field,
            "1..64 of a-z 0-9 . _ -",
            format!("The {field} has 1 to 64 characters of a-z, 0-9, and the signs . _ -"),
        ))
    }
}

/// Parses a message id of 32 hexadecimal digits.
pub(super) fn message_id(text: &str) -> Result<[u8; 16], Refusal> {
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Refusal::new(Reason::MessageUnknown))
}

/// Encodes 16 bytes as 32 hexadecimal digits.
pub(super) fn hex(bytes: &[u8; 16]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Checks content against its limits.
pub(super) fn content(media_type: &str, data: Vec<u8>) -> Result<Content, Refusal> {
    Content::new(media_type, data).map_err(|error| match error {
        PayloadError::TooLarge => Refusal::new(Reason::MessageTooLarge),
        PayloadError::MediaType => media_type_refused(),
        error => Refusal::argument("content", "", format!("{error}.")),
    })
}

/// Checks data and its media type (RFC 6838, with or without parameters).
pub(super) fn data(media_type: &str, data: Vec<u8>) -> Result<Content, Refusal> {
    let (kind, parameters) = media_type.split_once(';').unwrap_or((media_type, ""));
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let is_type = kind
        .trim_end_matches(' ')
        .split_once('/')
        .is_some_and(|(group, name)| is_token(group) && is_token(name));
    let is_printable = parameters.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_type || !is_printable {
        return Err(media_type_refused());
    }
    content(media_type, data)
}

fn media_type_refused() -> Refusal {
    Refusal::argument(
        "media_type",
        "type/subtype, 127 bytes",
        "A media type is written type/subtype, such as image/png, in at most 127 bytes.",
    )
}

/// Parses an enum field. Unknown values, which a later version may define, are refused, because the
/// default could be laxer than the value that the caller meant.
pub(super) fn known<E: TryFrom<i32>>(field: &'static str, value: i32) -> Result<E, Refusal> {
    E::try_from(value).map_err(|_| {
        Refusal::argument(
            field,
            "a value of the enum",
            format!("{field} has the value {value}, which this daemon does not know. Update m2d."),
        )
    })
}

/// Converts a contact.
pub(super) fn contact(view: ContactView, usage: Usage) -> pb::Contact {
    pb::Contact {
        peer_id: view.row.peer_id.to_string(),
        name: view.row.name,
        state: contact_state(view.row.state).into(),
        verified: view.row.verified,
        online: view.online,
        created: Some(timestamp(view.row.created_ms)),
        last_seen: (view.row.last_seen_ms > 0).then(|| timestamp(view.row.last_seen_ms)),
        queued_messages: usage.queued,
        addresses: view.addresses.iter().map(ToString::to_string).collect(),
        last_failure: reason(view.last_failure),
        problem: view.problem,
        policy: Some(pb::ContactPolicy {
            mailbox_grant: view.mailbox.grants,
            mailbox_use: view.mailbox.uses,
            ip: ip_mode(view.ip).into(),
            keep: view.keep_s.map(seconds),
        }),
        mailbox_offered: view.mailbox_offered,
        mailbox_tokens: view.mailbox_tokens,
        mailbox_failure: reason(view.mailbox_failure),
        path: path(view.path).into(),
        conflict: conflict_kind(view.conflict).into(),
        received_messages: usage.received,
        received_bytes: usage.received_bytes,
        quota_reached: view.is_over_quota,
    }
}

/// Converts whole seconds to a duration.
fn seconds(seconds: u64) -> pbjson_types::Duration {
    pbjson_types::Duration {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: 0,
    }
}

/// Converts a mode; `None` becomes unspecified.
pub(super) const fn ip_mode(mode: Option<IpMode>) -> pb::IpMode {
    match mode {
        None => pb::IpMode::Unspecified,
        Some(IpMode::Direct) => pb::IpMode::Direct,
        Some(IpMode::PreferLine) => pb::IpMode::PreferLine,
        Some(IpMode::LineOnly) => pb::IpMode::LineOnly,
    }
}

/// Parses a mode; unspecified becomes `None`.
pub(super) const fn parse_ip_mode(mode: pb::IpMode) -> Option<IpMode> {
    match mode {
        pb::IpMode::Unspecified => None,
        pb::IpMode::Direct => Some(IpMode::Direct),
        pb::IpMode::PreferLine => Some(IpMode::PreferLine),
        pb::IpMode::LineOnly => Some(IpMode::LineOnly),
    }
}

const fn contact_state(state: ContactState) -> pb::ContactState {
    match state {
        ContactState::Asked => pb::ContactState::Asked,
        ContactState::Request => pb::ContactState::Request,
        ContactState::Contact => pb::ContactState::Contact,
        ContactState::Blocked => pb::ContactState::Blocked,
        ContactState::Declined => pb::ContactState::Declined,
        ContactState::Removed => pb::ContactState::Unspecified,
    }
}

/// Converts one of the daemon's own boxes.
pub(super) fn mailbox(view: MailboxView) -> pb::Mailbox {
    let state = match view.row.state {
        MailboxState::Asked => pb::MailboxState::Asked,
        MailboxState::Open => pb::MailboxState::Open,
        MailboxState::Refused => pb::MailboxState::Refused,
        MailboxState::Leaving => pb::MailboxState::Leaving,
    };
    pb::Mailbox {
        provider_id: view.row.provider.to_string(),
        state: state.into(),
        online: view.health.online,
        addresses: view.row.addresses.iter().map(ToString::to_string).collect(),
        created: Some(timestamp(view.row.created_ms)),
        letters_taken: view.health.taken,
        last_failure: reason(view.health.failure),
        key_known: view.row.key_known,
    }
}

/// Converts an invitation.
pub(super) fn invitation(row: InvitationRow) -> pb::Invitation {
    pb::Invitation {
        invitation_id: hex(&row.id),
        reusable: row.reusable,
        expires: Some(timestamp(row.expires_ms)),
        created: Some(timestamp(row.created_ms)),
        uses: row.uses,
        contact_name: row.contact_name,
    }
}

/// Converts the state of a message.
pub(super) const fn message_state(state: MessageState) -> pb::MessageState {
    match state {
        MessageState::Queued => pb::MessageState::Queued,
        MessageState::Sent => pb::MessageState::Sent,
        MessageState::Deposited => pb::MessageState::Deposited,
        MessageState::Delivered => pb::MessageState::Delivered,
        MessageState::Read => pb::MessageState::Read,
        MessageState::Failed => pb::MessageState::Failed,
        MessageState::Expired => pb::MessageState::Expired,
    }
}

/// Parses the id of a message, or an empty text for none.
pub(super) fn optional_id(text: &str) -> Result<Option<MessageId>, Refusal> {
    match text.is_empty() {
        true => Ok(None),
        false => Ok(Some(MessageId(message_id(text)?))),
    }
}

/// Splits content into text and data, one of which is empty.
fn split_content(media_type: &str, content: Option<Vec<u8>>) -> (String, Vec<u8>) {
    let bytes = content.unwrap_or_default();
    if !media_type.is_empty() {
        return (String::new(), bytes);
    }
    match String::from_utf8(bytes) {
        Ok(text) => (text, Vec::new()),
        Err(error) => (String::new(), error.into_bytes()),
    }
}

/// Converts a message.
pub(super) fn message(shown: ShownMessage) -> pb::Message {
    let direction = if shown.own {
        pb::Direction::Sent
    } else {
        pb::Direction::Received
    };
    let (text, data) = split_content(&shown.media_type, shown.content);
    pb::Message {
        message_id: hex(&shown.id),
        peer_id: shown.peer_id.to_string(),
        direction: direction.into(),
        state: message_state(shown.state).into(),
        sent: Some(timestamp(shown.author_ms)),
        stored: Some(timestamp(shown.stored_ms)),
        text,
        data,
        media_type: shown.media_type,
        edited: shown.edited,
        retracted: shown.gone == Gone::Retracted,
        expires: shown.expires_ms.map(timestamp),
        failure: Failure::text(shown.failure).to_owned(),
        cursor: shown.row.number().to_string(),
        reply_to: optional_hex(shown.reply_to),
        thread: optional_hex(shown.thread),
        reactions: reactions(shown.reactions),
    }
}

fn optional_hex(id: Option<[u8; 16]>) -> String {
    id.map_or_else(String::new, |id| hex(&id))
}

fn reactions(texts: [String; 2]) -> Vec<pb::Reaction> {
    let sides = [pb::Direction::Sent, pb::Direction::Received].into_iter();
    let all = sides.zip(texts).filter(|(_, text)| !text.is_empty());
    let all = all.map(|(side, text)| pb::Reaction {
        direction: side.into(),
        text,
    });
    all.collect()
}

/// Converts a page. Returns its messages, and the cursor at which the next page begins; empty after
/// the last page.
pub(super) fn page(page: HistoryPage) -> (Vec<pb::Message>, String) {
    let messages: Vec<pb::Message> = page.messages.into_iter().map(message).collect();
    let last = messages.last().filter(|_| page.has_more);
    let next = last.map(|last| last.cursor.clone()).unwrap_or_default();
    (messages, next)
}

/// Returns the stable reason of a failure; empty for none.
pub(super) fn reason(failure: Option<PathFailure>) -> String {
    failure.map_or_else(String::new, |failure| failure.to_string())
}

/// Encodes the cursor of an event: the incarnation of the log and the number of the entry.
pub(super) fn cursor(incarnation: u64, seq: i64) -> String {
    format!("{incarnation:016x}-{seq}")
}

/// Parses a cursor into the incarnation of the log and the number of the entry.
pub(super) fn parse_cursor(text: &str) -> Result<(u64, i64), Refusal> {
    text.split_once('-')
        .and_then(|(incarnation, seq)| {
            let incarnation = u64::from_str_radix(incarnation, 16).ok()?;
            Some((incarnation, seq.parse().ok()?))
        })
        .ok_or_else(|| Refusal::new(Reason::CursorInvalid))
}

/// Converts an entry of the event log.
pub(super) fn event(row: EventRow, incarnation: u64) -> pb::Event {
    pb::Event {
        cursor: cursor(incarnation, row.seq),
        time: Some(timestamp(row.time_ms)),
        contact_name: row.name.clone(),
        kind: Some(event_kind(row)),
    }
}

/// Converts a notice. One that front-ends do not know has no kind.
pub(super) fn notice(notice: &ContactNotice) -> pb::Notice {
    use pb::notice::Kind;
    let kind = match notice.notice {
        NoticeKind::Said(Notice::Typing { active }) => Some(Kind::Typing(pb::Typing { active })),
        NoticeKind::Said(Notice::Unknown) => None,
        NoticeKind::Presence { path: session, .. } => Some(Kind::Presence(pb::Presence {
            online: session.is_some(),
            path: path(session).into(),
        })),
    };
    pb::Notice {
        peer_id: notice.contact.to_string(),
        time: Some(timestamp(notice.time_ms)),
        contact_name: notice.name.clone(),
        kind,
    }
}

const fn path(path: Option<Path>) -> pb::Path {
    match path {
        None => pb::Path::None,
        Some(Path::Direct) => pb::Path::Direct,
        Some(Path::Line) => pb::Path::Line,
    }
}

fn event_kind(row: EventRow) -> pb::event::Kind {
    use pb::event::Kind;
    let peer_id = row.peer_id.to_string();
    let message = row.message;
    let message_id = row.message_id.as_ref().map_or_else(String::new, hex);
    match row.kind {
        EventKind::MessageReceived => received(peer_id, message_id, message),
        EventKind::MessageEdited => edited(peer_id, message_id, message),
        EventKind::MessageReacted => {
            let reactions = message.map(|shown| shown.reactions).unwrap_or_default();
            let [_, text] = reactions;
            Kind::MessageReacted(pb::MessageReacted {
                message_id,
                peer_id,
                text,
            })
        }
        EventKind::MessageState => Kind::MessageState(pb::MessageStateChanged {
            message_id,
            peer_id,
            state: i32::try_from(row.detail % 16).unwrap_or(0),
            failure: Failure::text(row.detail / 16).to_owned(),
        }),
        EventKind::MessageRetracted => Kind::MessageRetracted(pb::MessageRetracted {
            message_id,
            peer_id,
        }),
        EventKind::MessageExpired => Kind::MessageExpired(pb::MessageExpired {
            message_id,
            peer_id,
        }),
        EventKind::ContactRequest => Kind::ContactRequest(pb::ContactRequested {
            peer_id,
            suggested_name: row.suggested_name,
        }),
        EventKind::ContactAdded => Kind::ContactAdded(pb::ContactAdded {
            peer_id,
            name: row.name,
        }),
        EventKind::ContactDeclined => Kind::ContactDeclined(pb::ContactDeclined { peer_id }),
        EventKind::ContactRemoved => Kind::ContactRemoved(pb::ContactRemoved { peer_id }),
        EventKind::Gap => Kind::Gap(pb::Gap {
            peer_id,
            missing: u64::try_from(row.detail).unwrap_or(0),
        }),
        EventKind::HistoryLost => Kind::HistoryLost(pb::HistoryLost {
            peer_id,
            missing: u64::try_from(row.detail).unwrap_or(0),
        }),
        EventKind::OwnConflict => Kind::OwnConflict(pb::StateConflict {
            peer_id,
            kind: conflict_kind(row.detail).into(),
        }),
        EventKind::ContactConflict => Kind::ContactConflict(pb::StateConflict {
            peer_id,
            kind: conflict_kind(row.detail).into(),
        }),
    }
}

const fn conflict_kind(number: i64) -> pb::ConflictKind {
    match number {
        1 => pb::ConflictKind::Older,
        2 => pb::ConflictKind::Twice,
        _ => pb::ConflictKind::Unspecified,
    }
}

fn received(peer_id: String, message_id: String, message: Option<ShownMessage>) -> pb::event::Kind {
    let sent = message.as_ref().map(|shown| timestamp(shown.author_ms));
    let [reply_to, thread] = references(message.as_ref());
    let (media_type, text, data) = parts(message);
    pb::event::Kind::MessageReceived(pb::MessageReceived {
        message_id,
        peer_id,
        text,
        data,
        media_type,
        sent,
        reply_to,
        thread,
    })
}

/// Returns the ids of the message to which one replies, and of the first of its thread; empty for none.
fn references(message: Option<&ShownMessage>) -> [String; 2] {
    let ids = message.map(|shown| [shown.reply_to, shown.thread]);
    ids.unwrap_or_default().map(optional_hex)
}

fn edited(peer_id: String, message_id: String, message: Option<ShownMessage>) -> pb::event::Kind {
    let [reply_to, thread] = references(message.as_ref());
    let (media_type, text, data) = parts(message);
    pb::event::Kind::MessageEdited(pb::MessageEdited {
        message_id,
        peer_id,
        text,
        data,
        media_type,
        reply_to,
        thread,
    })
}

/// Returns media type, text and data of a message; all are empty if the content is gone.
fn parts(message: Option<ShownMessage>) -> (String, String, Vec<u8>) {
    let Some(shown) = message else {
        return Default::default();
    };
    let (text, data) = split_content(&shown.media_type, shown.content);
    (shown.media_type, text, data)
}
