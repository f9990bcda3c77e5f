//! Two daemons that are killed again and again while they talk.
//!
//! What must hold afterwards: every message whose call succeeded has arrived once and in order;
//! what was called in vain has arrived at most once; nothing waits any more; and a named
//! front-end saw every event.

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

/// Each of two, or both.
const VICTIMS: &[Victims] = &[&[0], &[0], &[1], &[1], &[0, 1]];

/// What a run does.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often a daemon is killed, at least.
    pub kills: u32,
    /// Decides who is killed when. The threads' timing stays the system's.
    pub seed: u64,
}

/// What a run has seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Kills, all with SIGKILL.
    pub kills: u32,
    /// Those of daemons that had not come up yet.
    pub while_starting: u32,
    /// Messages whose call succeeded; every one has arrived.
    pub acknowledged: usize,
    /// Messages whose call failed, and that arrived nevertheless (once).
    pub failed_but_sent: usize,
    /// Messages whose call failed, and that did not arrive.
    pub failed: usize,
    /// Events in both logs; the named front-ends saw each.
    pub events: usize,
}

/// Runs chaos and judges it.
///
/// Errors: a promise was broken, or the daemons could not be run.
pub async fn run(options: Options) -> anyhow::Result<Report> {
    let pair = Pair::start().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let sides = [
        Side::new(&pair.alice, "bob", "a", &stop),
        Side::new(&pair.bob, "alice", "b", &stop),
    ];
    let mut killer = Killer::new(vec![pair.alice, pair.bob], VICTIMS, options);
    let killed = killer.run(|| sides.iter().all(Side::runs)).await;
    stop.store(true, Ordering::Relaxed);
    killed?;
    let mut report = killer.report();
    judge(sides, &mut report).await?;
    Ok(report)
}

/// One daemon with who uses it: two senders and a named front-end.
#[derive(Debug)]
struct Side {
    socket: PathBuf,
    /// What the other one is called here.
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

    /// Nobody who should work has given up.
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
