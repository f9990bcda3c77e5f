//! Notices between front ends: plain NATS messages, which are not stored and may be lost. A front end
//! collects what happens within a millisecond after a message into the next one, since a message
//! for each deposit would cost the nodes a fifth of the deposit itself.

use super::cluster::Cluster;
use super::fill::Fills;
use super::keys::Keys;
use super::subjects::Subjects;
use crate::store::MailboxError;
use crate::store::arrival_notifier::ArrivalNotifier;
use async_nats::Client;
use bytes::{Buf, BufMut, Bytes};
use futures::StreamExt;
use m2_crypto::PeerId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The length of a front end's tag, with which each message begins.
const TAG: usize = 8;

/// The pause after a message, in which notices are collected.
const COLLECT: Duration = Duration::from_millis(1);

/// How long a notice is waited for.
const SEND: Duration = Duration::from_secs(1);

/// The maximum number of notices in a message, about 48 KiB.
const MOST: usize = 1_000;

/// Sends notices, and receives them until it is dropped.
pub(super) struct Notices {
    outbox: Arc<Outbox>,
    tasks: [JoinHandle<()>; 2],
}

/// The notices that are to be sent.
struct Outbox {
    waiting: Mutex<Waiting>,
    filled: Notify,
    /// The number of batches that were sent.
    sent: watch::Sender<u64>,
}

/// The next batch.
#[derive(Default)]
struct Waiting {
    notices: Vec<(PeerId, Notice)>,
    /// The number of batches up to this one.
    batch: u64,
}

/// What happened in a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    /// A letter of this many bytes arrived; 0 if it was counted before.
    Arrived(u64),
    /// This many letters with this many bytes were replaced by marks.
    Taken(u64, u64),
    /// The key was replaced, or the box was removed.
    NewKey,
}

/// The state of a front end that notices change.
#[derive(Clone)]
pub(super) struct Hearing {
    pub(super) fills: Arc<Fills>,
    pub(super) keys: Arc<Keys>,
    pub(super) arrival_notifier: Arc<ArrivalNotifier>,
}

impl Notices {
    pub(super) async fn start(
        cluster: &Cluster,
        subjects: &Subjects,
        hearing: Hearing,
    ) -> Result<Self, MailboxError> {
        let client = cluster.client().clone();
        let heard = client.subscribe(subjects.notices()).await;
        let mut heard = heard.map_err(|error| MailboxError::Unavailable(error.to_string()))?;
        // Distinguishes this front end's messages from others, because its own changes are already
        // counted.
        let tag: [u8; TAG] = crate::store::random()?;
        let mut reconnected = cluster.reconnected();
        let listener = tokio::spawn(async move {
            loop {
                tokio::select! {
                    message = heard.next() => match message {
                        Some(message) => hearing.hear(&message.payload, &tag),
                        None => return,
                    },
                    Ok(()) = reconnected.changed() => hearing.hear_gap(),
                }
            }
        });
        let outbox = Arc::new(Outbox {
            waiting: Mutex::default(),
            filled: Notify::new(),
            sent: watch::Sender::new(0),
        });
        let sender = tokio::spawn(send_all(Arc::clone(&outbox), client, subjects.clone(), tag));
        Ok(Self {
            outbox,
            tasks: [listener, sender],
        })
    }

