//! The purge of expired letters while new ones are deposited.

use super::super::figure::Figure;
use super::super::net;
use super::super::options::Options;
use super::super::samples::Samples;
use super::depositors::Depositor;
use super::owner::Owner;
use super::provider::{Provider, endpoint, peer_id};
use super::tokens::{Tokens, stranger};
use super::{LETTER, loader};
use m2_crypto::PeerId;
use m2_mailbox::store::{Limits, MailboxStore};
use m2_net::endpoint::Endpoint;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::{interval, sleep};

/// Number of expired letters per box.
const IN_A_BOX: u64 = 100;
/// Number of letters that fit in the box that receives deposits during the purge.
const FRESH: u64 = 65_000;
/// The interval between two deposits.
const EVERY: Duration = Duration::from_millis(2);
/// The interval at which the end of the purge is checked.
const LOOK: Duration = Duration::from_secs(3);
const DAY_MS: u64 = 24 * 3_600_000;

/// Measures the latency of deposits during a purge. The loader deposits letters dated nine days
/// back, and one letter, for an owner that can tell when it is deleted, dated eight days back. The
/// daemon purges in order of age, so that letter is the last.
pub(in super::super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let boxes = (options.letters / IN_A_BOX).max(1);
    let (bob, tokens) = (net::identity("bob")?, Tokens::new(1)?);
    let (last, target) = (peer_id(&bob), stranger(u64::MAX));
    let limits = format!(
        "max_boxes = {}\nbox_letters = {FRESH}\nbox_bytes = {}\n",
        boxes + 2,
        FRESH * LETTER as u64
    );
    let mut provider = Provider::prepare(&limits)?;
    let loading = Instant::now();
    load(&provider, boxes, &tokens, last, target).await?;
    let loading = loading.elapsed();
    provider.run().await?;
    let (endpoint, over) = (endpoint().await?, AtomicBool::new(false));
    let start = Instant::now();
    let deposits = deposit(&provider, &endpoint, &tokens, target, &over);
    let gone = async {
        let gone = until_gone(&provider, &endpoint, &bob, &tokens).await;
        over.store(true, Ordering::Relaxed);
        gone
    };
    let (waits, gone) = tokio::join!(deposits, gone);
    let (waits, _) = (waits?, gone?);
    let took = start.elapsed();
    let count = boxes * IN_A_BOX;
    let detail = json!({
        "expired": count,
        "purge_s": took.as_secs_f64(),
        "purged_per_s": count as f64 / took.as_secs_f64(),
        "loaded_s": loading.as_secs_f64(),
        "deposits": waits.detail(),
        "slowest_ms": waits.percentile_ms(100),
    });
    let p99 = waits.percentile_ms(99);
    Ok(vec![
        Figure::new("mailbox_purge_deposit_p99", p99, "ms")
            .at_most(50.0)
            .detail(detail),
    ])
}

async fn load(
    provider: &Provider,
    boxes: u64,
    tokens: &Tokens,
    last: PeerId,
    target: PeerId,
) -> anyhow::Result<()> {
    let limits = Limits {
        boxes: boxes + 2,
        ..Limits::default()
    };
    let store: Arc<dyn MailboxStore> = Arc::new(provider.open_store(limits)?);
    let owners: Vec<_> = (0..boxes).map(stranger).collect();
    loader::boxes(&*store, &owners, tokens).await?;
    loader::boxes(&*store, &[last], tokens).await?;
    loader::boxes(&*store, &[target], tokens).await?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
    let nine_days_ago = now_ms - 9 * DAY_MS;
    loader::letters(Arc::clone(&store), &owners, tokens, IN_A_BOX, nine_days_ago).await?;
    loader::letters(store, &[last], tokens, 1, now_ms - 8 * DAY_MS).await
}

/// Makes 500 deposits per second over one session, without waiting for earlier answers, until the
/// purge has ended.
async fn deposit(
    provider: &Provider,
    endpoint: &Endpoint,
    tokens: &Tokens,
    target: PeerId,
    over: &AtomicBool,
) -> anyhow::Result<Samples> {
    let mut depositor = Depositor::dial(provider, endpoint).await?;
    let (mut waits, mut index, mut open) = (Samples::default(), 0, 0);
    let mut ticks = interval(EVERY);
    while (!over.load(Ordering::Relaxed) && index < FRESH) || open > 0 {
        tokio::select! {
            _ = ticks.tick(), if !over.load(Ordering::Relaxed) && index < FRESH => {
                depositor.send(tokens.deposit(target, index)).await?;
                (index, open) = (index + 1, open + 1);
            }
            waited = depositor.stored(), if open > 0 => {
                waits.add(waited?);
                open -= 1;
            }
        }
    }
    Ok(waits)
}

async fn until_gone(
    provider: &Provider,
    endpoint: &Endpoint,
    owner: &Arc<m2_crypto::Identity>,
    tokens: &Tokens,
) -> anyhow::Result<()> {
    loop {
        sleep(LOOK).await;
        let mut owner = Owner::dial(provider, endpoint, owner, tokens).await?;
        if owner.is_empty().await? {
            return Ok(());
        }
    }
}
