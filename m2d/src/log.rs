//! Logging to standard error, or to a file if there is none. Log lines do not reveal who talks to whom
//! (docs/threat-model.md#protections). Logging never fails or blocks the program, whatever standard
//! error is.

mod file;
mod journal;
mod recent;
mod sink;

pub use m2_engine::pseudonym::{AddressPseudonym, Pseudonym};

use crate::config::LogConfig;
use file::LogFile;
use sink::Sink;
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt, reload};

/// The maximum time for which the exit of the process waits for the log to be written.
const FLUSH: Duration = Duration::from_millis(250);

/// The number of panics of this process.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Replaces the filter of the log.
type SetFilter = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// Set once logging is set up.
static SET_FILTER: OnceLock<SetFilter> = OnceLock::new();

/// The file to which the log goes; unset for standard error.
static FILE: OnceLock<PathBuf> = OnceLock::new();

/// Sends the log to a file instead of standard error. Must be called before anything is logged.
pub fn to_file(path: &Path) {
    let _ = FILE.set(path.to_owned());
}

/// Sets up logging for the process. Errors: the filter can't be parsed.
pub fn init(config: &LogConfig) -> Result<(), ParseError> {
    let (filter, handle) = reload::Layer::new(parse(&config.filter)?);
    let layer = fmt::layer()
        .with_writer(sink().clone())
        .with_ansi(FILE.get().is_none() && io::stderr().is_terminal())
        .log_internal_errors(false);
    let layer = if config.json {
        layer.json().boxed()
    } else {
        layer.boxed()
    };
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(filter)
        .with(filter_fn(is_own));
    // A subscriber that is already set belongs to a test.
    if subscriber.try_init().is_ok() {
        // The subscriber lives as long as the process, so the filter can be replaced.
        let set: SetFilter = Box::new(move |filter| drop(handle.reload(filter)));
        let _ = SET_FILTER.set(set);
    }
    panic::set_hook(Box::new(note_panic));
    Ok(())
}

/// Replaces the filter while the process runs. Errors: the filter can't be parsed; then the one from
/// before stays.
pub fn set_filter(filter: &str) -> Result<(), ParseError> {
    let filter = parse(filter)?;
    if let Some(set) = SET_FILTER.get() {
        set(filter);
    }
    Ok(())
}

fn parse(filter: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().parse(filter)
}

/// Writes the last line of a process that fails, after the lines that are still queued.
pub fn fatal(line: &str) {
    sink().write(&Level::ERROR, format!("{line}\n").as_bytes());
    flush();
}

/// Waits until the log is written, up to a short limit: its reader may be gone or hang.
pub fn flush() {
    sink().flush(FLUSH);
}

/// Returns the last lines of level info and above, oldest first, for a bug report.
pub fn recent() -> Vec<String> {
    sink().recent()
}

/// Returns the number of tasks and threads of this process that have panicked.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

fn sink() -> &'static Sink {
    static SINK: OnceLock<Sink> = OnceLock::new();
    SINK.get_or_init(|| match FILE.get() {
        Some(path) => Sink::start(LogFile::open(path), false),
        None => Sink::start(io::stderr(), journal::is_stderr()),
    })
}

/// Returns whether an event or span is of the project's own crates. Libraries log addresses, keys in
/// the DHT and hosts of the local network, some at a level that is on by default; the configured
/// filter can't enable them.
fn is_own(metadata: &Metadata<'_>) -> bool {
    let name = metadata.target().split("::").next().unwrap_or_default();
    name == "m2d" || name.starts_with("m2_")
}

/// Logs the location of a panic. Its message is logged at debug level only, because it may contain
/// private data.
fn note_panic(info: &PanicHookInfo<'_>) {
    PANICS.fetch_add(1, Ordering::Relaxed);
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(thread = name, place, "panicked: this is a bug of m2d");
    tracing::debug!(message = info.payload_as_str(), "the panic's message");
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::subscriber::with_default;
    use tracing_subscriber::fmt::TestWriter;

    /// Checks which events pass the filters.
    #[test]
    fn no_filter_enables_libraries() {
        #[allow(clippy::unwrap_used)]
        let filter = EnvFilter::builder()
            .parse("trace,quinn_proto::connection=trace,mainline=trace")
            .unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(fmt::layer().with_writer(TestWriter::new()))
            .with(filter)
            .with(filter_fn(is_own));
        with_default(subscriber, || {
            assert!(tracing::enabled!(target: "m2_net::gate", Level::TRACE));
            assert!(tracing::enabled!(target: "m2_sqlite::pace", Level::ERROR));
            assert!(!tracing::enabled!(target: "quinn_proto::connection", Level::ERROR));
            assert!(!tracing::enabled!(target: "mainline", Level::ERROR));
            assert!(!tracing::enabled!(target: "m2d_other", Level::ERROR));
        });
    }
}
