//! Creates, lists, revokes and verifies invitations (`docs/spec/identity.md#invitations`).

use super::Engine;
use super::input::Reply;
use crate::refusal::Refusal;
use m2_crypto::Secret;
use m2_crypto::address::NamedAddress;
use m2_crypto::invitation::{Invitation, InviteId, Offer};
use m2_proto::reason::Reason;
use m2_store::InvitationRow;
use m2_wire::InviteProof;
use zeroize::Zeroizing;

/// The most open invitations.
const MAX_OPEN: usize = 1_000;

/// The parameters of a new invitation.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// True if the invitation may be used more than once.
    pub reusable: bool,
    /// Validity period in milliseconds.
    pub valid_ms: u64,
    /// Name for the invited contact; empty for its suggested name or its id.
    pub contact_name: String,
    /// Addresses at which this daemon can be reached.
    pub addresses: Vec<NamedAddress>,
}

/// A request about an invitation.
pub enum InvitationRequest {
    /// Create an invitation. The answer is its row and its URI.
    Create(NewInvitation, Reply<(InvitationRow, Zeroizing<String>)>),
    /// Revoke an invitation.
    Revoke([u8; 16], Reply<()>),
}

impl Engine {
    /// Handles a request about an invitation.
    pub(super) fn on_invitation(&mut self, request: InvitationRequest) {
        match request {
            InvitationRequest::Create(new, reply) => {
                self.run(reply, |it| it.create_invitation(new));
            }
            InvitationRequest::Revoke(id, reply) => {
                self.run(reply, |it| it.revoke_invitation(id));
            }
        }
    }

    /// Creates an invitation. Returns its row and its URI.
    pub(crate) fn create_invitation(
        &mut self,
        new: NewInvitation,
    ) -> Result<(InvitationRow, Zeroizing<String>), Refusal> {
        if !new.contact_name.is_empty() {
            self.check_name(&new.contact_name, None)?;
        }
        self.require_disk()?;
        let now = self.now_ms();
        let invitations = self.store.invitations()?;
        if invitations.iter().filter(|row| row.is_open(now)).count() >= MAX_OPEN {
            return Err(Refusal::limit(
                "invitations",
                MAX_OPEN,
                "open invitations",
                "Revoke some of them first.",
            ));
        }
        let expires_ms = now.saturating_add(new.valid_ms);
        let mut offer = Offer {
            reusable: new.reusable,
            expires_s: expires_ms / 1_000,
            addresses: new.addresses,
            lines: Vec::new(),
        };
        let token = Secret::random(&mut self.rng);
        offer.lines = self.invited_lines(&InviteId::of(&token), now)?;
        let (rng, circle) = (&mut self.rng, self.circle.id());
        let invitation =
            Invitation::with_token(rng, token, self.own_id, circle, offer).map_err(|_| {
                Refusal::argument(
                    "addresses",
                    "8",
                    "An invitation holds at most 8 addresses with a port: name fewer in \
                     [privacy] announce.",
                )
            })?;
        let row = InvitationRow {
            id: *invitation.id().as_bytes(),
            token: invitation.token().clone(),
            rendezvous: invitation.rendezvous().clone(),
            reusable: new.reusable,
            created_ms: now,
            expires_ms,
            uses: 0,
            contact_name: new.contact_name,
        };
        self.store.insert_invitation(&row)?;
        self.wake_lines();
        Ok((row, invitation.to_uri()))
    }

    /// Lists the invitations that are still open, the oldest first.
    pub(crate) fn list_invitations(&mut self) -> Result<Vec<InvitationRow>, Refusal> {
        let now = self.now_ms();
        let mut open = self.store.invitations()?;
        open.retain(|invitation| invitation.is_open(now));
        Ok(open)
    }

    /// Returns whether a proof, made in a session with this proof key, shows the token of an open
    /// invitation. Does not count a use.
    pub(crate) fn is_invited(
        &mut self,
        proof_key: &Secret<32>,
        shown: InviteProof,
    ) -> Result<bool, Refusal> {
        Ok(self.invitation_shown(proof_key, shown)?.is_some())
    }

    /// Counts a use of the invitation that a proof shows. Returns false if it is not open.
    pub(crate) fn use_invitation(
        &mut self,
        proof_key: &Secret<32>,
        shown: InviteProof,
    ) -> Result<bool, Refusal> {
        let Some(invitation) = self.invitation_shown(proof_key, shown)? else {
            return Ok(false);
        };
        self.store.use_invitation(&invitation.id)?;
        Ok(true)
    }

    /// Revokes an invitation.
    pub(crate) fn revoke_invitation(&mut self, id: [u8; 16]) -> Result<(), Refusal> {
        if self.store.delete_invitation(&id)? {
            self.wake_lines();
            Ok(())
        } else {
            Err(Refusal::new(Reason::InvitationUnknown))
        }
    }
}
