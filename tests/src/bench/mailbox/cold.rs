//! A deposit at a provider with which no session is open, as a sender's daemon makes it.

use super::super::figure::Figure;
use super::super::net;
use super::super::options::Options;
use super::super::pair;
use super::super::samples::Samples;
use super::depositors::Depositor;
use super::provider::{Provider, endpoint, peer_id};
use super::tokens::Tokens;
use super::{loader, sessions};
use m2_mailbox::store::Limits;
use serde_json::json;
use std::time::Instant;

/// Number of deposits that are measured.
const COUNT: u64 = 100;
/// The target for the median deposit, in milliseconds.
const LIMIT_MS: f64 = 30.0;

/// Measures the time from the sealed letter to the provider's confirmation that it is stored: an
/// anonymous handshake from an outbound-only endpoint, one deposit and its answer. Both sides have
/// session keys ready.
pub(in super::super) async fn measure(_options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut provider = Provider::prepare(&sessions::limits(COUNT))?;
    let (owner, tokens) = (peer_id(&*net::identity("bob")?), Tokens::new(1)?);
    let store = provider.open_store(Limits::default())?;
    loader::boxes(&store, &[owner], &tokens).await?;
    drop(store);
    provider.run().await?;
    let (endpoint, api) = (endpoint().await?, provider.daemon.client().await?);
    let (mut all, mut dials) = (Samples::default(), Samples::default());
    for index in 0..COUNT {
        pair::keys_full(&api).await?;
        net::keys_full(&endpoint).await;
        let deposit = tokens.deposit(owner, index);
        let start = Instant::now();
        let mut depositor = Depositor::dial(&provider, &endpoint).await?;
        dials.add(start.elapsed());
        depositor.send(deposit).await?;
        depositor.stored().await?;
        all.add(start.elapsed());
    }
    let detail = json!({ "all": all.detail(), "dials": dials.detail() });
    let p50 = Figure::new("mailbox_cold_deposit_p50", all.percentile_ms(50), "ms");
    let p99 = Figure::new("mailbox_cold_deposit_p99", all.percentile_ms(99), "ms");
    Ok(vec![p50.at_most(LIMIT_MS).detail(detail), p99])
}
