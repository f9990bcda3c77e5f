//! Explains in one sentence why a contact cannot be reached or takes no messages, and what to do.

use crate::state::{PeerState, Session, State};
use crate::time;
use crate::time::duration;
use m2_core::frames::NOT_A_CONTACT;
use m2_core::{ContactState, PathFailure};
use m2_store::ContactRowId;
use m2_wire::CloseCode;
use std::sync::Arc;

/// How long a connected contact may leave messages without an acknowledgement, in milliseconds.
const UNCONFIRMED_MS: u64 = 20_000;
const UNCONFIRMED: &str = "It is connected, but has confirmed no message for a while: its disk may be \
     full, or its quota for you is reached. Messages to it wait here and arrive once it stores them. \
     Tell its owner by other means.";

/// Returns what is wrong with a contact, for the user; empty if no problem is known.
pub(crate) fn problem(engine: &State, row: ContactRowId) -> String {
    let Some(peer_state) = engine.peers.get(&row) else {
        return String::new();
    };
    let state = peer_state.contact.state;
    if let Some(text) = of_state(state) {
        return text.to_owned();
    }
    if !state.is_wanted() {
        return String::new();
    }
    if let Some(reason) = peer_state.refused {
        let is_contact = state == ContactState::Contact;
        return of_refusal(reason, is_contact).to_owned();
    }
    if let Some(skew) = time::disagreement(engine, row) {
        return of_clock(skew);
    }
    let is_online = engine.is_online(row);
    if is_online {
        let is_unconfirmed = is_unconfirmed(engine, row, peer_state);
        let text = is_unconfirmed.then_some(UNCONFIRMED);
        return text.unwrap_or_default().to_owned();
    }
    let failure = peer_state.last_failure.map(of_failure);
    failure.unwrap_or_default().to_owned()
}

/// Returns whether a message has waited for a while for a connected contact that acknowledges
/// nothing.
fn is_unconfirmed(engine: &State, row: ContactRowId, peer_state: &PeerState) -> bool {
    let silent_ms = engine
        .batch
        .clock
        .steady_ms()
        .saturating_sub(peer_state.confirmed_ms);
    if silent_ms < UNCONFIRMED_MS {
        return false;
    }
    // If the store can't be read, other warnings say so.
    let oldest = engine.batch.store.oldest_queued_ms(row).ok().flatten();
    let waits = |queued_ms: u64| queued_ms.saturating_add(UNCONFIRMED_MS) <= engine.batch.now_ms();
    oldest.is_some_and(waits)
}

/// Returns why a contact cannot be reached; `None` if it can.
pub(crate) fn failure_of(engine: &State, row: ContactRowId) -> Option<PathFailure> {
    let peer_state = engine.peers.get(&row)?;
    match peer_state.refused {
        None if engine.is_online(row) => None,
        None => peer_state.last_failure,
        refused => refused,
    }
}

/// Returns the warning about contacts that reported that this identity is no contact of theirs.
pub(crate) fn forgotten_warning(engine: &State) -> Option<String> {
    let contacts = engine.peers.contacts_in(ContactState::Contact);
    let forgot = |row: &ContactRowId| {
        let peer_state = engine.peers.get(row);
        peer_state.is_some_and(|peer_state| peer_state.refused == Some(PathFailure::NotAContact))
    };
    let count = contacts.filter(forgot).count();
    (count > 0).then(|| {
        format!(
            "{count} of the contacts no longer have this identity as a contact: \
             `m2 contact list` shows which, and what to do."
        )
    })
}

/// Refuses a peer that is no contact but sends frames as if it were. It may have been removed
/// here, or this store was lost. It learns only that it is no contact.
pub(crate) fn refuse_talk(engine: &mut State, link: &Arc<Session>) {
    engine.batch.counters.count(NOT_A_CONTACT);
    let why = "its peer sends frames of contacts, and is none";
    engine.batch.close(link.id, CloseCode::NotAContact, why);
}

/// Handles a stranger that did not send a contact request in time.
pub(crate) fn on_unasked(engine: &mut State, link: &Arc<Session>) {
    let progress = engine.sessions.progress(link.id);
    if progress.is_none_or(|progress| progress.asked) {
        return;
    }
    let is_settled = engine.peers.row_of(&link.peer_id).is_some_and(|row| {
        let state = engine
            .peers
            .get(&row)
            .map(|peer_state| peer_state.contact.state);
        state != Some(ContactState::Removed)
    });
    if !is_settled {
        refuse_talk(engine, link);
    }
}

