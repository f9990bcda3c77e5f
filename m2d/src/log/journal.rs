//! The priorities of systemd's journal (sd-daemon(3)).

use tracing::Level;

/// Whether standard error is the stream to the journal that systemd made: its environment names
/// the stream's device and inode.
#[cfg(unix)]
pub(super) fn is_stderr() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    rustix::fs::fstat(std::io::stderr())
        .is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// Only systemd has a journal.
#[cfg(not(unix))]
pub(super) fn is_stderr() -> bool {
    false
}

/// The beginning of a line of this level.
pub(super) fn prefix(level: &Level) -> &'static [u8] {
    match *level {
        Level::ERROR => b"<3>",
        Level::WARN => b"<4>",
        Level::INFO => b"<6>",
        Level::DEBUG | Level::TRACE => b"<7>",
    }
}
