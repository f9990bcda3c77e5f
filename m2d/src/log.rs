//! Logging: to standard error, without naming who talks to whom (spec §10).

use crate::config::LogConfig;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Never logged, whatever the filter says: they name the addresses of datagrams that could not be
/// sent, keys in the DHT and hosts in the local network, some at a level that is on by default.
const SILENT: [&str; 5] = [
    "quinn_udp=off",
    "mainline=off",
    "mdns_sd=off",
    "igd_next=off",
    "crab_nat=off",
];

/// Sets up logging for the process. Error: the filter can't be understood.
pub fn init(config: &LogConfig) -> Result<(), ParseError> {
    let mut filter = EnvFilter::builder().parse(&config.filter)?;
    for silent in SILENT {
        filter = filter.add_directive(silent.parse()?);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A subscriber that is set already belongs to a test.
    let _ = if config.json {
        builder.json().try_init()
    } else {
        builder.try_init()
    };
    Ok(())
}
