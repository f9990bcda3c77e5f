//! What the mailbox role asks the rest of the daemon.

use futures::future::BoxFuture;
use m2_crypto::Secret;
use m2_net::wire::InviteProof;

/// The invitations of the provider, which entitle a peer to register a box.
pub trait Invitations: Send + Sync + 'static {
    /// Returns whether a proof belongs to a valid invitation. `proof_key` binds proofs to the
    /// session (docs/spec/contact.md#the-request).
    fn is_invited(
        &self,
        proof_key: &Secret<32>,
        proof: InviteProof,
    ) -> BoxFuture<'_, Result<bool, Unavailable>>;

    /// Like [`Self::is_invited`], and counts a use of the invitation. Completes once that is
    /// durable.
    fn use_invitation(
        &self,
        proof_key: &Secret<32>,
        proof: InviteProof,
    ) -> BoxFuture<'_, Result<bool, Unavailable>>;
}

/// The invitations can't be read or written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the invitations are not available")]
pub struct Unavailable;
