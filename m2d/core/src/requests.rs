//! Contact requests: who may ask, and what a request or an answer means in each state
//! (`docs/spec/contact.md`).

use crate::ContactState;
use m2_limits::prefix::Prefix;
use m2_limits::shares::{Claim, FairShares, WhenEven};
use std::hash::Hash;

/// The most requests of strangers that wait for the user, and separately the most requests of peers
/// that prove a closed invitation.
pub const MAX_REQUESTS: usize = 100;
/// How long a request waits for the user, in milliseconds.
pub const REQUEST_MS: u64 = 30 * 86_400_000;

/// The origin of a contact request, as far as quotas are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A stranger in this source prefix.
    Prefix(Prefix),
    /// A peer that proved to hold an invitation of this daemon, by the invitation's id.
    Invitation([u8; 16]),
}

impl Origin {
    /// Returns whether the peer proved to hold an invitation.
    pub const fn is_invitation(&self) -> bool {
        matches!(self, Self::Invitation(_))
    }
}

/// Finds a place for a request of `contact` among those that wait, oldest first. When all are taken,
/// it replaces the oldest request of the source that has most. A source never replaces its own
/// requests, as it could then fill the event log. Requests that prove an invitation are counted
/// separately.
pub fn place<Id: Copy + Ord + Hash>(
    waiting: &[(Id, Origin)],
    contact: Id,
    origin: Origin,
) -> Claim<Id> {
    let mut shares = FairShares::new(MAX_REQUESTS, WhenEven::Refuse);
    let alike = waiting
        .iter()
        .filter(|(_, other)| other.is_invitation() == origin.is_invitation());
    for (other, origin) in alike {
        shares.claim(*other, *origin);
    }
    match shares.claim(contact, origin) {
        Claim::TakeFrom(other) if waiting.contains(&(other, origin)) => Claim::Refused,
        claim => claim,
    }
}

/// Returns whether a request made at `asked_ms` has waited for too long.
pub const fn has_expired(asked_ms: u64, now_ms: u64) -> bool {
    asked_ms.saturating_add(REQUEST_MS) <= now_ms
}

/// What a peer's request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRequest {
    /// It is ignored and counted as a misdeed.
    Refuse,
    /// The two become contacts, or are contacts already, and the peer is told so.
    Agree {
        /// True if the contact gets the name that the invitation gives.
        names: bool,
        /// True if both start the conversation again: state of an earlier time does not count.
        begins_again: bool,
    },
    /// The request is kept for the user, once.
    Keep,
    /// It waits for the user already.
    Waits,
}

/// Decides on a peer's request. `is_invited`: the peer proves an open invitation. `has_agreed`: both
/// agreed in this session, and nothing was asked since.
pub const fn on_request(state: ContactState, is_invited: bool, has_agreed: bool) -> OnRequest {
    match state {
        ContactState::Blocked => OnRequest::Refuse,
        // The peer lost the earlier answer, or both sides asked and therefore agree.
        ContactState::Contact => OnRequest::Agree {
            names: false,
            begins_again: !has_agreed,
        },
        ContactState::Asked => OnRequest::Agree {
            names: is_invited,
            begins_again: !has_agreed,
        },
        ContactState::Request | ContactState::Declined | ContactState::Removed if is_invited => {
            OnRequest::Agree {
                names: true,
                begins_again: !has_agreed,
            }
        }
        ContactState::Request => OnRequest::Waits,
        ContactState::Declined | ContactState::Removed => OnRequest::Keep,
    }
}

/// What a peer's answer to this daemon's request means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnReply {
    /// Both agreed in this session already. Repeating the answer costs the peer nothing, so it has
    /// no effect.
    Repeated,
    /// The two are contacts now, and start their conversation again.
    Agreed,
    /// The peer declined.
    Declined,
    /// The peer had removed this identity, was asked again, and declined: it is asked no more.
    AskedInVain,
    /// Nothing was asked: a misdeed.
    Unasked,
}