    /// Tells the other front ends. Returns when the notice was sent, so that a front end that dies
    /// after its answer has told them. A lost notice delays a letter, makes a count wrong for a
    /// minute, or lets an earlier key be trusted for the rest of its time.
    pub(super) async fn send(&self, owner: &PeerId, notice: Notice) {
        let batch = {
            let mut waiting = self.outbox.lock();
            waiting.notices.push((*owner, notice));
            waiting.batch + 1
        };
        self.outbox.filled.notify_one();
        let mut sent = self.outbox.sent.subscribe();
        // Without a connection, the notice is lost or late.
        let _ = timeout(SEND, sent.wait_for(|sent| *sent >= batch)).await;
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Returns the batch and its number, and begins another one.
    fn next(&mut self) -> (Vec<(PeerId, Notice)>, u64) {
        self.batch += 1;
        (std::mem::take(&mut self.notices), self.batch)
    }
}

async fn send_all(outbox: Arc<Outbox>, client: Client, subjects: Subjects, tag: [u8; TAG]) {
    loop {
        outbox.filled.notified().await;
        let (notices, batch) = outbox.lock().next();
        for notices in notices.chunks(MOST) {
            let payload = Bytes::from(write_all(&tag, notices));
            let _ = client.publish(subjects.notices(), payload).await;
        }
        outbox.sent.send_replace(batch);
        sleep(COLLECT).await;
    }
}

fn write_all(tag: &[u8; TAG], notices: &[(PeerId, Notice)]) -> Vec<u8> {
    let mut payload = tag.to_vec();
    for (owner, notice) in notices {
        payload.put_slice(owner.as_bytes());
        notice.write(&mut payload);
    }
    payload
}

/// Reads the next notice, and removes it from the front of `from`. Returns `None` at the end, and
/// for what is no notice.
fn read_next(from: &mut &[u8]) -> Option<(PeerId, Notice)> {
    let (owner, rest) = from.split_first_chunk()?;
    *from = rest;
    Some((PeerId::from_bytes(*owner), Notice::read(from)?))
}

impl Notice {
    fn write(self, to: &mut Vec<u8>) {
        match self {
            Self::Arrived(bytes) => {
                to.put_u8(1);
                to.put_u64(bytes);
            }
            Self::Taken(letters, bytes) => {
                to.put_u8(2);
                to.put_u64(letters);
                to.put_u64(bytes);
            }
            Self::NewKey => to.put_u8(3),
        }
    }

    fn read(from: &mut &[u8]) -> Option<Self> {
        Some(match from.try_get_u8().ok()? {
            1 => Self::Arrived(from.try_get_u64().ok()?),
            2 => Self::Taken(from.try_get_u64().ok()?, from.try_get_u64().ok()?),
            3 => Self::NewKey,
            _ => return None,
        })
    }
}

impl Hearing {
    fn hear(&self, payload: &[u8], own: &[u8; TAG]) {
        let Some((_, mut notices)) = payload.split_first_chunk().filter(|(tag, _)| *tag != own)
        else {
            return;
        };
        while let Some((owner, notice)) = read_next(&mut notices) {
            self.apply(&owner, notice);
        }
    }

    fn apply(&self, owner: &PeerId, notice: Notice) {
        match notice {
            Notice::Arrived(bytes) => {
                if bytes > 0 {
                    self.fills.add(owner, bytes);
                }
                self.arrival_notifier.ring(owner);
            }
            Notice::Taken(letters, bytes) => self.fills.take(owner, letters, bytes),
            Notice::NewKey => {
                self.keys.forget(owner);
                self.fills.forget(owner);
            }
        }
    }

    /// Notices may have been missed.
    fn hear_gap(&self) {
        self.fills.forget_all();
        self.keys.forget_all();
        self.arrival_notifier.ring_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_read_as_they_were_written() {
        let all = [
            Notice::Arrived(4_096),
            Notice::Taken(3, u64::MAX),
            Notice::NewKey,
        ];
        let owner = |byte| PeerId::from_bytes([byte; 32]);
        let all = [1, 2, 3].map(owner).into_iter().zip(all);
        let all: Vec<_> = all.collect();
        let payload = write_all(&[9; TAG], &all);
        for cut in TAG..=payload.len() {
            let mut rest = &payload[TAG..cut];
            let read: Vec<_> = std::iter::from_fn(|| read_next(&mut rest)).collect();
            assert_eq!(read, all[..read.len()]);
            assert_eq!(read.len() == all.len(), cut == payload.len());
        }
    }
}
