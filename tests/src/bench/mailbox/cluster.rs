//! Deposits with the JetStream store on three nodes, compared with async-nats alone on the same
//! nodes.

use super::super::figure::Figure;
use super::super::net;
use super::super::options::Options;
use super::super::process::cpu_ticks;
use super::depositors::Load;
use super::owner::Owner;
use super::provider::{Provider, endpoint, peer_id};
use super::tokens::Tokens;
use super::{AHEAD, LETTER, SESSIONS, loader, sessions};
use crate::harness::NatsCluster;
use anyhow::{Context as _, bail};
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context};
use m2_mailbox::store::{JetStreamOptions, JetStreamStore, Limits};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Number of nodes; each keeps a full replica.
const NODES: usize = 3;
/// The prefix of the daemon's names in the cluster.
const PREFIX: &str = "m2-mailbox";
/// The target: M2's rate as a fraction of async-nats'.
const SHARE: f64 = 0.5;
/// Number of attempts, one per second, while the cluster may still be electing leaders.
const TRIES: u32 = 30;

/// Measures both alternately, so that other load on the machine affects both equally, and compares
/// the medians. Skips the measurement if nats-server is not installed.
pub(in super::super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let Some(cluster) = NatsCluster::start(NODES).await? else {
        eprintln!("SKIPPED mailbox-cluster: nats-server 2.12 or newer is not installed");
        return Ok(Vec::new());
    };
    let (count, rounds) = (options.clustered, options.rounds.max(1) as u64);
    let (bob, tokens) = (net::identity("bob")?, Tokens::new(1)?);
    let owner = peer_id(&bob);
    let mut provider = begin(&cluster, count * rounds).await?;
    let store = join(&cluster, count * rounds).await?;
    loader::boxes(&store, &[owner], &tokens).await?;
    drop(store);
    provider.run().await?;
    let (endpoint, alone) = (endpoint().await?, stock(&cluster).await?);
    let (mut ours, mut stocks) = (Vec::new(), Vec::new());
    let (mut last, mut nodes_us) = (Value::Null, f64::NAN);
    for round in 0..rounds {
        stocks.push(publish(&alone, count).await?);
        let load = Load {
            tokens: tokens.clone(),
            owners: [owner].into(),
            indices: round * count..(round + 1) * count,
        };
        let before = ticks(&provider, &cluster)?;
        let deposits = load.deposit(&provider, &endpoint).await?;
        let after = ticks(&provider, &cluster)?;
        ours.push(deposits.per_second());
        last = sessions::detail(&deposits, sessions::us(after.0 - before.0, count));
        nodes_us = sessions::us(after.1 - before.1, count);
    }
    let detail = json!({ "rounds": ours, "nodes_cpu_us_each": nodes_us, "last": last });
    let all = (count * rounds) as usize;
    let mut collector = Owner::dial(&provider, &endpoint, &bob, &tokens).await?;
    let collected = all as f64 / collector.collect(all).await?.as_secs_f64();
    let (our, stock) = (median(&ours), median(&stocks));
    Ok(vec![
        Figure::new("mailbox_cluster_deposits", our, "letters/s").detail(detail),
        Figure::new("mailbox_cluster_async_nats", stock, "messages/s")
            .detail(json!({ "rounds": stocks })),
        Figure::new("mailbox_cluster_to_async_nats", our / stock, "").at_least(SHARE),
        Figure::new("mailbox_cluster_collected", collected, "letters/s"),
    ])
}

async fn begin(cluster: &NatsCluster, count: u64) -> anyhow::Result<Provider> {
    let servers: Vec<_> = cluster.servers().iter().map(|s| format!("{s:?}")).collect();
    let nats = format!("nats = [{}]\nreplicas = {NODES}\n", servers.join(", "));
    Provider::prepare(&format!("{}{nats}", sessions::limits(count)))
}

/// Connects to the cluster's store like another provider, with the daemon's limits.
async fn join(cluster: &NatsCluster, count: u64) -> anyhow::Result<JetStreamStore> {
    let options = JetStreamOptions {
        servers: cluster.servers(),
        prefix: PREFIX.to_owned(),
        replicas: NODES,
    };
    let limits = Limits {
        box_letters: count,
        box_spent: count,
        ..Limits::default()
    };
    for _ in 0..TRIES {
        match JetStreamStore::connect(options.clone(), limits.clone()).await {
            Ok(store) => return Ok(store),
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
    }
    bail!("the cluster does not come up")
}

/// Creates a stream for async-nats alone, with one replica per node.
async fn stock(cluster: &NatsCluster) -> anyhow::Result<Context> {
    let client = async_nats::connect(cluster.servers()).await?;
    let context = jetstream::new(client);
    let config = Config {
        name: "stock".into(),
        subjects: vec!["stock".into()],
        num_replicas: NODES,
        ..Config::default()
    };
    for _ in 0..TRIES {
        match context.create_stream(config.clone()).await {
            Ok(_) => return Ok(context),
            Err(_) => sleep(Duration::from_secs(1)).await,
        }
    }
    bail!("the cluster does not create the stream")
}

/// Returns the rate in messages per second. The number of unacknowledged messages equals that of
/// all depositors together.
async fn publish(context: &Context, count: u64) -> anyhow::Result<f64> {
    let at_once = SESSIONS * AHEAD;
    let payload = bytes::Bytes::from(vec![0x5a; LETTER]);
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for place in 0..at_once as u64 {
        let (context, payload) = (context.clone(), payload.clone());
        tasks.spawn(async move {
            for _ in (place..count).step_by(at_once) {
                let sent = context.publish("stock", payload.clone()).await?;
                sent.await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

fn ticks(provider: &Provider, cluster: &NatsCluster) -> anyhow::Result<(u64, u64)> {
    let own = cpu_ticks(
        provider
            .daemon
            .pid()
            .context("the provider is not running")?,
    )?;
    let mut nodes = 0;
    for pid in cluster.pids() {
        nodes += cpu_ticks(pid)?;
    }
    Ok((own, nodes))
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
