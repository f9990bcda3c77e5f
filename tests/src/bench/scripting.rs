//! The command line in scripts: a message for each line, and a command for each event.

use super::figure::Figure;
use super::options::Options;
use super::pair::Pair;
use crate::harness::{Daemon, Setup};
use crate::scenario::{Api, befriend};
use anyhow::{Context as _, ensure};
use m2_proto::api::v1::SendMessagesRequest;
use m2_proto::api::v1::send_messages_response::Result as Outcome;
use serde_json::json;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

/// The length of a line in bytes.
const LINE: usize = 100;
/// The number of events for which commands run.
const EVENTS: usize = 2_000;
/// The contacts whose events run commands.
const GUESTS: [&str; 2] = ["bob", "carol"];

/// Measures `m2 send --lines` and the streaming call alone alternately, with the same texts and keys of
/// the same form.
pub(super) async fn lines(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let pair = Pair::with_test_identities().await?;
    let api = Api::of(&pair.bob).await?;
    let lines: Vec<String> = (0..options.messages).map(line).collect();
    let directory = tempfile::tempdir()?;
    let input = directory.path().join("lines");
    std::fs::write(&input, lines.join("\n"))?;
    let (mut raw, mut m2) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        raw.push(stream(&api, &lines, &format!("raw-{round}")).await?);
        api.await_empty_outbox().await?;
        m2.push(send_lines(&pair.bob, &input).await?);
        api.await_empty_outbox().await?;
    }
    let (raw, m2) = (median(raw)?, median(m2)?);
    let per_second = |time: Duration| options.messages as f64 / time.as_secs_f64();
    let detail = json!({
        "n": options.messages,
        "size": LINE,
        "rounds": options.rounds,
        "lines_per_s": per_second(m2),
        "stream_per_s": per_second(raw),
    });
    let ratio = m2.as_secs_f64() / raw.as_secs_f64();
    let figure = Figure::new("lines_to_stream", ratio, "ratio");
    Ok(vec![figure.at_most(1.5).detail(detail)])
}

fn line(number: usize) -> String {
    format!("{number:x<LINE$}")
}

/// Sends all lines over the streaming call. Returns the time until the last answer.
async fn stream(api: &Api, lines: &[String], key: &str) -> anyhow::Result<Duration> {
    let requests = lines.iter().enumerate().map(|(number, line)| {
        let mut message = Api::text("alice", line);
        message.idempotency_key = format!("{key}:{number}");
        SendMessagesRequest {
            message: Some(message),
        }
    });
    let requests: Vec<_> = requests.collect();
    let start = Instant::now();
    let requests = tokio_stream::iter(requests);
    let answers = api.client().messages().send_messages(requests).await?;
    let mut answers = answers.into_inner();
    let mut sent = 0;
    while let Some(answer) = answers.message().await? {
        ensure!(
            matches!(answer.result, Some(Outcome::Sent(_))),
            "{answer:?}"
        );
        sent += 1;
    }
    ensure!(sent == lines.len(), "{sent} answers");
    Ok(start.elapsed())
}

/// Runs `m2 send --lines`. Returns the time from its start to its end.
async fn send_lines(daemon: &Daemon, input: &Path) -> anyhow::Result<Duration> {
    let mut command = daemon.m2_command()?;
    command.args(["--json", "send", "alice", "--lines"]);
    command.stdin(File::open(input)?).stdout(Stdio::null());
    timed(&mut command).await
}

/// Measures how many events a second `m2 listen --exec` handles, with a program that does nothing.
pub(super) async fn hooks(_: &Options) -> anyhow::Result<Vec<Figure>> {
    let host = Daemon::start(Setup::new().identity("alice")).await?;
    for name in GUESTS {
        let guest = Daemon::start(Setup::new().identity(name)).await?;
        befriend((&host, "alice"), (&guest, name)).await?;
        let api = Api::of(&guest).await?;
        let lines: Vec<String> = (0..EVENTS / GUESTS.len()).map(line).collect();
        stream(&api, &lines, "hooks").await?;
        api.await_empty_outbox().await?;
    }
    let mut figures = Vec::new();
    for (name, command, jobs) in [
        ("hooks_one_job", "/bin/true", "1"),
        ("hooks_two_jobs", "/bin/true", "2"),
        ("hooks_shell_one_job", "exit 0", "1"),
        ("hooks_shell_two_jobs", "exit 0", "2"),
    ] {
        let time = listen(&host, name, command, jobs).await?;
        let rate = EVENTS as f64 / time.as_secs_f64();
        let figure = Figure::new(name, rate, "events/s");
        let detail = json!({ "n": EVENTS, "command": command, "contacts": GUESTS.len() });
        figures.push(figure.at_least(500.0).detail(detail));
    }
    Ok(figures)
}

/// Runs a command for all events. Returns the time from the start to the last acknowledgement.
async fn listen(
    host: &Daemon,
    client: &str,
    command: &str,
    jobs: &str,
) -> anyhow::Result<Duration> {
    let mut listen = host.m2_command()?;
    listen.args(["listen", "--client", client, "--from", "start"]);
    listen.args(["--exec", command, "--jobs", jobs, "--count"]);
    timed(listen.arg(EVENTS.to_string())).await
}

/// Runs a command that must succeed. Returns how long it takes.
async fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let status = command.status().await?;
    ensure!(status.success(), "m2 failed: {status}");
    Ok(start.elapsed())
}

fn median(mut times: Vec<Duration>) -> anyhow::Result<Duration> {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied();
    middle.context("no rounds were measured")
}
