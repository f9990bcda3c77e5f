//! Fills a store directly, without sessions: boxes need owners, and generating 10,000 RSA-4096 keys
//! takes hours.

use super::tokens::Tokens;
use anyhow::{bail, ensure};
use m2_crypto::PeerId;
use m2_mailbox::store::{Deposited, MailboxStore, Registered};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Number of concurrent deposits.
const AT_ONCE: usize = 256;
/// Timeout for closing a store.
const CLOSE: Duration = Duration::from_secs(60);

/// Creates a box for every owner.
pub(super) async fn boxes(
    store: &dyn MailboxStore,
    owners: &[PeerId],
    tokens: &Tokens,
) -> anyhow::Result<()> {
    for owner in owners {
        let made = store.register_box(*owner, tokens.key()).await?;
        ensure!(made == Registered::New, "{made:?}");
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
    let (tokens, mut under_way) = (tokens.at(now_ms), JoinSet::new());
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
