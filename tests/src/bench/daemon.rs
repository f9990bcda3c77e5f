//! A daemon's start-up time, and the cost of an idle daemon.

use super::figure::Figure;
use super::options::Options;
use super::pair::Pair;
use super::process::{context_switches, cpu_ticks, switches_between};
use super::samples::Samples;
use crate::harness::{Daemon, Setup};
use anyhow::Context as _;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Number of starts that are measured.
const STARTS: usize = 20;
/// The time until a daemon counts as idle: temporary worker threads have ended by then.
const SETTLE: Duration = Duration::from_secs(12);

/// Measures the time from the start of the process to the API's first response, with an existing
/// identity.
pub(super) async fn start(_options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut daemon = Daemon::start(Setup::new().identity("alice")).await?;
    let mut samples = Samples::default();
    for _ in 0..STARTS {
        daemon.stop().await?;
        let start = Instant::now();
        daemon.restart().await?;
        samples.add(start.elapsed());
    }
    let figure = Figure::new("start_to_api", samples.percentile_ms(50), "ms");
    Ok(vec![figure.at_most(100.0).detail(samples.detail())])
}

/// Measures memory and wake-ups of a daemon with one idle session.
pub(super) async fn idle(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let pair = Pair::with_test_identities().await?;
    sleep(SETTLE).await;
    let pid = pair.alice.pid().context("alice is not running")?;
    let (switches, ticks) = (context_switches(pid)?, cpu_ticks(pid)?);
    sleep(Duration::from_secs(options.idle_seconds)).await;
    let seconds = options.idle_seconds as f64;
    let wakeups = switches_between(&switches, &context_switches(pid)?) as f64 / seconds;
    let cpu = cpu_ticks(pid)?.saturating_sub(ticks) as f64 / seconds;
    let rss = pair.alice.rss_kib()? as f64 / 1_024.0;
    let detail = json!({ "seconds": options.idle_seconds, "cpu_percent": cpu });
    Ok(vec![
        Figure::new("idle_rss", rss, "MiB").at_most(20.0),
        Figure::new("idle_wakeups", wakeups, "1/s")
            .at_most(2.0)
            .detail(detail),
    ])
}
