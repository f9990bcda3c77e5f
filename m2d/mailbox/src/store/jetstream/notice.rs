//! Notices between front ends: plain NATS messages, which are not stored and may be lost.

use super::cluster::Cluster;
use super::fill::Fills;
use super::subjects::{Subjects, owner_of};
use crate::store::MailboxError;
use crate::store::arrival_notifier::ArrivalNotifier;
use async_nats::{Client, Message};
use bytes::Bytes;
use futures::StreamExt;
use m2_crypto::PeerId;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Sends notices, and receives them until it is dropped.
pub(super) struct Notices {
    client: Client,
    subjects: Subjects,
    listener: JoinHandle<()>,
    /// Distinguishes this front end's notices from others, because its own changes are already
    /// counted.
    tag: [u8; TAG],
}

/// The length of a front end's tag, with which each notice begins.
const TAG: usize = 8;

impl Notices {
    pub(super) async fn start(
        cluster: &Cluster,
        subjects: &Subjects,
        fills: &Arc<Fills>,
        arrival_notifier: &Arc<ArrivalNotifier>,
    ) -> Result<Self, MailboxError> {
        let client = cluster.client().clone();
        let heard = client.subscribe(subjects.all_notices()).await;
        let mut heard = heard.map_err(|error| MailboxError::Unavailable(error.to_string()))?;
        let (fills, arrival_notifier) = (Arc::clone(fills), Arc::clone(arrival_notifier));
        let tag = crate::store::random()?;
        let mut reconnected = cluster.reconnected();
        let listener = tokio::spawn(async move {
            loop {
                tokio::select! {
                    message = heard.next() => match message {
                        Some(message) => hear(&message, &tag, &fills, &arrival_notifier),
                        None => return,
                    },
                    Ok(()) = reconnected.changed() => {
                        fills.forget_all();
                        arrival_notifier.ring_all();
                    }
                }
            }
        });
        Ok(Self {
            client,
            subjects: subjects.clone(),
            listener,
            tag,
        })
    }

    /// Announces that a letter of `size` bytes was stored.
    pub(super) async fn arrived(&self, owner: &PeerId, size: usize) {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.send(owner, &size.to_be_bytes()).await;
    }

    /// Announces that letters were deleted.
    pub(super) async fn emptied(&self, owner: &PeerId) {
        self.send(owner, &[]).await;
    }

    async fn send(&self, owner: &PeerId, content: &[u8]) {
        let payload = Bytes::from([&self.tag, content].concat());
        // A lost notice delays a letter, or makes a count wrong for a minute.
        let _ = self
            .client
            .publish(self.subjects.notice(owner), payload)
            .await;
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn hear(message: &Message, own: &[u8; TAG], fills: &Fills, arrival_notifier: &ArrivalNotifier) {
    let Some((tag, content)) = message.payload.split_first_chunk() else {
        return;
    };
    let Some(owner) = owner_of(&message.subject).filter(|_| tag != own) else {
        return;
    };
    match <[u8; 4]>::try_from(content) {
        Ok(size) => {
            fills.add(&owner, u64::from(u32::from_be_bytes(size)));
            arrival_notifier.ring(&owner);
        }
        Err(_) => fills.forget(&owner),
    }
}
