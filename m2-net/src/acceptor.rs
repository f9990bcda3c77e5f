//! Who calls: decides which calls are answered, and carries those through the handshake
//! (spec §2, §3). Unwanted calls are ignored, never refused: a refusal is an answer.

use crate::address_token::UsedTokens;
use crate::counters::{Counter, Counters};
use crate::endpoint::Limits;
use crate::gate::Gate;
use crate::key_pool::{KeyPool, Priority};
use crate::line::Carriers;
use crate::prefix_limit::PrefixLimiter;
use crate::quic_crypto::AnswerCrypto;
use crate::replay_memory::{Remembered, ReplayMemory};
use crate::session::{CloseCode, Greeting, Session};
use futures_util::FutureExt as _;
use m2_crypto::initial::MAX_CID_LEN;
use quinn::{Connecting, Connection, Incoming, ServerConfig};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

/// A call that waited longer for its turn is ignored; the caller will have tried again.
const TURN_LIMIT: Duration = Duration::from_secs(3);

/// A handshake keeps its turn for at most this time: a caller far away, or one that is silent
/// on purpose, must not keep the turns from the others.
const TURN_HELD: Duration = Duration::from_millis(100);

/// Calls that may wait for a key, and how long: while the pool is empty for a moment, as when both
/// sides have just started. All others are ignored at once.
pub(crate) const MAX_HELD: usize = 4;
const HELD: Duration = Duration::from_secs(2);

/// Answers the calls of all sockets of an endpoint.
pub(crate) struct Acceptor {
    pub(crate) gate: Arc<Gate>,
    pub(crate) crypto: Arc<AnswerCrypto>,
    pub(crate) config: ServerConfig,
    pub(crate) keys: Arc<KeyPool>,
    pub(crate) replay: ReplayMemory,
    pub(crate) tokens: Arc<UsedTokens>,
    pub(crate) prefixes: Mutex<PrefixLimiter>,
    pub(crate) turns: Arc<Semaphore>,
    pub(crate) held: Semaphore,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
    pub(crate) greeting: Greeting,
    pub(crate) ready: mpsc::Sender<Session>,
    pub(crate) carriers: Arc<Carriers>,
}

/// What to do with a call before any RSA work.
enum Decision {
    Answer,
    Retry,
    Ignore(Counter),
}

impl Acceptor {
    /// Serves one socket of the network until it is closed.
    pub(crate) async fn run(self: Arc<Self>, socket: quinn::Endpoint) {
        self.serve(&socket).await;
        if !self.turns.is_closed() {
            tracing::error!("a network socket failed: restart the daemon");
        }
    }

    /// Serves one socket, of the network or of a line, until it is closed.
    pub(crate) async fn serve(self: &Arc<Self>, socket: &quinn::Endpoint) {
        while let Some(call) = socket.accept().await {
            let open = socket.open_connections();
            match self.decide(&call, open) {
                Decision::Answer => self.answer(call),
                Decision::Retry => self.retry(call),
                Decision::Ignore(reason) => self.ignore(call, reason),
            }
        }
    }

    /// No further call is answered.
    pub(crate) fn stop(&self) {
        self.gate.close_to_callers();
        self.turns.close();
    }

    fn decide(&self, call: &Incoming, open_sessions: usize) -> Decision {
        let original_id = call.orig_dst_cid();
        // A first packet goes to an id of 20 bytes, and a Retry token names one. An id of ours
        // here is a packet that was played again or made up after its session.
        if original_id.len() != MAX_CID_LEN {
            return Decision::Ignore(Counter::CallStray);
        }
        if self.replay.is_repeat(&original_id) {
            return Decision::Ignore(Counter::CallReplayed);
        }
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        if in_flight >= self.limits.waiting || open_sessions >= self.limits.sessions {
            return Decision::Ignore(Counter::CallOverload);
        }
        let under_load = in_flight >= self.limits.retry_above;
        if under_load && !call.remote_address_validated() && call.may_retry() {
            return Decision::Retry;
        }
        if !self.allow_prefix(call) {
            return Decision::Ignore(Counter::CallPrefixLimited);
        }
        Decision::Answer
    }

