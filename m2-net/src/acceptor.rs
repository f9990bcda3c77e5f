//! Accepts incoming connection attempts: decides which are answered, and completes their handshakes
//! (docs/spec/obfuscation.md#calls-under-load). Unwanted attempts are ignored, never refused: a
//! refusal is an answer.

use crate::callers::Callers;
use crate::counters::{Counter, Counters};
use crate::crossing::{Answering, Crossing};
use crate::decided::{Attempt, Decided};
use crate::gate::Gate;
use crate::key_pool::{KeyPool, Priority};
use crate::limits::Limits;
use crate::line::Carriers;
use crate::quic_crypto::{AnswerCrypto, Unused};
use crate::replay_memory::{Remembered, ReplayMemory};
use crate::session::{CloseCode, HelloTemplate, Session};
use m2_crypto::PeerId;
use m2_crypto::initial::MAX_CID_LEN;
use m2_crypto::session_key::SessionKeyPair;
use m2_limits::prefix_limit::PrefixLimiter;
use quinn::{Connecting, Connection, Incoming, ServerConfig};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};

/// How long an attempt waits for its turn. After that it is ignored; the caller will have
/// retransmitted.
const TURN_LIMIT: Duration = Duration::from_secs(3);

/// How long a handshake keeps its turn: a distant caller, or one that stays silent on purpose, must
/// not block the turns of others.
const TURN_HELD: Duration = Duration::from_millis(100);

/// The number of attempts, of contacts and of others each, that may wait for a key while the pool
/// is empty, as after a start, and how long they wait. All others are ignored at once. An attempt
/// that gets no key keeps its Retry token, and its next packet waits again.
const MAX_HELD: usize = 32;
const HELD: Duration = Duration::from_secs(2);

/// Accepts the connection attempts on all sockets of an endpoint.
pub(crate) struct Acceptor {
    pub(crate) gate: Arc<Gate>,
    pub(crate) crypto: Arc<AnswerCrypto>,
    pub(crate) config: ServerConfig,
    pub(crate) keys: Arc<KeyPool>,
    pub(crate) replay: Arc<ReplayMemory>,
    pub(crate) callers: Arc<Callers>,
    pub(crate) crossing: Arc<Crossing>,
    pub(crate) own_id: PeerId,
    pub(crate) prefixes: Mutex<PrefixLimiter>,
    pub(crate) decided: Mutex<Decided>,
    pub(crate) queues: Queues,
    pub(crate) in_flight: AtomicUsize,
    pub(crate) limits: Limits,
    pub(crate) counters: Arc<Counters>,
    pub(crate) greeting: HelloTemplate,
    pub(crate) ready: mpsc::Sender<Session>,
    pub(crate) carriers: Arc<Carriers>,
}

/// The queues of connection attempts. Strangers can't fill them.
pub(crate) struct Queues {
    turns: Arc<Semaphore>,
    /// The turns available to strangers, one less than the total.
    turns_of_strangers: Arc<Semaphore>,
    held_contacts: Semaphore,
    held_strangers: Semaphore,
}

impl Queues {
    /// Creates queues for `turns` concurrent handshakes, at least two.
    pub(crate) fn new(turns: usize) -> Self {
        let turns = turns.max(2);
        Self {
            turns: Arc::new(Semaphore::new(turns)),
            turns_of_strangers: Arc::new(Semaphore::new(turns - 1)),
            held_contacts: Semaphore::new(MAX_HELD),
            held_strangers: Semaphore::new(MAX_HELD),
        }
    }

    const fn held(&self, priority: Priority) -> &Semaphore {
        match priority {
            Priority::Stranger => &self.held_strangers,
            Priority::Known | Priority::Own => &self.held_contacts,
        }
    }

    /// Waits for a turn; `None` when the endpoint stops.
    async fn turn(&self, priority: Priority) -> Option<Turn> {
        let limited = match priority {
            Priority::Stranger => Some(
                Arc::clone(&self.turns_of_strangers)
                    .acquire_owned()
                    .await
                    .ok()?,
            ),
            Priority::Known | Priority::Own => None,
        };
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        Some(Turn {
            _turn: turn,
            _limited: limited,
        })
    }
}

