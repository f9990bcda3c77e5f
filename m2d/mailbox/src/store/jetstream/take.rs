//! Taking letters: the spent mark is written first, and then the letter is deleted. At any moment
//! something is under the nonce, so no other letter can come in between.

use super::cluster::Tries;
use super::kept::{Conditional, Erasure, Published};
use super::notice::Notice;
use super::record::{Record, Seen};
use super::subjects::period_of;
use super::{PARALLEL, Shared};
use crate::store::MailboxError;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use m2_crypto::PeerId;
use m2_crypto::deposit::DepositNonce;
use std::collections::HashSet;

/// Replaces letters by their marks.
pub(super) async fn run(
    shared: &Shared,
    owner: PeerId,
    nonces: Vec<DepositNonce>,
) -> Result<(), MailboxError> {
    let unique: HashSet<DepositNonce> = nonces.into_iter().collect();
    let take = |nonce| one(shared, owner, nonce);
    let taken = stream::iter(unique).map(take).buffer_unordered(PARALLEL);
    let (letters, bytes) = taken
        .try_fold((0, 0), |(letters, bytes), size| async move {
            Ok(match size {
                Some(size) => (letters + 1, bytes + size),
                None => (letters, bytes),
            })
        })
        .await?;
    if letters > 0 {
        shared.fills.take(&owner, letters, bytes);
        let notice = Notice::Taken(letters, bytes);
        shared.notices.send(&owner, notice).await;
    }
    Ok(())
}

/// Takes one letter. Returns its size, or `None` if there was no letter without a mark.
async fn one(
    shared: &Shared,
    owner: PeerId,
    nonce: DepositNonce,
) -> Result<Option<u64>, MailboxError> {
    let seen = match shared.fills.recall(&owner, &nonce) {
        Some(seen) => seen,
        None => match find(shared, &owner, &nonce).await? {
            Some(seen) => seen,
            None => return Ok(None),
        },
    };
    if !mark(shared, &owner, &nonce, seen).await? {
        return Ok(None);
    }
    erase(shared, seen.sequence).await?;
    Ok(Some(seen.size as u64))
}

/// Writes the mark of a letter. Returns false if something else is the last under the nonce; if
/// that is a mark, an earlier call may have ended before it deleted the letter.
async fn mark(
    shared: &Shared,
    owner: &PeerId,
    nonce: &DepositNonce,
    seen: Seen,
) -> Result<bool, MailboxError> {
    let message = Conditional {
        subject: shared.subjects.mark(owner, nonce, seen.period),
        payload: Bytes::copy_from_slice(seen.mark.as_bytes()),
        condition: shared.subjects.at(owner, nonce),
        last: seen.sequence,
        lifetime_s: None,
    };
    let mut tries = Tries::new();
    loop {
        match shared.cluster.kept.publish(&message).await? {
            Published::At(_) => return Ok(true),
            Published::NoRoom => return Err(MailboxError::DiskFull),
            Published::Outrun => {}
        }
        match shared.cluster.kept.last(&message.condition).await? {
            // Another front end writes the mark at this moment.
            Some(last) if last.sequence == seen.sequence => {}
            Some(last) if period_of(&last.subject).is_some() => {
                if let Some(rest) = find(shared, owner, nonce).await? {
                    erase(shared, rest.sequence).await?;
                }
                return Ok(false);
            }
            // The letter has expired, and another one may have come.
            _ => return Ok(false),
        }
        tries.pause("the letter is being taken".to_owned()).await?;
    }
}

/// Finds a letter that this front end has not read.
async fn find(
    shared: &Shared,
    owner: &PeerId,
    nonce: &DepositNonce,
) -> Result<Option<Seen>, MailboxError> {
    let filter = shared.subjects.letter_at(owner, nonce);
    let Some(message) = shared.cluster.kept.last(&filter).await? else {
        return Ok(None);
    };
    let record = Record::unpack(&message.payload)?;
    Ok(Some(record.seen(message.sequence)))
}

async fn erase(shared: &Shared, sequence: u64) -> Result<(), MailboxError> {
    let how: Erasure = shared.overwrites.next();
    shared.cluster.kept.erase(sequence, how).await
}
