//! Serves connections, a bounded number at once.

use crate::listen::{Listener, Stream};
use crate::signals;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// The most connections at once. Further ones wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;
/// How long a program may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of the head of a request, and of what is read ahead.
const MAX_BUFFER: usize = 64 * 1024;
/// How long running requests may take to finish.
const DRAIN: Duration = Duration::from_secs(2);
/// The pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until SIGTERM or SIGINT, on Windows until Ctrl-C or the console ends, then drains running requests within a deadline.
///
/// Errors: signals can't be received.
pub(crate) async fn serve(listener: Listener, router: Router) -> io::Result<()> {
    let mut ended = std::pin::pin!(signals::ended()?);
    let (stop, stopped) = watch::channel(false);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut ended => break,
            (stream, slot) = next(&listener, &slots) => {
                connections.spawn(converse(stream, slot, router.clone(), stopped.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
    Ok(())
}

/// Accepts a connection once there is a slot for it. Cancel-safe.
async fn next(
    listener: &Listener,
    slots: &Arc<Semaphore>,
) -> (Box<dyn Stream>, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let slot = slots.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok(stream) => return (stream, slot),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(
    stream: Box<dyn Stream>,
    _slot: Option<OwnedSemaphorePermit>,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let stop = async move {
        let _ = stopped.wait_for(|stopped| *stopped).await.is_ok();
    };
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}
