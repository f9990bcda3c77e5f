//! What `cargo bench-e2e` is asked for.

use clap::Parser;

/// Measures real daemons on this machine; prints one JSON line a figure.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench-e2e")]
pub struct Options {
    /// Only these measurements: start, idle, contacts, dial, round-trip, one-way, bulk, storm,
    /// mailbox-sessions, mailbox-cluster, mailbox-cold, mailbox-many, mailbox-purge, line-speed,
    /// line-idle, line-shares; or all whose names begin so, as `mailbox`.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Messages of the one-way measurement.
    #[arg(long, default_value_t = 20_000)]
    pub messages: usize,
    /// Messages of the round-trip measurement.
    #[arg(long, default_value_t = 2_000)]
    pub round_trips: usize,
    /// Bytes of content of a message.
    #[arg(long, default_value_t = 1_024)]
    pub size: usize,
    /// Calls of the dial measurement.
    #[arg(long, default_value_t = 10)]
    pub dials: usize,
    /// Seconds that an idle daemon is watched.
    #[arg(long, default_value_t = 20)]
    pub idle_seconds: u64,
    /// Contacts of the contacts measurement, all of them away.
    #[arg(long, default_value_t = 200)]
    pub contacts: u16,
    /// Megabytes of the bulk measurement.
    #[arg(long, default_value_t = 1_000)]
    pub bulk_mb: usize,
    /// Build stock quinn with TLS and run its bulk data in turn with ours.
    #[arg(long)]
    pub compare: bool,
    /// Rounds of such a comparison.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Peers that call at once.
    #[arg(long, default_value_t = 50)]
    pub callers: usize,
    /// Letters deposited and collected over sessions.
    #[arg(long, default_value_t = 50_000)]
    pub deposits: u64,
    /// Letters of each round over a NATS cluster.
    #[arg(long, default_value_t = 10_000)]
    pub clustered: u64,
    /// Letters that lie in a mailbox, 100 in each box, and those that are purged: 1000000 for
    /// the figures that count.
    #[arg(long, default_value_t = 100_000)]
    pub letters: u64,
    /// MiB of bulk data over each way of line-speed.
    #[arg(long, default_value_t = 512)]
    pub line_mb: usize,
    /// Idle lines of line-idle, ten in each session.
    #[arg(long, default_value_t = 10_000)]
    pub lines: u64,
}

impl Options {
    pub(super) fn wants(&self, name: &str) -> bool {
        let begins = |wanted: &String| {
            let rest = name.strip_prefix(wanted.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        self.only.is_empty() || self.only.iter().any(begins)
    }
}
