//! The command line of `cargo bench-e2e`.

use clap::Parser;

/// Measures real daemons on this machine and prints one JSON line per figure.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench-e2e")]
pub struct Options {
    /// Runs only these measurements: start, idle, contacts, dial, round-trip, one-way, bulk, storm,
    /// search, script-lines, script-hooks, mailbox-sessions, mailbox-cluster, mailbox-cold, mailbox-many,
    /// mailbox-purge, line-speed, line-idle, line-shares; or all of a group, such as `mailbox` or `line`.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Number of messages of the one-way measurement.
    #[arg(long, default_value_t = 20_000)]
    pub messages: usize,
    /// Number of messages of the round-trip measurement.
    #[arg(long, default_value_t = 2_000)]
    pub round_trips: usize,
    /// Content of a message, in bytes.
    #[arg(long, default_value_t = 1_024)]
    pub size: usize,
    /// Number of dials of the dial measurement.
    #[arg(long, default_value_t = 10)]
    pub dials: usize,
    /// Seconds for which an idle daemon is observed.
    #[arg(long, default_value_t = 20)]
    pub idle_seconds: u64,
    /// Number of contacts of the contacts measurement, all of them offline.
    #[arg(long, default_value_t = 200)]
    pub contacts: u16,
    /// Megabytes that the bulk measurement transfers.
    #[arg(long, default_value_t = 1_000)]
    pub bulk_mb: usize,
    /// Builds stock quinn with TLS and measures it alternately with M2.
    #[arg(long)]
    pub compare: bool,
    /// Number of rounds of a comparison.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Number of peers that dial concurrently in the storm measurement.
    #[arg(long, default_value_t = 50)]
    pub callers: usize,
    /// Number of texts of the search measurement, for each kind of script.
    #[arg(long, default_value_t = 20_000)]
    pub texts: usize,
    /// Number of letters that are deposited and collected over sessions.
    #[arg(long, default_value_t = 50_000)]
    pub deposits: u64,
    /// Number of letters per round over a NATS cluster.
    #[arg(long, default_value_t = 10_000)]
    pub clustered: u64,
    /// Number of stored letters, 100 per box, in mailbox-many and mailbox-purge. The published
    /// figures use 1000000.
    #[arg(long, default_value_t = 100_000)]
    pub letters: u64,
    /// MiB of bulk data per path in line-speed.
    #[arg(long, default_value_t = 512)]
    pub line_mb: usize,
    /// Number of idle lines in line-idle, ten per session.
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
