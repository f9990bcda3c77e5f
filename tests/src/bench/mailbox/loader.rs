//! Fills a store directly, without sessions: boxes need owners, and generating 10,000 RSA-4096 keys
//! takes hours.

use super::tokens::Tokens;
use anyhow::{bail, ensure};
use m2_crypto::PeerId;
use m2_mailbox::store::{Deposited, MailboxStore, TokensAdded};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Tokens registered per call: as many as a frame holds.
const TOKENS: u64 = 2_048;
/// Number of concurrent deposits.
const AT_ONCE: usize = 256;
/// Timeout for closing a store.
const CLOSE: Duration = Duration::from_secs(60);

/// Creates a box with `each` tokens for every owner.
pub(super) async fn boxes(
    store: &dyn MailboxStore,
    owners: &[PeerId],
    tokens: &Tokens,
    each: u64,
) -> anyhow::Result<()> {
    for owner in owners {
        store.register_box(*owner).await?;
        for first in (0..each).step_by(TOKENS as usize) {
            let hashes = tokens.hashes(owner, first..each.min(first + TOKENS));
            let added = store.add_tokens(*owner, hashes).await?;
            ensure!(added == TokensAdded::Added, "{added:?}");
        }
    }
    Ok(())
}

/// Deposits `each` letters into every box, with the arrival time `now_ms`.
pub(super) async fn letters(
    store: Arc<dyn MailboxStore>,
    owners: &[PeerId],
    tokens: &Tokens,
    each: u64,
    now_ms: u64,
) -> anyhow::Result<()> {
    let mut under_way = JoinSet::new();
    for index in 0..each {
        for owner in owners {
            if under_way.len() >= AT_ONCE
                && let Some(ended) = under_way.join_next().await
            {
                stored(ended??)?;
            }
            let (store, deposit) = (Arc::clone(&store), tokens.stored(*owner, index));
            under_way.spawn(async move { store.deposit(deposit, now_ms).await });
        }
    }
    while let Some(ended) = under_way.join_next().await {
        stored(ended??)?;
    }
    Ok(())
}

/// Waits until this process has no file of a store open: the store's threads close the files some
/// time after the last handle is dropped.
pub(super) async fn closed(data_dir: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    while has_open(data_dir)? {
        if start.elapsed() > CLOSE {
            bail!("the store does not close");
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn has_open(directory: &Path) -> anyhow::Result<bool> {
    let directory = directory.canonicalize()?;
    for descriptor in fs::read_dir("/proc/self/fd")? {
        // A descriptor may be closed in the meantime.
        let target = fs::read_link(descriptor?.path());
        if target.is_ok_and(|file| file.starts_with(&directory)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn stored(outcome: Deposited) -> anyhow::Result<()> {
    ensure!(outcome == Deposited::Stored, "{outcome:?}");
    Ok(())
}
