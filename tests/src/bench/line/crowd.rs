//! Many idle lines.

use super::super::figure::Figure;
use super::super::options::Options;
use super::super::process;
use super::scene::{Party, Relay, secret};
use anyhow::Context as _;
use serde_json::json;
use std::time::{Duration, Instant};

/// Number of lines per session.
const LINES: u64 = 10;
/// The time for which the relay is observed.
const WATCH: Duration = Duration::from_secs(20);

/// Measures the relay's memory and wake-ups with the number of idle lines from the options, 10,000
/// by default.
pub(in super::super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let relay = Relay::start("carol").await?;
    let pid = relay.daemon.pid().context("the relay is not running")?;
    let empty = relay.daemon.rss_kib()?;
    let party = Party::new("alice").await?;
    let sessions = options.lines.div_ceil(LINES);
    let begun = Instant::now();
    let mut carriers = Vec::new();
    for number in 0..sessions {
        let carrier = party.carrier(&[relay.hop()]).await?;
        let secrets: Vec<_> = (0..LINES)
            .map(|line| secret(number * LINES + line))
            .collect();
        anyhow::ensure!(carrier.open(&secrets).await? == secrets.len(), "no room");
        carriers.push(carrier);
    }
    let opening = begun.elapsed();
    let rss = relay.daemon.rss_kib()?;
    let (before, ticks) = (process::context_switches(pid)?, process::cpu_ticks(pid)?);
    tokio::time::sleep(WATCH).await;
    let switches = process::switches_between(&before, &process::context_switches(pid)?);
    let ticks = process::cpu_ticks(pid)?.saturating_sub(ticks);
    let seconds = WATCH.as_secs_f64();
    let detail = json!({
        "lines": sessions * LINES,
        "sessions": sessions,
        "KiB_a_session": (rss.saturating_sub(empty)) as f64 / sessions as f64,
        "opened_in_s": opening.as_secs_f64(),
    });
    Ok(vec![
        Figure::new("line_idle_rss", rss as f64 / 1_024.0, "MiB")
            .at_most(300.0)
            .detail(detail),
        Figure::new("line_idle_wakeups", switches as f64 / seconds, "1/s")
            .detail(json!({ "of_a_core": ticks as f64 / super::TICKS / seconds })),
    ])
}
