//! Bulk transfer over one session of m2-net, with both ends in this process, and over stock quinn
//! with TLS in a separate process.

use super::figure::Figure;
use super::net;
use super::options::Options;
use crate::workspace;
use anyhow::{Context as _, ensure};
use m2_crypto::Circle;
use m2_crypto::handshake::Credential;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bytes per write and per read.
const CHUNK: usize = 1 << 20;

/// The target: M2's rate as a fraction of stock quinn's.
const SHARE: f64 = 0.9;

/// The directory of the stock-quinn package, relative to the workspace's top directory.
const STOCK: &str = "tests/benches/stock-quinn";

/// Measures the throughput from socket to socket with levels 2 and 3 in MB/s, and stock quinn's for
/// comparison if the options ask for it.
pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    if options.compare {
        return compare(options).await;
    }
    let rate = rate(options.bulk_mb).await?;
    let detail = json!({ "megabytes": options.bulk_mb });
    Ok(vec![Figure::new("bulk", rate, "MB/s").detail(detail)])
}

/// Measures both alternately, so that other load on the machine affects both equally, and compares
/// the medians.
async fn compare(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let program = build_stock()?;
    let (mut ours, mut stocks) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.max(1) {
        ours.push(rate(options.bulk_mb).await?);
        stocks.push(stock_rate(&program, options.bulk_mb).await?);
    }
    let (our, stock) = (median(&ours), median(&stocks));
    let detail = |rates| json!({ "megabytes": options.bulk_mb, "rounds": rates });
    Ok(vec![
        Figure::new("bulk", our, "MB/s").detail(detail(ours)),
        Figure::new("bulk_stock_quinn", stock, "MB/s").detail(detail(stocks)),
        Figure::new("bulk_to_stock_quinn", our / stock, "").at_least(SHARE),
    ])
}

/// Builds stock quinn with TLS and returns the path of the program.
fn build_stock() -> anyhow::Result<PathBuf> {
    let root = workspace::root()?;
    let target = workspace::target(&root).join("stock-quinn");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Cargo finds the same configuration there as in the workspace.
    let built = std::process::Command::new(cargo)
        .current_dir(root.join(STOCK))
        .args(["build", "--release", "--quiet", "--locked", "--target-dir"])
        .arg(&target)
        .status()?;
    ensure!(built.success(), "stock quinn does not build");
    Ok(target.join("release/stock-quinn"))
}

async fn stock_rate(program: &Path, megabytes: usize) -> anyhow::Result<f64> {
    let mut command = tokio::process::Command::new(program);
    let output = command.arg(megabytes.to_string()).output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "stock quinn: {errors}");
    let line: Value = serde_json::from_slice(&output.stdout)?;
    let rate = line.get("value").and_then(Value::as_f64);
    rate.context("stock quinn printed no rate")
}

fn median(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Transfers `megabytes` MB once and returns the rate in MB/s.
async fn rate(megabytes: usize) -> anyhow::Result<f64> {
    let (alice, bob) = (net::identity("alice")?, net::identity("bob")?);
    let called = net::endpoint(alice.clone(), 2).await?;
    let caller = net::endpoint(bob.clone(), 2).await?;
    let address = *called.local_addrs().first().context("no address")?;
    let peer = alice.peer_id(Circle::public().id());
    let credential = Credential::Identity(bob);
    let (dialled, accepted) = tokio::join!(caller.dial(address, peer, credential), called.accept());
    let (dialled, accepted) = (dialled?, accepted.context("no session was accepted")?);
    // Waits until the session keys used by the handshake are replaced: generating them would take
    // CPU time from the transfer.
    net::keys_full(&called).await;
    net::keys_full(&caller).await;
    let total = megabytes * 1_000_000;
    let receiving = tokio::spawn(async move {
        let mut stream = accepted.accept_bulk().await?;
        let mut count = 0;
        while let Some(chunk) = stream.read_chunk(CHUNK, true).await? {
            count += chunk.bytes.len();
        }
        anyhow::Ok((count, accepted))
    });
    let start = Instant::now();
    let elapsed = send(&dialled, total, start, receiving).await?;
    Ok(total as f64 / 1e6 / elapsed.as_secs_f64())
}

type Receiving = tokio::task::JoinHandle<anyhow::Result<(usize, m2_net::session::Session)>>;

async fn send(
    session: &m2_net::session::Session,
    total: usize,
    start: Instant,
    receiving: Receiving,
) -> anyhow::Result<Duration> {
    let mut stream = session.open_bulk().await?;
    let chunk = super::talker::payload(CHUNK);
    let mut left = total;
    while left > 0 {
        let part = chunk.get(..left.min(CHUNK)).context("no chunk")?;
        stream.write_all(part).await?;
        left -= part.len();
    }
    stream.finish()?;
    let (count, _session) = receiving.await??;
    ensure!(count == total, "{count} of {total} bytes arrived");
    Ok(start.elapsed())
}
