//! The keys of boxes, and the salt of spent marks.
//!
//! A front end trusts a key that it has read for [`TRUSTED`]. A change of a key is complete after
//! that time: then no front end accepts tokens of the earlier key, whether or not it heard of the
//! change.

use super::cluster::{Cluster, Tries};
use super::kept::{Conditional, Erasure, Published};
use super::subjects::Subjects;
use crate::store::{Deposit, MailboxError};
use bytes::Bytes;
use m2_crypto::deposit::{BoxKey, MarkSalt, TokenVerifier};
use m2_crypto::{PeerId, Secret};
use rand_core::UnwrapErr;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a key is trusted without reading it again.
pub(super) const TRUSTED: Duration = Duration::from_secs(1);

/// The maximum number of cached keys. When it is reached, the cache is cleared.
const MOST_KEYS: usize = 50_000;

/// Checks tokens, and caches the keys for that.
pub(super) struct Keys {
    verifier: TokenVerifier,
    cache: Mutex<HashMap<PeerId, (BoxKey, Instant)>>,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            verifier: TokenVerifier::new(&mut UnwrapErr(getrandom::SysRng)),
            cache: Mutex::default(),
        }
    }

    /// Returns whether a token is valid for its box. Refuses only after one read of the key from
    /// the leader, whatever the cause is: another front end may have created the box or replaced
    /// its key a moment ago, and the work does not depend on whether the box exists.
    pub(super) async fn admit(
        &self,
        cluster: &Cluster,
        subjects: &Subjects,
        deposit: &Deposit,
        now_ms: u64,
    ) -> Result<bool, MailboxError> {
        let verify = |key: Option<&BoxKey>| {
            let verified =
                self.verifier
                    .verify(&deposit.owner, key, &deposit.token, now_ms / 1_000);
            verified.is_ok()
        };
        if let Some(key) = self.cached(&deposit.owner)
            && verify(Some(&key))
        {
            return Ok(true);
        }
        let asked = Instant::now();
        let key = read(cluster, &subjects.key(&deposit.owner)).await?;
        let admitted = verify(key.as_ref().map(|(key, _)| key));
        if let Some((key, _)) = key {
            self.remember(deposit.owner, key, asked);
        }
        Ok(admitted)
    }

    pub(super) fn forget(&self, owner: &PeerId) {
        self.lock().remove(owner);
    }

    pub(super) fn forget_all(&self) {
        self.lock().clear();
    }

    fn cached(&self, owner: &PeerId) -> Option<BoxKey> {
        let cache = self.lock();
        let (key, read) = cache.get(owner)?;
        (read.elapsed() < TRUSTED).then(|| key.clone())
    }

    fn remember(&self, owner: PeerId, key: BoxKey, asked: Instant) {
        let mut cache = self.lock();
        if cache.len() >= MOST_KEYS {
            cache.clear();
        }
        cache.insert(owner, (key, asked));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, (BoxKey, Instant)>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The result of [`set`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    NoBox,
    Unchanged,
    Changed,
}

/// Returns the key that a subject holds, and its number.
async fn read(cluster: &Cluster, subject: &str) -> Result<Option<(BoxKey, u64)>, MailboxError> {
    let Some(message) = cluster.boxes.last(subject).await? else {
        return Ok(None);
    };
    let key = Secret::from_slice(&message.payload).ok_or(MailboxError::Corrupt("box key"))?;
    Ok(Some((BoxKey::new(key), message.sequence)))
}

/// Replaces the key of a box, if there is a box, and overwrites the earlier one.
pub(super) async fn set(
    cluster: &Cluster,
    subject: &str,
    key: &BoxKey,
) -> Result<Set, MailboxError> {
    let mut tries = Tries::new();
    loop {
        let Some((earlier, last)) = read(cluster, subject).await? else {
            return Ok(Set::NoBox);
        };
        if earlier == *key {
            // An earlier call may have ended before it overwrote the key before.
            erase_before(cluster, subject, last).await?;
            return Ok(Set::Unchanged);
        }
        match write(cluster, subject, key.expose(), last).await? {
            Published::At(sequence) => {
                erase_before(cluster, subject, sequence).await?;
                return Ok(Set::Changed);
            }
            Published::Outrun => tries.pause("a box's key changes".to_owned()).await?,
            Published::NoRoom => return Err(MailboxError::DiskFull),
        }
    }
}

/// Writes the first key of a box.
pub(super) async fn create(
    cluster: &Cluster,
    subject: &str,
    key: &BoxKey,
) -> Result<Published, MailboxError> {
    write(cluster, subject, key.expose(), 0).await
}

/// Removes the key of a box, and with it the box. Returns whether it existed.
pub(super) async fn remove(cluster: &Cluster, subject: &str) -> Result<bool, MailboxError> {
    let existed = cluster.boxes.last(subject).await?.is_some();
    erase_before(cluster, subject, u64::MAX).await?;
    Ok(existed)
}

/// Returns the salt of the store's marks. The first front end draws it; of several that do so at
/// the same moment, one succeeds.
pub(super) async fn salt(cluster: &Cluster, subject: &str) -> Result<MarkSalt, MailboxError> {
    let mut tries = Tries::new();
    loop {
        if let Some(message) = cluster.boxes.last(subject).await? {
            let salt = Secret::from_slice(&message.payload);
            return salt.map(MarkSalt::new).ok_or(MailboxError::Corrupt("salt"));
        }
        let salt = Secret::new(crate::store::random()?);
        if write(cluster, subject, salt.expose(), 0).await? == Published::NoRoom {
            return Err(MailboxError::DiskFull);
        }
        tries.pause("the salt is being written".to_owned()).await?;
    }
}

async fn write(
    cluster: &Cluster,
    subject: &str,
    secret: &[u8; 32],
    last: u64,
) -> Result<Published, MailboxError> {
    let message = Conditional {
        subject: subject.to_owned(),
        payload: Bytes::copy_from_slice(secret),
        condition: subject.to_owned(),
        last,
        lifetime_s: None,
    };
    cluster.boxes.publish(&message).await
}

async fn erase_before(cluster: &Cluster, subject: &str, end: u64) -> Result<(), MailboxError> {
    let boxes = &cluster.boxes;
    boxes.erase_subject(subject, end, Erasure::Overwrite).await
}
