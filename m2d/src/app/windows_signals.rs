//! The events of the console and the requests of the service manager that the daemon handles.

use crate::service;
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Does nothing: Windows has no limit on file sizes.
#[allow(clippy::unnecessary_wraps, reason = "other systems return an error")]
pub(super) fn survive_file_limit() -> std::io::Result<()> {
    Ok(())
}

/// Cancels `stop` on Ctrl-C, Ctrl-Break, and when the console is closed, its user logs off, or the computer
/// shuts down. A service gets the requests of the service manager instead, as its console outlives users.
/// Returns the reloads that the service manager requests; requests that arrive during a reload become one.
pub(super) fn spawn(stop: CancellationToken) -> std::io::Result<mpsc::Receiver<()>> {
    let (request, reloads) = mpsc::channel(1);
    if service::attach(stop.clone(), request.clone()) {
        return Ok(reloads);
    }
    let (mut interrupt, mut pressed_break) = (ctrl_c()?, ctrl_break()?);
    let (mut close, mut logoff, mut shutdown) = (ctrl_close()?, ctrl_logoff()?, ctrl_shutdown()?);
    tokio::spawn(async move {
        // The reloads end with the daemon, not before it.
        let _request = request;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = pressed_break.recv() => {}
            _ = close.recv() => {}
            _ = logoff.recv() => {}
            _ = shutdown.recv() => {}
        }
        stop.cancel();
    });
    Ok(reloads)
}
