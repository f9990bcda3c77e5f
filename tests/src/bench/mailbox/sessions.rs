//! Deposits over open sessions, and collection by one owner.

use super::super::figure::Figure;
use super::super::net;
use super::super::options::Options;
use super::super::process::cpu_ticks;
use super::depositors::{Deposits, Load};
use super::owner::Owner;
use super::provider::{Provider, endpoint, peer_id};
use super::tokens::Tokens;
use super::{AHEAD, LETTER, SESSIONS, loader};
use anyhow::Context as _;
use m2_mailbox::store::Limits;
use serde_json::{Value, json};

/// The target for deposits and for collected letters, per second.
const RATE: f64 = 5_000.0;

/// Measures deposits and collection with one box in the embedded store.
pub(in super::super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let count = options.deposits;
    let mut provider = Provider::prepare(&limits(count))?;
    let (bob, tokens) = (net::identity("bob")?, Tokens::new(1)?);
    let owners = [peer_id(&bob)];
    let store = provider.open_store(Limits::default())?;
    loader::boxes(&store, &owners, &tokens).await?;
    drop(store);
    provider.run().await?;
    let endpoint = endpoint().await?;
    let pid = provider
        .daemon
        .pid()
        .context("the provider is not running")?;
    let load = Load {
        tokens: tokens.clone(),
        owners: owners.into(),
        indices: 0..count,
    };
    let before = cpu_ticks(pid)?;
    let deposits = load.deposit(&provider, &endpoint).await?;
    let between = cpu_ticks(pid)?;
    let mut owner = Owner::dial(&provider, &endpoint, &bob, &tokens).await?;
    let took = owner.collect(count as usize).await?;
    let after = cpu_ticks(pid)?;
    let collected = count as f64 / took.as_secs_f64();
    let us_each = |ticks: u64| json!({ "n": count, "provider_cpu_us_each": us(ticks, count) });
    Ok(vec![
        Figure::new("mailbox_deposits", deposits.per_second(), "letters/s")
            .at_least(RATE)
            .detail(detail(&deposits, us(between - before, count))),
        Figure::new("mailbox_collected", collected, "letters/s")
            .at_least(RATE)
            .detail(us_each(after - between)),
    ])
}

/// Returns `[mailbox]` settings that allow `count` letters, and marks of them, in one box.
pub(super) fn limits(count: u64) -> String {
    let bytes = count.max(1) * LETTER as u64 * 2;
    format!("box_letters = {count}\nbox_spent = {count}\nbox_bytes = {bytes}\n")
}

/// Returns the details that are reported for a run of deposits.
pub(super) fn detail(deposits: &Deposits, cpu_us: f64) -> Value {
    json!({
        "sessions": SESSIONS,
        "under_way_in_each": AHEAD,
        "waits": deposits.waits.detail(),
        "provider_cpu_us_each": cpu_us,
    })
}

/// Converts clock ticks of 10 ms, spent on `count` items, to microseconds per item.
pub(super) fn us(ticks: u64, count: u64) -> f64 {
    ticks as f64 * 10_000.0 / count as f64
}