/// The right to do RSA work, until it is dropped.
struct Turn {
    _turn: OwnedSemaphorePermit,
    _limited: Option<OwnedSemaphorePermit>,
}

/// The decision about a connection attempt, before any RSA work.
enum Decision {
    /// `None` for a stranger.
    Answer(Option<Answering>),
    Retry,
    Ignore(Counter),
}

impl Acceptor {
    /// Serves one network socket until it is closed.
    pub(crate) async fn run(self: Arc<Self>, socket: quinn::Endpoint) {
        self.serve(&socket).await;
        if !self.queues.turns.is_closed() {
            tracing::error!("a network socket failed: restart the daemon");
        }
    }

    /// Serves one socket, of the network or of a line, until it is closed.
    pub(crate) async fn serve(self: &Arc<Self>, socket: &quinn::Endpoint) {
        while let Some(call) = socket.accept().await {
            if self.is_decided(&call) {
                call.ignore();
                continue;
            }
            let open = socket.open_connections();
            match self.decide(&call, open) {
                Decision::Answer(contact) => self.answer(call, contact),
                Decision::Retry => self.retry(call),
                Decision::Ignore(reason) => self.ignore(call, reason),
            }
        }
    }

    /// Stops answering connection attempts.
    pub(crate) fn stop(&self) {
        self.gate.close_to_callers();
        self.queues.turns.close();
    }

    fn decide(&self, call: &Incoming, open_sessions: usize) -> Decision {
        let original_id = call.orig_dst_cid();
        // The first packet of an attempt goes to an id of 20 bytes, and a Retry token names one. A
        // local id here means that the packet was replayed or forged after its session.
        if original_id.len() != MAX_CID_LEN {
            return Decision::Ignore(Counter::DialStray);
        }
        if self.replay.is_repeat(&original_id) {
            return Decision::Ignore(Counter::DialReplayed);
        }
        let caller = self.callers.call(&original_id);
        let priority = priority(&caller);
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        if in_flight >= share(self.limits.waiting, priority)
            || open_sessions >= share(self.limits.sessions, priority)
        {
            return Decision::Ignore(Counter::DialOverload);
        }
        if let Some(caller) = caller {
            // Contacts are rate-limited individually.
            let now = Instant::now();
            return match self.crossing.try_answer(&self.own_id, caller, now) {
                Some(answering) => Decision::Answer(Some(answering)),
                None => Decision::Ignore(Counter::DialCrossed),
            };
        }
        let under_load = in_flight >= self.limits.retry_above;
        if under_load && !call.remote_address_validated() && call.may_retry() {
            return Decision::Retry;
        }
        if !self.allow_prefix(call) {
            return Decision::Ignore(Counter::DialPrefixLimited);
        }
        Decision::Answer(None)
    }

    fn allow_prefix(&self, call: &Incoming) -> bool {
        self.prefixes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .allow(call.remote_address().ip(), self.greeting.clock.unix_ms())
    }

    /// Returns whether a packet belongs to an attempt that was ignored or answered with a Retry a
    /// moment ago.
    fn is_decided(&self, call: &Incoming) -> bool {
        attempt(call).is_some_and(|attempt| self.decided().contains(&attempt, Instant::now()))
    }

    fn note_decided(&self, call: &Incoming) {
        if let Some(attempt) = attempt(call) {
            self.decided().insert(attempt, Instant::now());
        }
    }

    fn decided(&self) -> MutexGuard<'_, Decided> {
        // No update under this lock can be interrupted halfway.
        self.decided.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retry(&self, call: Incoming) {
        self.counters.count(Counter::DialRetried);
        self.note_decided(&call);
        if let Err(error) = call.retry() {
            error.into_incoming().ignore();
        }
    }

    fn ignore(&self, call: Incoming, reason: Counter) {
        self.counters.count(reason);
        self.note_decided(&call);
        call.ignore();
    }

