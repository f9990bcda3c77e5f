//! Two daemons are killed again and again while they exchange messages.
//!
//! Afterwards, every message whose call succeeded must have arrived once and in order, every
//! message whose call failed must have arrived at most once, the outboxes must be empty, and a
//! named front-end must have received every event.

mod killer;
mod letters;
mod load;
mod reader;
mod verdict;

use super::{Api, Pair};
use crate::harness::Daemon;
use anyhow::Context as _;
use killer::{Killer, Victims};
pub use letters::run as run_by_letter;
use load::{Load, PAUSE, Sent};
use reader::Reader;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// One of the two daemons, or both.
const VICTIMS: &[Victims] = &[&[0], &[0], &[1], &[1], &[0, 1]];

/// The options of a run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The minimum number of kills.
    pub kills: u32,
    /// The seed of the random choices: which daemons are killed, and when. Thread scheduling is not
    /// reproducible.
    pub seed: u64,
}

/// The result of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// The number of kills, all with SIGKILL.
    pub kills: u32,
    /// The number of kills of daemons that were still starting.
    pub while_starting: u32,
    /// The number of messages whose call succeeded; all of them arrived.
    pub acknowledged: usize,
    /// The number of messages whose call failed, but that arrived, once.
    pub failed_but_sent: usize,
    /// The number of messages whose call failed, and that did not arrive.
    pub failed: usize,
    /// The number of events in the logs that named front-ends followed; they received all of them.
    pub events: usize,
}

/// Kills two daemons at random while they exchange messages, and checks the guarantees.
///
/// Errors: a guarantee was violated, or a daemon could not be run.
pub async fn run(options: Options) -> anyhow::Result<Report> {
    let pair = Pair::start().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let sides = [
        Side::new(&pair.alice, "bob", "a", &stop),
        Side::new(&pair.bob, "alice", "b", &stop),
    ];
    let mut killer = Killer::new(vec![pair.alice, pair.bob], VICTIMS, options);
    let killed = killer
        .run(options.kills, || sides.iter().all(Side::runs))
        .await;
    stop.store(true, Ordering::Relaxed);
    killed?;
    let mut report = killer.report();
    judge(sides, &mut report).await?;
    Ok(report)
}

/// One daemon with its users: two senders and a named front-end.
#[derive(Debug)]
struct Side {
    socket: PathBuf,
    /// The name of the other side's contact at this daemon.
    other: &'static str,
    senders: Vec<JoinHandle<anyhow::Result<Sent>>>,
    reader: Reader,
}

impl Side {
    fn new(
        daemon: &Daemon,
        other: &'static str,
        label: &'static str,
        stop: &Arc<AtomicBool>,
    ) -> Self {
        let socket = daemon.socket();
        let load = Load {
            socket: socket.clone(),
            to: other,
            stop: stop.clone(),
            pause: PAUSE,
            most: u64::MAX,
        };
        Self {
            senders: vec![
                tokio::spawn(load.clone().one_by_one(format!("{label}-keyed"))),
                tokio::spawn(load.in_batches(format!("{label}-batch"))),
            ],
            reader: Reader::start(&socket),
            socket,
            other,
        }
    }

    /// Returns whether all senders and the front-end are still running.
    fn runs(&self) -> bool {
        let sending = self.senders.iter().all(|sender| !sender.is_finished());
        sending && self.reader.runs()
    }
}

async fn judge(sides: [Side; 2], report: &mut Report) -> anyhow::Result<()> {
    let mut sent = Vec::new();
    let mut ends = Vec::new();
    for side in sides {
        let mut by_side = Vec::new();
        for sender in side.senders {
            by_side.push(sender.await?.context("a sender")?);
        }
        sent.push(by_side);
        ends.push((Api::at(&side.socket).await?, side.other, side.reader));
    }
    for (api, ..) in &ends {
        api.await_empty_outbox().await?;
    }
    let [
        (alice, bob_there, alice_reader),
        (bob, alice_there, bob_reader),
    ] = ends.try_into().ok().context("two sides")?;
    let [from_alice, from_bob] = sent.try_into().ok().context("two sides")?;
    let logs = [
        verdict::log(&alice, &from_bob).await?,
        verdict::log(&bob, &from_alice).await?,
    ];
    let [alice_log, bob_log] = &logs;
    let ways = [
        (
            (&alice, bob_there),
            (&bob, alice_there),
            &from_alice,
            logs.each_ref(),
        ),
        (
            (&bob, alice_there),
            (&alice, bob_there),
            &from_bob,
            [bob_log, alice_log],
        ),
    ];
    for (sender, receiver, sent, [sender_log, receiver_log]) in ways {
        verdict::of_way(sender, receiver, sent, sender_log, receiver_log, report).await?;
    }
    for (reader, log) in [alice_reader, bob_reader].into_iter().zip(&logs) {
        report.events += log.len();
        reader.saw_all(log).await?;
    }
    Ok(())
}
