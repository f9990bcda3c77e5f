//! Reads invitations that a user enters.

use crate::refusal::Refusal;
use crate::state::State;
use m2_crypto::invitation::{Invitation, InvitationError};
use m2_proto::reason::Reason;
use zeroize::Zeroizing;

/// Parses an invitation. White space is dropped, as mail programs break long lines.
pub(crate) fn parse_invitation(text: &str) -> Result<Invitation, Refusal> {
    let text: String = text.split_whitespace().collect();
    let text = Zeroizing::new(text);
    text.parse().map_err(|error| {
        let message = match error {
            _ if !text.to_lowercase().starts_with("m2://") => {
                "Not an M2 invitation: it must begin with m2://."
            }
            InvitationError::UnknownVersion => {
                "The invitation was made by a newer version of M2. Update this one, then try again."
            }
            InvitationError::Malformed | InvitationError::Limits => {
                "The invitation is incomplete or mistyped. Copy all of it, from m2:// to its end, \
                 or ask for a new one."
            }
        };
        Refusal::because(Reason::InvitationInvalid, message)
    })
}

/// Checks that an invitation can be used: by this daemon, and now.
///
/// Errors: OTHER_CIRCLE, INVITATION_OWN, INVITATION_EXPIRED.
pub(crate) fn check_invitation(engine: &State, invitation: &Invitation) -> Result<(), Refusal> {
    check_inviter(engine, invitation)?;
    if invitation.has_expired(engine.batch.now_ms() / 1_000) {
        return Err(Refusal::new(Reason::InvitationExpired));
    }
    Ok(())
}

/// Checks that the inviter belongs to this circle and is not this daemon.
pub(crate) fn check_inviter(engine: &State, invitation: &Invitation) -> Result<(), Refusal> {
    let reason = if !invitation.is_for(engine.batch.circle.id()) {
        Reason::OtherCircle
    } else if *invitation.peer() == engine.batch.own_id {
        Reason::InvitationOwn
    } else {
        return Ok(());
    };
    Err(Refusal::new(reason))
}
