//! Benchmarks of M2 as a whole, with real daemons: `cargo bench-e2e` and `peer-bench`.

mod bulk;
mod contacts;
mod daemon;
mod delivery;
mod dial;
mod figure;
mod line;
mod mailbox;
mod net;
mod noise;
mod options;
mod pair;
pub mod peer;
mod process;
mod rsa;
mod samples;
mod scripting;
mod search;
mod storm;
mod talker;

pub use options::Options;
pub use pair::{Pair, become_contacts};
pub use samples::Samples;
pub use talker::Talker;

use figure::Figure;
use std::future::Future;
use std::pin::Pin;

type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Vec<Figure>>> + 'a>>;

/// Runs the measurements that the options select and prints one JSON line per figure. Returns true
/// if every figure that has a target met it.
///
/// Errors: a daemon does not start, or a measurement fails.
pub async fn run(options: &Options) -> anyhow::Result<bool> {
    let mut all_met = true;
    for (name, measure) in MEASUREMENTS {
        if !options.wants(name) {
            continue;
        }
        for figure in measure(options).await? {
            all_met &= figure.met();
            println!("{}", figure.json());
        }
    }
    Ok(all_met)
}

type Measure = fn(&Options) -> Running<'_>;

/// All measurements, by the name that `--only` accepts.
const MEASUREMENTS: [(&str, Measure); 20] = [
    ("start", |options| Box::pin(daemon::start(options))),
    ("idle", |options| Box::pin(daemon::idle(options))),
    ("contacts", |options| Box::pin(contacts::idle(options))),
    ("dial", |options| Box::pin(dial::measure(options))),
    ("round-trip", |options| {
        Box::pin(delivery::round_trip(options))
    }),
    ("one-way", |options| Box::pin(delivery::one_way(options))),
    ("bulk", |options| Box::pin(bulk::measure(options))),
    ("noise", |options| Box::pin(noise::measure(options))),
    ("storm", |options| Box::pin(storm::measure(options))),
    ("search", |options| Box::pin(search::measure(options))),
    ("script-lines", |options| {
        Box::pin(scripting::lines(options))
    }),
    ("script-hooks", |options| {
        Box::pin(scripting::hooks(options))
    }),
    ("mailbox-sessions", |options| {
        Box::pin(mailbox::sessions(options))
    }),
    ("mailbox-cluster", |options| {
        Box::pin(mailbox::cluster(options))
    }),
    ("mailbox-cold", |options| Box::pin(mailbox::cold(options))),
    ("mailbox-many", |options| Box::pin(mailbox::many(options))),
    ("mailbox-purge", |options| Box::pin(mailbox::purge(options))),
    ("line-speed", |options| Box::pin(line::measure(options))),
    ("line-idle", |options| Box::pin(line::idle(options))),
    ("line-shares", |options| Box::pin(line::shares(options))),
];
