//! Many letters in many boxes: memory use, and the time to the first letter of a box.

use super::super::figure::Figure;
use super::super::options::Options;
use super::super::pair;
use super::super::samples::Samples;
use super::depositors::Load;
use super::owner::Owner;
use super::provider::{Provider, endpoint, peer_id};
use super::tokens::{Tokens, stranger};
use super::{loader, sessions};
use crate::hostile::crowd;
use m2_crypto::{Identity, PeerId};
use m2_mailbox::store::Limits;
use m2_net::endpoint::Endpoint;
use serde_json::json;
use std::fs;
use std::sync::Arc;

/// Number of letters per box.
const IN_A_BOX: u64 = 100;
/// Number of owners that have keys and open their boxes.
const OWNERS: usize = 200;
/// Number of times that each owner opens its box.
const ROUNDS: usize = 2;

/// The loader creates boxes. A freshly started daemon then takes the letters over sessions. After a
/// restart, owners collect.
pub(in super::super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let boxes = (options.letters / IN_A_BOX).max(OWNERS as u64);
    let keys = tokio::task::spawn_blocking(|| crowd(OWNERS)).await??;
    let strangers = (OWNERS as u64..boxes).map(stranger);
    let owners: Arc<[PeerId]> = keys
        .iter()
        .map(|key| peer_id(key))
        .chain(strangers)
        .collect();
    let mut provider = Provider::prepare(&format!("max_boxes = {boxes}"))?;
    let tokens = Tokens::new(1)?;
    let store = provider.open_store(Limits {
        boxes,
        ..Limits::default()
    })?;
    loader::boxes(&store, &owners, &tokens).await?;
    drop(store);
    provider.run().await?;
    let endpoint = endpoint().await?;
    let load = Load {
        tokens: tokens.clone(),
        owners,
        indices: 0..IN_A_BOX,
    };
    let deposits = load.deposit(&provider, &endpoint).await?;
    let loaded_mib = mib(provider.daemon.rss_kib()?);
    provider.run().await?;
    let restarted_mib = mib(provider.daemon.rss_kib()?);
    let (first, later) = first_letters(&provider, &endpoint, &keys, &tokens).await?;
    let most_mib = loaded_mib.max(mib(provider.daemon.rss_kib()?));
    let size = fs::metadata(provider.daemon.data().join("mailbox.db"))?.len();
    let detail = json!({
        "letters": load.count(),
        "boxes": boxes,
        "file_mib": mib(size >> 10),
        "after_deposits_mib": loaded_mib,
        "after_restart_mib": restarted_mib,
    });
    let opened = json!({ "first_time": first.detail(), "again": later.detail() });
    Ok(vec![
        Figure::new("mailbox_many_rss", most_mib, "MiB")
            .at_most(200.0)
            .detail(detail),
        Figure::new(
            "mailbox_many_first_letter_p50",
            first.percentile_ms(50),
            "ms",
        )
        .at_most(5.0),
        Figure::new(
            "mailbox_many_first_letter_p99",
            first.percentile_ms(99),
            "ms",
        )
        .at_most(5.0)
        .detail(opened),
        Figure::new("mailbox_many_deposits", deposits.per_second(), "letters/s")
            .detail(sessions::detail(&deposits, f64::NAN)),
    ])
}

/// Measures how long owners wait for their first letter: when their box is read for the first time
/// since the start, and later.
async fn first_letters(
    provider: &Provider,
    endpoint: &Endpoint,
    keys: &[Arc<Identity>],
    tokens: &Tokens,
) -> anyhow::Result<(Samples, Samples)> {
    let api = provider.daemon.client().await?;
    let (mut first, mut later) = (Samples::default(), Samples::default());
    for round in 0..ROUNDS {
        for key in keys {
            let mut owner = Owner::dial(provider, endpoint, key, tokens).await?;
            pair::keys_full(&api).await?;
            let waited = owner.first_letter().await?;
            match round {
                0 => first.add(waited),
                _ => later.add(waited),
            }
        }
    }
    Ok((first, later))
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}
