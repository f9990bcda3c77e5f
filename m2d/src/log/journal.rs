//! The priority prefixes of systemd's journal (sd-daemon(3)).

use tracing::Level;

/// Returns whether standard error is systemd's stream to the journal, whose device and inode the
/// environment variable names.
#[cfg(unix)]
pub(super) fn is_stderr() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Returns false: only systemd has a journal.
#[cfg(not(unix))]
pub(super) fn is_stderr() -> bool {
    false
}

/// Returns the prefix for lines of this level.
pub(super) fn prefix(level: &Level) -> &'static [u8] {
    match *level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        Level::DEBUG | Level::TRACE => b"<7>",
    }
}