    fn answer(self: &Arc<Self>, call: Incoming, contact: Option<Answering>) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let acceptor = Arc::clone(self);
        let priority = priority(&contact);
        tokio::spawn(async move {
            let connection = acceptor.handshake(call, priority).await;
            acceptor.in_flight.fetch_sub(1, Ordering::Relaxed);
            if let Some(connection) = connection {
                acceptor.greet(connection).await;
            }
            // The session was handed out: the contact may be dialled again.
            drop(contact);
        });
    }

    async fn handshake(&self, call: Incoming, priority: Priority) -> Option<Connection> {
        let Some(key) = self.key(priority).await else {
            self.ignore(call, Counter::DialNoKey);
            return None;
        };
        let Ok(Some(turn)) = timeout(TURN_LIMIT, self.queues.turn(priority)).await else {
            self.keys.give_back(key);
            self.ignore(call, Counter::DialOverload);
            return None;
        };
        let connecting = self.begin(call, key)?;
        if priority == Priority::Known {
            self.counters.count(Counter::DialKnown);
        }
        let connection = complete(connecting, turn, self.limits.handshake).await;
        if connection.is_none() {
            self.counters.count(Counter::DialFailed);
        }
        connection
    }

    /// Returns a key for a caller of this priority, if there is one or will be shortly.
    async fn key(&self, priority: Priority) -> Option<SessionKeyPair> {
        if let Some(key) = self.keys.take(priority) {
            return Some(key);
        }
        let _held = self.queues.held(priority).try_acquire().ok()?;
        self.keys.wait_as(priority, HELD).await
    }

    /// Records the attempt in the replay log, which spends its Retry token, and only then answers.
    fn begin(&self, call: Incoming, key: SessionKeyPair) -> Option<Connecting> {
        let original_id = call.orig_dst_cid();
        let now_s = self.greeting.clock.unix_s();
        let refused = match self.replay.remember(&original_id, now_s) {
            Remembered::Fresh => None,
            Remembered::Unwritten => Some(Counter::ReplayLogFailed),
            Remembered::Repeat => Some(Counter::DialReplayed),
        };
        if let Some(reason) = refused {
            self.keys.give_back(key);
            self.ignore(call, reason);
            return None;
        }
        let config = self
            .crypto
            .with_key(key, self.unread())
            .accept_config(&self.config);
        match call.accept_with(config) {
            Ok(connecting) => Some(connecting),
            Err(_) => {
                self.counters.count(Counter::DialFailed);
                None
            }
        }
    }

    /// Returns a callback that takes the key of an attempt whose Hello was never complete: no peer has
    /// seen it.
    fn unread(&self) -> Unused {
        let keys = Arc::downgrade(&self.keys);
        Arc::new(move |key| {
            if let Some(keys) = keys.upgrade() {
                keys.give_back(key);
            }
        })
    }

    async fn greet(&self, connection: Connection) {
        let counters = Arc::clone(&self.counters);
        let greeted = Session::answer(connection.clone(), &self.greeting, counters);
        match timeout(self.limits.handshake, greeted).await {
            Ok(Ok(session)) => {
                self.counters.count(Counter::SessionAccepted);
                self.carriers.bind(&session);
                // Fails if the endpoint is gone; the session ends with it.
                let _ = self.ready.send(session).await;
            }
            _ => {
                self.counters.count(Counter::HelloFailed);
                connection.close(crate::ending::on_wire(CloseCode::NoHello), &[]);
            }
        }
    }
}

/// Returns what identifies an attempt; `None` for a stray packet.
fn attempt(call: &Incoming) -> Option<Attempt> {
    let original_id = <[u8; MAX_CID_LEN]>::try_from(&*call.orig_dst_cid()).ok()?;
    Some(Attempt {
        original_id,
        address: call.remote_address(),
        has_answered_retry: call.remote_address_validated(),
    })
}

/// Returns the priority of a caller. A contact that proved its identity in its first packet may use
/// the reserved half of the pool, also after a Retry.
const fn priority<T>(caller: &Option<T>) -> Priority {
    match caller {
        Some(_) => Priority::Known,
        None => Priority::Stranger,
    }
}

/// Returns the part of a limit that a caller may use: a quarter of each is reserved for contacts.
const fn share(limit: usize, priority: Priority) -> usize {
    match priority {
        Priority::Stranger => limit - limit / 4,
        Priority::Known | Priority::Own => limit,
    }
}

async fn complete(connecting: Connecting, turn: Turn, limit: Duration) -> Option<Connection> {
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