/// Decides on an answer. `has_agreed`: both agreed in this session, and nothing was asked since.
/// `asks_again`: this daemon asked although the two are contacts.
pub const fn on_reply(
    state: ContactState,
    accepted: bool,
    has_agreed: bool,
    asks_again: bool,
) -> OnReply {
    match (state, accepted) {
        (ContactState::Contact, true) if has_agreed => OnReply::Repeated,
        (ContactState::Asked | ContactState::Contact, true) => OnReply::Agreed,
        (ContactState::Asked, false) => OnReply::Declined,
        (ContactState::Contact, false) if asks_again => OnReply::AskedInVain,
        _ => OnReply::Unasked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ContactState::{Asked, Blocked, Contact, Declined, Removed, Request};
    use std::net::IpAddr;

    const ALL: [ContactState; 6] = [Asked, Request, Contact, Blocked, Declined, Removed];

    fn prefix(number: u8) -> Origin {
        Origin::Prefix(Prefix::of(IpAddr::from([127, 0, number, 1])))
    }

    #[test]
    fn a_source_never_replaces_its_own_requests() {
        let mut waiting = Vec::new();
        for contact in 1..=200 {
            match place(&waiting, contact, prefix(1)) {
                Claim::Granted => waiting.push((contact, prefix(1))),
                Claim::Refused => {}
                Claim::TakeFrom(other) => panic!("{other} is replaced"),
            }
        }
        assert_eq!(waiting.len(), 75, "a quarter is left to others");
        for contact in 201..=225 {
            assert_eq!(place(&waiting, contact, prefix(2)), Claim::Granted);
            waiting.push((contact, prefix(2)));
        }
        assert_eq!(place(&waiting, 300, prefix(1)), Claim::Refused);
        // The oldest request of the largest source makes room for a third one.
        assert_eq!(place(&waiting, 301, prefix(3)), Claim::TakeFrom(1));
    }

    #[test]
    fn strangers_take_no_place_of_invited_peers() {
        let waiting: Vec<_> = (1..=100)
            .map(|contact| (contact, prefix(contact as u8 % 50)))
            .collect();
        let invited = Origin::Invitation([1; 16]);
        assert_eq!(place(&waiting, 200, invited), Claim::Granted);
    }

    #[test]
    fn a_request_expires_after_thirty_days() {
        assert!(!has_expired(5, 4 + REQUEST_MS));
        assert!(has_expired(5, 5 + REQUEST_MS));
        assert!(!has_expired(u64::MAX, u64::MAX - 1));
    }

    #[test]
    fn a_blocked_peer_gets_nowhere() {
        for (is_invited, has_agreed) in [(true, true), (true, false), (false, true)] {
            let decided = on_request(Blocked, is_invited, has_agreed);
            assert_eq!(decided, OnRequest::Refuse);
        }
    }

    #[test]
    fn only_an_open_invitation_or_an_own_request_makes_a_contact() {
        for state in ALL {
            let is_agreed = matches!(on_request(state, false, false), OnRequest::Agree { .. });
            assert_eq!(is_agreed, state.is_wanted(), "{state:?}");
            let is_agreed = matches!(on_request(state, true, false), OnRequest::Agree { .. });
            assert_eq!(is_agreed, state != Blocked, "{state:?}");
        }
    }

    #[test]
    fn an_invitation_names_new_contacts_only() {
        let names = |state| match on_request(state, true, false) {
            OnRequest::Agree { names, .. } => names,
            _ => false,
        };
        assert_eq!(ALL.map(names), [true, true, false, false, true, true]);
    }

    #[test]
    fn a_request_is_shown_to_the_user_once() {
        assert_eq!(on_request(Removed, false, false), OnRequest::Keep);
        assert_eq!(on_request(Declined, false, false), OnRequest::Keep);
        assert_eq!(on_request(Request, false, false), OnRequest::Waits);
    }

    #[test]
    fn a_repeated_request_does_not_start_the_conversation_again() {
        for has_agreed in [true, false] {
            let expected = OnRequest::Agree {
                names: false,
                begins_again: !has_agreed,
            };
            assert_eq!(on_request(Contact, false, has_agreed), expected);
        }
    }

    #[test]
    fn an_answer_counts_only_if_something_was_asked() {
        for state in ALL {
            let agrees = on_reply(state, true, false, false) == OnReply::Agreed;
            assert_eq!(agrees, state.is_wanted(), "{state:?}");
            let declines = on_reply(state, false, false, false) == OnReply::Declined;
            assert_eq!(declines, state == Asked, "{state:?}");
        }
        assert_eq!(on_reply(Contact, true, true, false), OnReply::Repeated);
        assert_eq!(on_reply(Contact, false, false, true), OnReply::AskedInVain);
        assert_eq!(on_reply(Contact, false, false, false), OnReply::Unasked);
    }
}
