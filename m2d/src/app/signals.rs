//! The signals that the daemon handles.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// SIGXFSZ: a write exceeded the limit on file sizes.
const FILE_LIMIT: i32 = 25;

/// Makes a write beyond the file size limit fail like a write to a full disk. Without a handler the
/// signal terminates the process.
pub(super) fn survive_file_limit() -> std::io::Result<()> {
    // Tokio never removes a handler, so the receiver can be dropped.
    signal(SignalKind::from_raw(FILE_LIMIT)).map(drop)
}

/// Cancels `stop` on SIGTERM and SIGINT. Returns the reloads that SIGHUP requests; requests that arrive
/// during a reload become one.
pub(super) fn spawn(stop: CancellationToken) -> std::io::Result<mpsc::Receiver<()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (request, reloads) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => drop(request.try_send(())),
            }
        }
        stop.cancel();
    });
    Ok(reloads)
}
