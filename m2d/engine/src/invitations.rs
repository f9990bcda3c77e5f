//! Creates, lists, revokes and verifies invitations (`docs/spec/identity.md#invitations`).

use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::state::State;
use crate::{call, lines};
use m2_crypto::Secret;
use m2_crypto::address::NamedAddress;
use m2_crypto::invitation::{self, Invitation, InviteId, Offer};
use m2_crypto::presence::RecordKey;
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

/// Handles a request about an invitation.
pub(crate) fn handle(engine: &mut State, request: InvitationRequest) {
    match request {
        InvitationRequest::Create(new, reply) => {
            call::run(engine, reply, |engine| create(engine, new));
        }
        InvitationRequest::Revoke(id, reply) => {
            call::run(engine, reply, |engine| revoke(engine, id));
        }
    }
}

/// Creates an invitation. Returns its row and its URI.
pub(crate) fn create(
    engine: &mut State,
    new: NewInvitation,
) -> Result<(InvitationRow, Zeroizing<String>), Refusal> {
    if !new.contact_name.is_empty() {
        engine.peers.check_name(&new.contact_name, None)?;
    }
    engine.batch.require_disk()?;
    let now = engine.batch.now_ms();
    let invitations = engine.batch.store.invitations()?;
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
    let token = Secret::random(&mut engine.batch.rng);
    offer.lines = lines::invited_lines(engine, &InviteId::of(&token), now)?;
    let record_seed = Secret::random(&mut engine.batch.rng);
    let (own_id, circle) = (engine.batch.own_id, engine.batch.circle.id());
    let record_key = RecordKey::Seed(record_seed.clone());
    let invitation =
        Invitation::with_token(token, own_id, circle, &record_key, offer).map_err(|_| {
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
        record_seed,
        reusable: new.reusable,
        created_ms: now,
        expires_ms,
        uses: 0,
        contact_name: new.contact_name,
    };
    engine.batch.store.insert_invitation(&row)?;
    engine.batch.changed.relays = true;
    Ok((row, invitation.to_uri()))
}

/// Lists the invitations that are still open, the oldest first.
pub(crate) fn list(engine: &mut State) -> Result<Vec<InvitationRow>, Refusal> {
    let now = engine.batch.now_ms();
    let mut open = engine.batch.store.invitations()?;
    open.retain(|invitation| invitation.is_open(now));
    Ok(open)
}

/// Returns whether a proof, made in a session with this proof key, shows the token of an open
/// invitation. Does not count a use.
pub(crate) fn is_invited(
    engine: &mut State,
    proof_key: &Secret<32>,
    shown: InviteProof,
) -> Result<bool, Refusal> {
    Ok(invitation_shown(engine, proof_key, shown)?.is_some())
}

/// Counts a use of the invitation that a proof shows. Returns false if it is not open.
pub(crate) fn use_invitation(
    engine: &mut State,
    proof_key: &Secret<32>,
    shown: InviteProof,
) -> Result<bool, Refusal> {
    let Some(invitation) = invitation_shown(engine, proof_key, shown)? else {
        return Ok(false);
    };
    engine.batch.store.use_invitation(&invitation.id)?;
    Ok(true)
}

/// Revokes an invitation.
pub(crate) fn revoke(engine: &mut State, id: [u8; 16]) -> Result<(), Refusal> {
    if engine.batch.store.delete_invitation(&id)? {
        engine.batch.changed.relays = true;
        Ok(())
    } else {
        Err(Refusal::new(Reason::InvitationUnknown))
    }
}

/// Returns the open invitation that a proof shows, for a session known by its proof key alone.
pub(crate) fn invitation_shown(
    engine: &State,
    proof_key: &Secret<32>,
    shown: InviteProof,
) -> Result<Option<InvitationRow>, Refusal> {
    let known = known_invitation(engine, proof_key, shown)?;
    Ok(known.filter(|row| row.is_open(engine.batch.now_ms())))
}

/// Returns the invitation whose token a peer proves to hold, open or not.
pub(crate) fn known_invitation(
    engine: &State,
    proof_key: &Secret<32>,
    shown: InviteProof,
) -> Result<Option<InvitationRow>, Refusal> {
    let row = engine.batch.store.invitation(&shown.invite_id)?;
    let is_proven =
        |row: &InvitationRow| invitation::verify_proof(&row.token, proof_key, &shown.proof);
    Ok(row.filter(is_proven))
}
