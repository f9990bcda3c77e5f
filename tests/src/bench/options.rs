//! What `cargo bench-e2e` is asked for.

use clap::Parser;

/// Measures real daemons on this machine; prints one JSON line a figure.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench-e2e")]
pub struct Options {
    /// Only these measurements: start, idle, dial, round-trip, one-way, bulk, storm.
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
    /// Seconds that the idle daemon is watched.
    #[arg(long, default_value_t = 20)]
    pub idle_seconds: u64,
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
}

impl Options {
    pub(super) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}
