//! Delivery by letter while the recipient, its provider and the sender are killed.
//!
//! In each round sender and recipient cannot reach each other: all messages go through the mailbox. At its
//! end they connect, and the sender receives the acknowledgements and new tokens.

use super::killer::{Killer, Victims};
use super::load::{Load, Sent};
use super::reader::Reader;
use super::{Options, Report, verdict};
use crate::scenario::{Api, Trio};
use anyhow::{Context as _, ensure};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Alice is 0, bob 1, carol 2. Mostly bob, the recipient, and carol, the provider, are killed.
const VICTIMS: &[Victims] = &[&[1], &[1], &[2], &[2], &[1, 2], &[0]];

/// The interval between two messages: a letter costs some tens of milliseconds on each side.
const PAUSE: Duration = Duration::from_millis(20);

/// The most messages of a round: fewer than the 64 tokens that alice has.
const IN_ROUND: u64 = 50;

/// The number of kills in a round.
const KILLS: u32 = 6;

/// Timeout for all letters: after repeated failures, a deposit is retried only after minutes.
const PATIENCE: Duration = Duration::from_secs(600);

/// Kills daemons at random while messages go through a mailbox, and checks the guarantees.
///
/// Errors: a guarantee was violated, or a daemon could not be run.
pub async fn run(options: Options) -> anyhow::Result<Report> {
    let mut trio = Trio::start().await?;
    trio.consent().await?;
    trio.use_tokens().await?;
    let (alice, bob) = trio.apis().await?;
    let reader = Reader::start(&trio.bob.socket());
    let Trio {
        alice: sending,
        bob: receiving,
        carol,
        wire,
    } = trio;
    let socket = sending.socket();
    let mut killer = Killer::new(vec![sending, receiving, carol], VICTIMS, options);
    let mut sent = Vec::new();
    while killer.report().kills < options.kills {
        // After a restart bob has no session with alice, and dials at once.
        wire.cut();
        killer.strike_one(1).await?;
        let kills = (killer.report().kills + KILLS).min(options.kills);
        let label = format!("letter-{}", sent.len());
        sent.push(round(&mut killer, kills, (&socket, label), &reader).await?);
        all_by_letter(&bob, &sent).await?;
        wire.pass_all();
        killer.strike_one(1).await?;
        alice.await_empty_outbox().await?;
    }
    let mut report = killer.report();
    judge(&alice, &bob, sent, reader, &mut report).await?;
    Ok(report)
}

/// Sends messages from the daemon with this socket while daemons are killed.
async fn round(
    killer: &mut Killer,
    kills: u32,
    (socket, label): (&PathBuf, String),
    reader: &Reader,
) -> anyhow::Result<Sent> {
    let stop = Arc::new(AtomicBool::new(false));
    let load = Load {
        socket: socket.clone(),
        to: "bob",
        stop: stop.clone(),
        pause: PAUSE,
        most: IN_ROUND,
    };
    let sender = tokio::spawn(load.one_by_one(label));
    let killed = killer.run(kills, || reader.runs()).await;
    stop.store(true, Ordering::Relaxed);
    killed?;
    sender.await?.context("the sender")
}

/// Waits until all messages have arrived, once and in order, by letter alone.
async fn all_by_letter(bob: &Api, sent: &[Sent]) -> anyhow::Result<()> {
    let texts: Vec<&str> = sent
        .iter()
        .flat_map(|sent| &sent.acknowledged)
        .map(|(text, _)| text.as_str())
        .collect();
    let start = Instant::now();
    loop {
        let received = messages(bob).await?;
        let in_order = received.iter().zip(&texts).all(|(one, other)| one == other);
        ensure!(in_order, "letters arrived twice or out of order");
        ensure!(
            received.len() <= texts.len(),
            "more messages arrived than were sent"
        );
        if received.len() == texts.len() {
            return Ok(());
        }
        let missing = texts.len() - received.len();
        ensure!(
            start.elapsed() < PATIENCE,
            "{missing} letters did not arrive"
        );
        sleep(Duration::from_millis(200)).await;
    }
}

/// Returns the received texts, without those that used tokens before the first round.
async fn messages(bob: &Api) -> anyhow::Result<Vec<String>> {
    let mut received = bob.received("alice").await?;
    received.retain(|text| text.starts_with("letter-"));
    Ok(received)
}

async fn judge(
    alice: &Api,
    bob: &Api,
    sent: Vec<Sent>,
    reader: Reader,
    report: &mut Report,
) -> anyhow::Result<()> {
    alice.await_empty_outbox().await?;
    let bobs_log = verdict::log(bob, &sent).await?;
    let alices_log = alice.log().await?;
    let (from, to) = ((alice, "bob"), (bob, "alice"));
    verdict::of_way(from, to, &sent, &alices_log, &bobs_log, report).await?;
    report.events += bobs_log.len();
    reader.saw_all(&bobs_log).await
}
