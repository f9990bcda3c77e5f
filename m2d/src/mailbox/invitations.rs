//! The daemon's invitations, as the mailbox role uses them.

use crate::driver::EngineHandle;
use futures::future::BoxFuture;
use m2_crypto::Secret;
use m2_engine::{MailboxInput, Query};
use m2_mailbox::{Invitations, Unavailable};
use m2_net::wire::InviteProof;

impl Invitations for EngineHandle {
    fn is_invited(
        &self,
        proof_key: &Secret<32>,
        proof: InviteProof,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        let proof_key = proof_key.clone();
        Box::pin(async move {
            let invited = self.read(|reply| Query::IsInvited {
                proof_key,
                proof,
                reply,
            });
            invited.await.map_err(|_| Unavailable)
        })
    }

    fn use_invitation(
        &self,
        proof_key: &Secret<32>,
        proof: InviteProof,
    ) -> BoxFuture<'_, Result<bool, Unavailable>> {
        let proof_key = proof_key.clone();
        Box::pin(async move {
            let used = self.call(|reply| MailboxInput::UseInvitation {
                proof_key,
                proof,
                reply,
            });
            used.await.map_err(|_| Unavailable)
        })
    }
}