/// Returns what the state of a relation means, where the user must act.
const fn of_state(state: ContactState) -> Option<&'static str> {
    match state {
        ContactState::Declined => Some(
            "It declined your request. You may ask again with an invitation: `m2 contact add`.",
        ),
        ContactState::Blocked => Some(
            "You blocked it: its sessions are refused. `m2 contact remove` lifts the block; then both \
             sides can become contacts with an invitation.",
        ),
        _ => None,
    }
}

fn of_refusal(reason: PathFailure, is_contact: bool) -> &'static str {
    match reason {
        PathFailure::NotAContact if is_contact => {
            "It does not have this identity as a contact any more: it removed it, or its store \
             was lost. Messages to it wait here. To become contacts again, run `m2 invite create` \
             on one side and `m2 contact add` on the other."
        }
        _ => {
            "It ends sessions with this daemon as soon as they are established. Messages to it \
             wait here, and it is dialled again from time to time. Ask its owner by other means \
             what is wrong."
        }
    }
}

fn of_clock(skew_ms: i64) -> String {
    let side = if skew_ms > 0 { "ahead of" } else { "behind" };
    format!(
        "Its clock is {} {side} this computer's, so one of the two is wrong: `m2 status` \
         compares the clocks of other contacts.",
        duration(skew_ms.unsigned_abs())
    )
}

const fn of_failure(failure: PathFailure) -> &'static str {
    match failure {
        PathFailure::NoPath => {
            "No path to it is known yet. It dials this daemon when it runs; a new invitation from \
             it contains its current addresses."
        }
        PathFailure::NoAnswer => {
            "It does not answer: it is offline, its address changed, packets are dropped on the \
             path, or its clock or this computer's is wrong by more than a day. Check this \
             computer's date, and try all paths with `m2 network probe`."
        }
        PathFailure::NotAllowed => {
            "This daemon does not dial any address that it named, for example because they are \
             private ones of another network; `m2 network probe` shows them. If both have a \
             relay, it is reached on a line."
        }
        PathFailure::BudgetSpent => {
            "It named more addresses without an answer than are dialled in a minute. They are \
             dialled again shortly."
        }
        _ => "It can't be reached; `m2 network probe` tries all paths and shows why each fails.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relations;
    use crate::testing::engine;
    use m2_crypto::PeerId;

    #[test]
    fn each_cause_has_its_own_explanation_and_remedy() {
        let (_dir, mut engine) = engine();
        let peer = PeerId::from_bytes([1; 32]);
        let row = relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
        assert_eq!(
            (problem(&engine.state, row), failure_of(&engine.state, row)),
            (String::new(), None)
        );
        engine.state.peers.get_mut(&row).unwrap().last_failure = Some(PathFailure::NoAnswer);
        assert!(problem(&engine.state, row).contains("clock"));
        assert_eq!(failure_of(&engine.state, row), Some(PathFailure::NoAnswer));
        assert_eq!(forgotten_warning(&engine.state), None);
        engine.state.peers.get_mut(&row).unwrap().refused = Some(PathFailure::NotAContact);
        assert!(problem(&engine.state, row).contains("m2 invite create"));
        assert_eq!(
            failure_of(&engine.state, row),
            Some(PathFailure::NotAContact)
        );
        assert!(
            forgotten_warning(&engine.state)
                .unwrap()
                .starts_with("1 of the contacts")
        );
        engine.state.peers.get_mut(&row).unwrap().refused = Some(PathFailure::Refused);
        let refused = problem(&engine.state, row);
        assert!(
            !refused.contains("block") && !refused.contains("removed"),
            "{refused}"
        );
        assert_eq!(forgotten_warning(&engine.state), None);
        engine.state.peers.contact_mut(row).unwrap().state = ContactState::Blocked;
        assert!(problem(&engine.state, row).contains("lifts the block"));
        engine.state.peers.contact_mut(row).unwrap().state = ContactState::Declined;
        assert!(problem(&engine.state, row).contains("m2 contact add"));
        engine.state.peers.contact_mut(row).unwrap().state = ContactState::Removed;
        assert_eq!(problem(&engine.state, row), "");
    }
}
