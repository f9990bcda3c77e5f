//! A node's sessions, and what its conversation may look up.

use super::super::identities::Identified;
use super::super::store::ModelStore;
use super::{Batch, Node};
use m2_crypto::envelope::{Ends, EpochSecret, ReceiveEpoch};
use m2_crypto::{Secret, label};
use m2_delivery::{Committed, History, MessageId, Queued, Time, Write};

/// Returns the secret of the epochs that `sender` opens in a simulated session.
pub fn epoch_secret(session: u64, sender: &Identified) -> EpochSecret {
    let name = session.to_be_bytes();
    let secret = label::hash("simulated session", &[&name, sender.id.as_bytes()]);
    EpochSecret::new(name, Secret::new(secret))
}

/// The store of a side, with the writes that were polled and are not committed yet.
pub(super) struct Stored<'a> {
    pub(super) store: &'a ModelStore,
    pub(super) pipeline: &'a [Batch],
}

impl History for Stored<'_> {
    fn committed(&self, id: &MessageId) -> Option<Committed> {
        self.store.committed(id)
    }

    fn queued(&self, id: &MessageId) -> Queued {
        let writes = self.pipeline.iter().flat_map(|batch| &batch.writes);
        let newest = writes.rev().find_map(|write| match write {
            Write::Outbox { entry, payload } if entry.id == *id => {
                Some(Queued::Payload(payload.encode().into()))
            }
            Write::OutboxRemove { id: removed } if removed == id => Some(Queued::Missing),
            _ => None,
        });
        newest.unwrap_or_else(|| self.store.queued(id))
    }
}

impl Node {
    /// Loses the secret of the session on which this side sends, as when the driver does not report the
    /// session's end.
    pub fn lose_session(&mut self) {
        self.sending = None;
    }

    /// Receives on a session, and perhaps sends on another one. Without effect if the session is known.
    pub fn join(&mut self, session: u64) {
        let secret = || epoch_secret(session, self.peer);
        self.receiving
            .entry(session.to_be_bytes())
            .or_insert_with(secret);
    }

    /// Ends a session on which this side does not send.
    pub fn leave(&mut self, session: u64) {
        let name = session.to_be_bytes();
        self.receiving.remove(&name);
        self.conversation.session_over(&name);
    }

    pub(super) fn open_epoch(&mut self, now: Time, grant: &[u8]) -> Option<ReceiveEpoch> {
        let ends = Ends {
            receiver: &self.me.identity,
            receiver_id: self.me.id,
            sender: self.peer.identity.certificate(),
            sender_id: self.peer.id,
        };
        let now_s = now.seconds();
        self.receiving.values_mut().find_map(|secret| {
            ReceiveEpoch::accept(&mut self.rng, &ends, secret, grant, now_s).ok()
        })
    }
}