    fn allow_prefix(&self, call: &Incoming) -> bool {
        self.prefixes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .allow(call.remote_address().ip(), self.greeting.clock.unix_ms())
    }

    fn retry(&self, call: Incoming) {
        self.counters.count(Counter::CallRetried);
        if let Err(error) = call.retry() {
            error.into_incoming().ignore();
        }
    }

    fn ignore(&self, call: Incoming, reason: Counter) {
        self.counters.count(reason);
        call.ignore();
    }

    fn answer(self: &Arc<Self>, call: Incoming) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let acceptor = Arc::clone(self);
        tokio::spawn(async move {
            let connection = acceptor.handshake(call).await;
            acceptor.in_flight.fetch_sub(1, Ordering::Relaxed);
            if let Some(connection) = connection {
                acceptor.greet(connection).await;
            }
        });
    }

    async fn handshake(&self, call: Incoming) -> Option<Connection> {
        if !self.has_key(self.priority(&call)).await {
            self.ignore(call, Counter::CallNoKey);
            return None;
        }
        let turn = timeout(TURN_LIMIT, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            self.ignore(call, Counter::CallOverload);
            return None;
        };
        let connecting = self.begin(call)?;
        let connection = complete(connecting, turn, self.limits.handshake).await;
        if connection.is_none() {
            self.counters.count(Counter::CallFailed);
        }
        connection
    }

    /// Whether there is a key for such a caller, or will be in a moment.
    async fn has_key(&self, priority: Priority) -> bool {
        let mut ready = pin!(self.keys.serves(priority));
        if ready.as_mut().now_or_never().is_some() {
            return true;
        }
        let Ok(_held) = self.held.try_acquire() else {
            return false;
        };
        timeout(HELD, ready).await.is_ok()
    }

    /// Takes a key, writes the call down, and only then answers.
    fn begin(&self, call: Incoming) -> Option<Connecting> {
        let original_id = call.orig_dst_cid();
        let Some(key) = self.keys.take(self.priority(&call)) else {
            self.ignore(call, Counter::CallNoKey);
            return None;
        };
        match self
            .replay
            .remember(&original_id, self.greeting.clock.unix_s())
        {
            Remembered::Fresh => {}
            Remembered::Unwritten => {
                self.ignore(call, Counter::ReplayLogFailed);
                return None;
            }
            Remembered::Repeat => {
                self.ignore(call, Counter::CallReplayed);
                return None;
            }
        }
        let config = self.crypto.with_key(key).accept_config(&self.config);
        match call.accept_with(config) {
            Ok(connecting) => Some(connecting),
            Err(_) => {
                self.counters.count(Counter::CallFailed);
                None
            }
        }
    }

    /// A token from an earlier session opens the kept half of the pool; a Retry does not.
    fn priority(&self, call: &Incoming) -> Priority {
        if call.remote_address_validated() && !self.tokens.was_retried(&call.orig_dst_cid()) {
            Priority::Known
        } else {
            Priority::Stranger
        }
    }

    async fn greet(&self, connection: Connection) {
        let counters = Arc::clone(&self.counters);
        let greeted = Session::answer(connection.clone(), &self.greeting, counters);
        match timeout(self.limits.handshake, greeted).await {
            Ok(Ok(session)) => {
                self.counters.count(Counter::SessionAccepted);
                self.carriers.bind(&session);
                // Fails when the endpoint is gone; the session goes with it.
                let _ = self.ready.send(session).await;
            }
            _ => {
                self.counters.count(Counter::HelloFailed);
                connection.close(CloseCode::NoHello.into(), &[]);
            }
        }
    }
}

async fn complete(
    connecting: Connecting,
    turn: OwnedSemaphorePermit,
    limit: Duration,
) -> Option<Connection> {
    let mut done = pin!(timeout(limit, connecting));
    let early = tokio::select! {
        result = &mut done => Some(result),
        () = sleep(TURN_HELD) => None,
    };
    drop(turn);
    let result = match early {
        Some(result) => result,
        None => done.await,
    };
    result.ok()?.ok()
}
