//! Which contacts are online, as event streams see it. A change is reported once its batch is on disk.

use crate::effect::{ContactNotice, Effect, NoticeKind};
use crate::event_filter::EventFilter;
use crate::refusal::Refusal;
use crate::sessions::SessionInput;
use crate::state::{State, is_sent_once};
use m2_core::ContactState;
use m2_crypto::PeerId;
use m2_delivery::Path;

/// The presence of several contacts at one moment.
#[derive(Debug, Clone, Default)]
pub struct PresenceView {
    /// The number of the last change that it includes.
    pub number: u64,
    /// The contacts.
    pub contacts: Vec<ContactNotice>,
}

/// Notes whose sessions an input may change, whatever becomes of its batch.
pub(crate) fn note(engine: &mut State, input: &SessionInput) {
    let id = match input {
        SessionInput::Up { session, .. } => return engine.presences.touch(session.peer_id),
        SessionInput::Down(end, _) => end.id,
        SessionInput::Silent(id) | SessionInput::Heard(id) => *id,
        // With such a frame two peers may become contacts.
        SessionInput::Frame(id, frame, _) if is_sent_once(frame) => *id,
        _ => return,
    };
    if let Some(session) = engine.sessions.get(id) {
        engine.presences.touch(session.peer_id);
    }
}

/// Reports the contacts whose presence has changed since the last report.
pub(crate) fn report(engine: &mut State) {
    for peer in engine.presences.take_touched() {
        let path = path_to(engine, &peer);
        let Some(number) = engine.presences.set(peer, path) else {
            continue;
        };
        let notice = engine.notice_of(peer, NoticeKind::Presence { path, number });
        engine.batch.effects.push_back(Effect::Notice(notice));
    }
}

/// Returns the presence of the selected contacts, as it was reported.
pub(crate) fn presence(engine: &mut State, filter: &EventFilter) -> Result<PresenceView, Refusal> {
    let engine = &*engine;
    let number = engine.presences.number();
    let rows = engine.peers.contacts_in(ContactState::Contact);
    let peers = rows.filter_map(|row| Some(engine.peers.get(&row)?.contact.peer_id));
    let contacts = peers.filter(|peer| filter.takes_contact(peer)).map(|peer| {
        let path = engine.presences.get(&peer);
        engine.notice_of(peer, NoticeKind::Presence { path, number })
    });
    Ok(PresenceView {
        number,
        contacts: contacts.collect(),
    })
}

/// Returns the path of a contact's preferred session that answers.
fn path_to(engine: &State, peer: &PeerId) -> Option<Path> {
    let row = engine.peers.row_of(peer)?;
    if !engine.peers.is_contact(row) {
        return None;
    }
    let links = &engine.peers.get(&row)?.links;
    let mut answering = links
        .iter()
        .filter(|link| !engine.sessions.is_in_doubt(link.id));
    answering.next_back().map(|link| link.path)
}
