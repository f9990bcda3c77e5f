//! From messages of the API to inputs of the bridge.

use crate::bridge::{Content, Happening, Kind, Peer};
use m2_proto::api::v1::event::Kind as Of;
use m2_proto::api::v1::{Contact, Event, MessageState, Notice, Path, notice};
use m2_proto::wkt::Timestamp;

/// Returns a contact with its presence.
pub(super) fn peer(contact: Contact) -> Peer {
    Peer {
        path: path(contact.path()),
        peer_id: contact.peer_id,
        name: contact.name,
        online: contact.online,
    }
}

/// Returns the contact of a presence notice; `None` for another notice.
pub(super) fn presence(notice: Notice) -> Option<Peer> {
    let Some(notice::Kind::Presence(presence)) = notice.kind else {
        return None;
    };
    Some(Peer {
        path: path(presence.path()),
        peer_id: notice.peer_id,
        name: notice.contact_name,
        online: presence.online,
    })
}

/// Returns what an event says.
pub(super) fn happening(event: Event) -> Happening {
    let (peer_id, kind) = event.kind.map_or_else(passed, kind);
    Happening {
        cursor: event.cursor,
        peer_id,
        name: event.contact_name,
        kind,
    }
}

fn kind(kind: Of) -> (String, Kind) {
    match kind {
        Of::MessageReceived(it) => {
            let content = content(it.message_id, it.text, &it.data, it.media_type);
            let content = Content {
                time: time(it.sent),
                reply_to: it.reply_to,
                thread: it.thread,
                ..content
            };
            (it.peer_id, Kind::Message(content))
        }
        Of::MessageEdited(it) => {
            let content = content(it.message_id, it.text, &it.data, it.media_type);
            let content = Content {
                reply_to: it.reply_to,
                thread: it.thread,
                ..content
            };
            (it.peer_id, Kind::Edited(content))
        }
        Of::MessageRetracted(it) => (it.peer_id, Kind::Retracted { id: it.message_id }),
        Of::MessageExpired(it) => (it.peer_id, Kind::Expired { id: it.message_id }),
        Of::MessageReacted(it) => {
            let (id, text) = (it.message_id, it.text);
            (it.peer_id, Kind::Reacted { id, text })
        }
        Of::MessageState(it) => {
            let state = state(it.state());
            let (id, failure) = (it.message_id, it.failure);
            let kind = state.map(|state| Kind::State { id, state, failure });
            (it.peer_id, kind.unwrap_or(Kind::Passed))
        }
        Of::Gap(it) => (it.peer_id, Kind::Missing { count: it.missing }),
        Of::HistoryLost(it) => (it.peer_id, Kind::Missing { count: it.missing }),
        Of::ContactAdded(it) => (it.peer_id, Kind::Added),
        Of::ContactRemoved(it) => (it.peer_id, Kind::Removed),
        Of::EventsDropped(it) => (String::new(), Kind::Dropped { count: it.count }),
        _ => passed(),
    }
}

fn passed() -> (String, Kind) {
    (String::new(), Kind::Passed)
}

fn content(id: String, text: String, data: &[u8], media_type: String) -> Content {
    let is_text = data.is_empty();
    Content {
        id,
        bytes: if is_text { text.len() } else { data.len() },
        text: is_text.then_some(text),
        media_type,
        ..Content::default()
    }
}

const fn state(state: MessageState) -> Option<&'static str> {
    match state {
        MessageState::Delivered => Some("delivered"),
        MessageState::Read => Some("read"),
        MessageState::Failed => Some("failed"),
        MessageState::Expired => Some("expired"),
        _ => None,
    }
}

const fn path(path: Path) -> &'static str {
    match path {
        Path::Direct => "direct",
        Path::Line => "line",
        _ => "none",
    }
}

/// Returns a time as in RFC 3339.
fn time(time: Option<Timestamp>) -> String {
    let json = time.and_then(|time| serde_json::to_value(time).ok());
    let text = json.as_ref().and_then(serde_json::Value::as_str);
    text.unwrap_or_default().to_owned()
}
