//! Accepts the connections of front-ends.

use super::connections::Connections;
use super::stream::ApiStream;
use super::unix::BoundPath;
use crate::api::may_call;
use crate::backoff::Backoff;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Sleep;
use tokio_stream::Stream;

/// Pauses after a connection that could not be accepted. Accepting again at once would keep a
/// processor busy until a descriptor is free.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(2),
};

/// Connections of front-ends. Those of other users than the daemon's own and root are few, and each of
/// their calls is refused. The stream never ends and yields no error: it goes on accepting once the
/// system allows it.
#[derive(Debug)]
pub struct Incoming {
    /// Removed before the listener closes: while it is open its inode number is not used again.
    _path: BoundPath,
    listener: UnixListener,
    own_uid: u32,
    connections: Arc<Connections>,
    failures: u32,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(super) fn new(
        path: BoundPath,
        listener: UnixListener,
        connections: Arc<Connections>,
    ) -> Self {
        Self {
            _path: path,
            listener,
            own_uid: rustix::process::geteuid().as_raw(),
            connections,
            failures: 0,
            pause: None,
        }
    }

    /// What comes of an accepted connection; `None` when it is closed at once.
    fn admit(&mut self, stream: UnixStream) -> Option<ApiStream> {
        if self.failures > 0 {
            tracing::info!("front-ends are accepted again");
            self.failures = 0;
        }
        let uid = stream.peer_cred().map(|cred| cred.uid());
        let connection = if uid.is_ok_and(|uid| may_call(uid, self.own_uid)) {
            self.connections.open(Instant::now())?
        } else {
            tracing::warn!("another user of this computer calls the daemon, and is refused");
            self.connections.open_of_others()?
        };
        Some(ApiStream::new(stream, connection))
    }

    fn wait(&mut self, error: &io::Error) {
        self.connections.failed(Instant::now());
        if self.failures == 0 {
            tracing::warn!(%error, "no connection of a front-end can be accepted; trying again");
        }
        self.failures = self.failures.saturating_add(1);
        let pause = BACKOFF.pause(self.failures, u32::MAX);
        self.pause = Some(Box::pin(tokio::time::sleep(pause)));
    }
}

impl Stream for Incoming {
    type Item = io::Result<ApiStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(pause) = &mut this.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                this.pause = None;
            }
            match std::task::ready!(this.listener.poll_accept(cx)) {
                Ok((stream, _)) => {
                    if let Some(stream) = this.admit(stream) {
                        return Poll::Ready(Some(Ok(stream)));
                    }
                }
                // The front-end went away while it waited.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => this.wait(&error),
            }
        }
    }
}
