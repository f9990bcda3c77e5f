//! Sessions over relays, compared with direct sessions: the relays are real daemons, the two
//! parties are in this process.

mod crowd;
mod forwarder;
mod scene;
mod shares;

pub(super) use crowd::measure as idle;
pub(super) use shares::measure as shares;

use super::figure::Figure;
use super::options::Options;
use super::process;
use anyhow::Context as _;
use m2_net::session::Session;
use m2_net::wire::{Envelope, Message};
use scene::{Relay, direct, over};
use serde_json::json;
use std::time::{Duration, Instant};

/// Number of round trips per path.
const ROUND_TRIPS: usize = 2_000;
/// Clock ticks per second of CPU time.
const TICKS: f64 = 100.0;
const GIB: f64 = (1 << 30) as f64;

/// Measures bulk throughput and round trips over one relay and over two, relative to a direct
/// session, and the relay's CPU time.
pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let relays = [Relay::start("carol").await?, Relay::start("bob").await?];
    let [one, two] = &relays;
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    let mut cpu = 0.0;
    for hops in [vec![], vec![one.hop()], vec![two.hop(), one.hop()]] {
        let way = match hops.as_slice() {
            [] => direct().await?,
            hops => over(hops, &[one.hop()]).await?,
        };
        let pid = one.daemon.pid().context("the relay is not running")?;
        let before = process::cpu_ticks(pid)?;
        rates.push(way.bulk(options.line_mb << 20).await?);
        if hops.len() == 1 {
            let ticks = process::cpu_ticks(pid)?.saturating_sub(before);
            cpu = ticks as f64 / TICKS / ((options.line_mb << 20) as f64 / GIB);
        }
        times.push(round_trip(way).await?);
    }
    let plain = forwarder::cpu_per_gib()?;
    let detail = json!({ "MB/s": rates.iter().map(|rate| rate / 1e6).collect::<Vec<_>>(),
        "round_trip_us": times.iter().map(Duration::as_micros).collect::<Vec<_>>() });
    let [straight, first, second] = rates.as_slice() else {
        anyhow::bail!("no rates");
    };
    let [quick, slow, ..] = times.as_slice() else {
        anyhow::bail!("no times");
    };
    Ok(vec![
        Figure::new("line_bulk_one_relay", first / straight, "of direct")
            .at_least(0.45)
            .detail(detail),
        Figure::new("line_bulk_two_relays", second / straight, "of direct").at_least(0.3),
        Figure::new(
            "line_round_trip",
            slow.as_secs_f64() / quick.as_secs_f64(),
            "of direct",
        )
        .at_most(2.0),
        Figure::new("line_relay_cpu", cpu, "s/GiB")
            .detail(json!({ "plain_forwarder": plain, "ratio": cpu / plain })),
    ])
}

/// Returns the median round-trip time of 1 KiB.
async fn round_trip(way: scene::Way) -> anyhow::Result<Duration> {
    let (mut near, mut far) = (way.near, way.far);
    let echo = tokio::spawn(async move {
        while let Ok(message) = far.recv_frame().await {
            if far.send_frame(message).await.is_err() {
                break;
            }
        }
    });
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        near.send_frame(kibibyte()).await?;
        near.recv_frame().await?;
        times.push(begun.elapsed());
    }
    echo.abort();
    times.sort_unstable();
    times.get(ROUND_TRIPS / 2).copied().context("no times")
}

fn kibibyte() -> Message {
    Message::Envelope(Envelope {
        grant: Default::default(),
        sealed: vec![7; 1_024].into(),
    })
}

/// Sends `bytes` bytes from one session to the other. Returns the rate in bytes per second.
async fn bulk(from: &Session, to: &Session, bytes: usize) -> anyhow::Result<f64> {
    let receiving = async {
        let mut stream = to.accept_bulk().await?;
        let mut count = 0;
        while let Some(chunk) = stream.read_chunk(1 << 20, true).await? {
            count += chunk.bytes.len();
        }
        anyhow::Ok(count)
    };
    let sending = async {
        let mut stream = from.open_bulk().await?;
        let block = super::talker::payload(1 << 20);
        for _ in 0..bytes >> 20 {
            stream.write_all(&block).await?;
        }
        stream.finish()?;
        anyhow::Ok(())
    };
    let begun = Instant::now();
    let (count, sent) = tokio::join!(receiving, sending);
    sent?;
    anyhow::ensure!(count? == bytes, "bytes are missing");
    Ok(bytes as f64 / begun.elapsed().as_secs_f64())
}
