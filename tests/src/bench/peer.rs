//! M2 as one of several messaging systems measured by the same driver: side A listens, side B dials
//! and reports. A prints `READY <args>`. B gets these arguments, prints one line `EV …` per phase,
//! and reads a line after each.

use super::pair::{add, invite, keys_full};
use super::samples::Samples;
use super::talker::{Talker, payload};
use crate::harness::{Daemon, Setup};
use anyhow::{Context as _, ensure};
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::send_messages_response::Result as Outcome;
use std::env;
use std::io::Write as _;
use std::time::Instant;
use tokio::io::{AsyncBufReadExt as _, BufReader, Stdin};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Content of a message in the bulk phase, in bytes.
const BULK_CHUNK: usize = 48 * 1_024;

/// Runs side A: a daemon with a reusable invitation, until it is interrupted.
///
/// Errors: the daemon does not start.
pub async fn listen() -> anyhow::Result<()> {
    let daemon = Daemon::start(Setup::new().identity("alice")).await?;
    let api = daemon.client().await?;
    keys_full(&api).await?;
    say(&format!("READY {}", invite(&api).await?))?;
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// Runs side B: a daemon that dials A and measures the exchange with it.
///
/// Errors: the daemon does not start, or a message is not delivered.
pub async fn dial(invitation: &str) -> anyhow::Result<()> {
    let daemon = Daemon::start(Setup::new().identity("bob")).await?;
    let api = daemon.client().await?;
    keys_full(&api).await?;
    let mut driver = Driver::new();
    let mut talker = Talker::new(&api, "alice").await?;
    let data = payload(number("SIZE", 1_024));
    let start = Instant::now();
    add(&api, invitation).await?;
    while !matches!(talker.next_event().await?, Kind::ContactAdded(_)) {}
    talker.deliver(&data).await?;
    let dial_ms = start.elapsed().as_secs_f64() * 1_000.0;
    driver
        .report(&format!("FIRST dial_ms={dial_ms:.3}"))
        .await?;
    round_trips(&mut talker, &mut driver, &data).await?;
    let count = number("N_PIPE", 10_000);
    let seconds = pipeline(&mut talker, count, &data).await?;
    let rate = count as f64 / seconds;
    let report = format!("PIPE n={count} secs={seconds:.4} msgs_s={rate:.1}");
    driver.report(&report).await?;
    let chunks = number("N_BULK", 100_000_000).div_ceil(BULK_CHUNK);
    let seconds = pipeline(&mut talker, chunks, &payload(BULK_CHUNK)).await?;
    let bytes = chunks * BULK_CHUNK;
    let rate = bytes as f64 / seconds / 1e6;
    let report = format!("BULK bytes={bytes} secs={seconds:.4} MB_s={rate:.2}");
    driver.report(&report).await?;
    driver.report("END").await
}

async fn round_trips(talker: &mut Talker, driver: &mut Driver, data: &[u8]) -> anyhow::Result<()> {
    let mut samples = Samples::default();
    for _ in 0..number("N_RTT", 1_000) {
        let start = Instant::now();
        talker.deliver(data).await?;
        samples.add(start.elapsed());
    }
    let us = |percent| samples.percentile_ms(percent) * 1_000.0;
    let report = format!(
        "RTT n={} p50_us={:.1} p99_us={:.1} mean_us={:.1}",
        samples.count(),
        us(50),
        us(99),
        samples.mean_ms() * 1_000.0
    );
    driver.report(&report).await
}

/// Sends `count` messages with at most `WINDOW` of them undelivered. Returns the time in seconds.
async fn pipeline(talker: &mut Talker, count: usize, data: &[u8]) -> anyhow::Result<f64> {
    let window = number("WINDOW", 256);
    let request = talker.stream_request(data);
    let (requests, stream) = mpsc::channel(window);
    let api = talker.api().clone();
    let start = Instant::now();
    let answers = tokio::spawn(async move {
        let stream = ReceiverStream::new(stream);
        let mut responses = api.messages().send_messages(stream).await?.into_inner();
        while let Some(response) = responses.message().await? {
            let result = response.result.context("an empty response")?;
            ensure!(matches!(result, Outcome::Sent(_)), "{result:?}");
        }
        Ok(())
    });
    for _ in 0..window.min(count) {
        requests.send(request.clone()).await?;
    }
    for delivered in 1..=count {
        talker.next_delivered().await?;
        if delivered + window <= count {
            requests.send(request.clone()).await?;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    drop(requests);
    answers.await??;
    Ok(seconds)
}

/// The driver, which reads the reports and allows each next phase.
struct Driver(BufReader<Stdin>);

impl Driver {
    fn new() -> Self {
        Self(BufReader::new(tokio::io::stdin()))
    }

    /// Reports a phase and waits for permission to continue.
    async fn report(&mut self, event: &str) -> anyhow::Result<()> {
        say(&format!("EV {event}"))?;
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        Ok(())
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

fn number(variable: &str, default: usize) -> usize {
    let value = env::var(variable).ok().and_then(|text| text.parse().ok());
    value.unwrap_or(default)
}
