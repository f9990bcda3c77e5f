//! Which frames a peer may send, and when (`docs/spec/contact.md#before-both-are-contacts`).

use crate::ContactState;

/// The kind of a frame, as far as the rules depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// A contact request.
    Request,
    /// The answer to a contact request.
    Reply,
    /// A statement of places.
    Places,
    /// A sealed message.
    Envelope,
    /// Acknowledgements.
    Acks,
    /// The refusal of an epoch.
    EpochRefused,
    /// A frame about letters: mailboxes, their tokens and the secrets.
    Letters,
    /// An offer of lines.
    LineOffer,
    /// A frame about direct paths.
    Reach,
    /// A frame between a party and its relay.
    Relay,
    /// A frame that belongs to another place: to the start of a session, or to one with a provider.
    OutOfPlace,
}

impl FrameKind {
    /// Returns whether only contacts send such a frame.
    pub const fn is_talk(self) -> bool {
        match self {
            Self::Places
            | Self::Envelope
            | Self::Acks
            | Self::EpochRefused
            | Self::Letters
            | Self::LineOffer
            | Self::Reach
            | Self::Relay => true,
            Self::Request | Self::Reply | Self::OutOfPlace => false,
        }
    }
}

/// What happens to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is processed.
    Take,
    /// It is dropped: the peer does not know better yet.
    Ignore,
    /// It is dropped, and the session is closed: the peer takes the two for contacts, and must
    /// learn that they are not.
    NotAContact,
    /// It is dropped, and counted as a misdeed under this reason.
    Misdeed(&'static str),
    /// It breaks the protocol: the session is closed, and counted under this reason.
    Violation(&'static str),
}

/// The reason for frames of peers that are no contacts, and for sessions that a peer refuses because
/// this identity is not its contact.
pub const NOT_A_CONTACT: &str = "NOT_A_CONTACT";

/// Decides on a frame of a peer in a state; `None` for a stranger. `is_placed`: the peer has stated
/// its places in the session, which it must do before anything else.
pub const fn verdict(state: Option<ContactState>, kind: FrameKind, is_placed: bool) -> Verdict {
    match (state, kind) {
        (_, FrameKind::Request) => Verdict::Take,
        (None | Some(ContactState::Removed), kind) if kind.is_talk() => Verdict::NotAContact,
        (None, _) => Verdict::Misdeed(NOT_A_CONTACT),
        (Some(_), FrameKind::Reply) | (Some(ContactState::Contact), FrameKind::Places) => {
            Verdict::Take
        }
        // The peer still takes the two for contacts. It sends all this again after its answer.
        (Some(ContactState::Asked), kind) if kind.is_talk() => Verdict::Ignore,
        (Some(ContactState::Contact), _) if !is_placed => Verdict::Violation("PLACES_MISSING"),
        (Some(ContactState::Contact), FrameKind::Relay | FrameKind::OutOfPlace) => {
            Verdict::Misdeed("FRAME_OUT_OF_PLACE")
        }
        (Some(ContactState::Contact), _) => Verdict::Take,
        // It may not know yet that it was declined.
        (Some(_), _) => Verdict::Misdeed(NOT_A_CONTACT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ContactState::{Asked, Blocked, Contact, Declined, Removed, Request as Requested};
    use FrameKind::*;

    const KINDS: [FrameKind; 11] = [
        Request,
        Reply,
        Places,
        Envelope,
        Acks,
        EpochRefused,
        Letters,
        LineOffer,
        Reach,
        Relay,
        OutOfPlace,
    ];
    const MISDEED: Verdict = Verdict::Misdeed(NOT_A_CONTACT);

    #[test]
    fn a_stranger_may_only_ask() {
        for kind in KINDS {
            let expected = match kind {
                Request => Verdict::Take,
                kind if kind.is_talk() => Verdict::NotAContact,
                _ => MISDEED,
            };
            assert_eq!(verdict(None, kind, true), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_removed_contact_learns_that_it_is_one() {
        for kind in KINDS.into_iter().filter(|kind| kind.is_talk()) {
            assert_eq!(verdict(Some(Removed), kind, true), Verdict::NotAContact);
        }
        assert_eq!(verdict(Some(Removed), Reply, true), Verdict::Take);
    }

    #[test]
    fn other_peers_may_ask_and_answer() {
        for state in [Asked, Requested, Blocked, Declined] {
            for kind in KINDS {
                let expected = match (state, kind) {
                    (_, Request | Reply) => Verdict::Take,
                    (Asked, kind) if kind.is_talk() => Verdict::Ignore,
                    _ => MISDEED,
                };
                assert_eq!(
                    verdict(Some(state), kind, true),
                    expected,
                    "{state:?} {kind:?}"
                );
            }
        }
    }

    #[test]
    fn a_contact_states_its_places_first() {
        for kind in KINDS {
            let expected = match kind {
                Request | Reply | Places => Verdict::Take,
                _ => Verdict::Violation("PLACES_MISSING"),
            };
            assert_eq!(verdict(Some(Contact), kind, false), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_contact_that_stated_its_places_may_talk() {
        for kind in KINDS {
            let expected = match kind {
                Relay | OutOfPlace => Verdict::Misdeed("FRAME_OUT_OF_PLACE"),
                _ => Verdict::Take,
            };
            assert_eq!(verdict(Some(Contact), kind, true), expected, "{kind:?}");
        }
    }
}
