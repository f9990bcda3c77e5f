//! Accepts the connections of front-ends.

use super::connections::Connections;
use super::stream::ApiStream;
use super::{ApiSocket, Socket};
use crate::access::{Access, Peer};
use m2_limits::backoff::Backoff;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;
use tokio_stream::Stream;

/// The backoff after a failure to accept a connection. Retrying at once would keep a processor busy
/// until a descriptor is free.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(200),
    longest: Duration::from_secs(2),
};

/// The stream of front-ends' connections. Users that the configuration does not name get only a few, or a
/// part of them if it lets them connect; access control decides on their requests. The stream never ends and yields no error: it
/// continues to accept once the system allows it.
#[derive(Debug)]
pub struct Incoming {
    socket: ApiSocket,
    access: Arc<Access>,
    connections: Arc<Connections>,
    failures: u32,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(super) fn new(
        socket: ApiSocket,
        connections: Arc<Connections>,
        access: Arc<Access>,
    ) -> Self {
        Self {
            socket,
            access,
            connections,
            failures: 0,
            pause: None,
        }
    }

    /// Admits an accepted connection. Returns `None` if it must be closed immediately.
    fn admit(&mut self, stream: Socket, peer: Option<Peer>) -> Option<ApiStream> {
        if self.failures > 0 {
            tracing::info!("front-ends are accepted again");
            self.failures = 0;
        }
        let users = &self.access.users;
        let connection = if peer.as_ref().is_some_and(|peer| users.is_named(peer)) {
            self.connections.open(Instant::now())?
        } else {
            if !users.is_shared() {
                tracing::warn!("a connection of another user of this computer is refused");
            }
            self.connections.open_of_others(users.is_shared())?
        };
        Some(ApiStream::new(stream, peer, connection))
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
            match std::task::ready!(this.socket.poll_accept(cx, &this.access.users)) {
                Ok((stream, peer)) => {
                    if let Some(stream) = this.admit(stream, peer) {
                        return Poll::Ready(Some(Ok(stream)));
                    }
                }
                // The front-end closed the connection while it was waiting.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => this.wait(&error),
            }
        }
    }
}
