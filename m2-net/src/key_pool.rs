//! A pool of fresh RSA-2048 key pairs, generated ahead of time
//! (docs/spec/obfuscation.md#calls-under-load).
//!
//! In memory only. A low-priority thread refills the pool, so that no key is generated while a
//! handshake waits. While the pool is not low, the thread also waits until no key was taken for a
//! moment, so that it does not compete with the handshake that uses the key. A second thread helps
//! only while a dial of this daemon or a contact waits for a key. Half of the pool is reserved for
//! contacts: half of the largest number that was ever ready, so that a large pool serves strangers
//! while it fills.

use crate::canary::Canary;
use m2_crypto::Provider;
use m2_crypto::session_key::SessionKeyPair;
use rand_core::UnwrapErr;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The pool size of a personal daemon.
pub const PERSONAL_SIZE: usize = 16;
/// The pool size of a relay or mailbox.
pub const ROLE_SIZE: usize = 1_000;

/// The first keys are generated at normal priority: a daemon without keys can't accept sessions.
const FIRST_KEYS: usize = 4;

/// A pool that is not low is refilled after this time without a handshake that took a key. A dial
/// and its first messages take a tenth of it.
const QUIET: Duration = Duration::from_millis(300);
/// The longest time for which the refill is delayed, however many handshakes there are.
const LONGEST_DELAY: Duration = Duration::from_secs(1);

/// How long the thread pauses after a key could not be generated.
const FAILURE_REST: Duration = Duration::from_secs(1);

/// The priority of a request for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// A caller that did not prove to be a contact: served from the unreserved half of the pool
    /// only.
    Stranger,
    /// A caller proved to be a contact by the token of its first packet.
    Known,
    /// A dial of this daemon.
    Own,
}

/// The pool. Dropping it stops its threads.
pub struct KeyPool {
    shared: Arc<Shared>,
    canary: Canary,
}

struct Shared {
    state: Mutex<State>,
    wanted: usize,
    /// Wakes the refill thread: a key was taken, or the pool stops.
    taken: Condvar,
    /// Wakes the helper thread: a request with priority waits, or the pool stops.
    urgent: Condvar,
    /// Wakes the tasks that wait for a key.
    made: Notify,
}

#[derive(Default)]
struct State {
    keys: VecDeque<SessionKeyPair>,
    /// The largest number of keys that was ever ready. While the pool fills for the first time,
    /// strangers need not wait until it is half full.
    most: usize,
    /// The number of dials of this daemon and of contacts that wait for a key.
    waiting: usize,
    /// Keys that were taken and not given back.
    spent: u64,
    /// When a key was last taken.
    taken: Option<Instant>,
    /// When the first key was taken that is not replaced yet; `None` once the pool is being refilled.
    lacks_since: Option<Instant>,
    stopped: bool,
}

impl KeyPool {
    /// Starts to fill a pool of `wanted` keys, at least 2.
    ///
    /// Errors: a thread could not be started.
    pub fn start(wanted: usize, provider: &'static dyn Provider) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(wanted));
        let helper = Arc::clone(&shared);
        thread::Builder::new()
            .name("m2-key-helper".into())
            .spawn(move || helper.help(provider))?;
        let refill = Arc::clone(&shared);
        let canary = Canary::default();
        let guard = canary.guard();
        thread::Builder::new()
            .name("m2-key-pool".into())
            .spawn(move || {
                let _guard = guard;
                refill.run(provider);
            })?;
        Ok(Self { shared, canary })
    }

    /// Waits until the refill thread has ended.
    pub(crate) async fn ended(&self) {
        self.canary.silent().await;
    }

    /// Returns a key if one is ready for this priority. `None` means that the caller must be
    /// ignored.
    pub fn take(&self, priority: Priority) -> Option<SessionKeyPair> {
        let mut state = self.shared.lock();
        if !state.serves(priority) {
            return None;
        }
        let key = state.keys.pop_front();
        if key.is_some() {
            state.spent += 1;
            let now = Instant::now();
            if state.keys.len() + 1 >= self.shared.wanted {
                state.lacks_since = Some(now);
            }
            state.taken = Some(now);
        }
        self.shared.taken.notify_one();
        key
    }

    /// Returns a key to the pool that was not sent to any peer.
    pub fn give_back(&self, key: SessionKeyPair) {
        let mut state = self.shared.lock();
        state.spent = state.spent.saturating_sub(1);
        drop(state);
        self.shared.add(key);
    }

    /// Returns how many keys were spent so far.
    pub fn spent(&self) -> u64 {
        self.shared.lock().spent
    }

    /// Returns a key for this priority, waiting at most `limit` for one.
    pub async fn wait_as(&self, priority: Priority, limit: Duration) -> Option<SessionKeyPair> {
        let _urgent = (priority != Priority::Stranger).then(|| Waiting::new(&self.shared));
        tokio::time::timeout(limit, self.next(priority)).await.ok()
    }

    /// Returns a key to dial with, waiting at most `limit` for one.
    pub async fn wait(&self, limit: Duration) -> Option<SessionKeyPair> {
        self.wait_as(Priority::Own, limit).await
    }

    async fn next(&self, priority: Priority) -> SessionKeyPair {
        loop {
            self.serves(priority).await;
            if let Some(key) = self.take(priority) {
                return key;
            }
        }
    }

    /// Waits until there is a key for this priority. Another request may take it first.
    async fn serves(&self, priority: Priority) {
        loop {
            // Registered before the check, so that a key added in between is not missed.
            let made = self.shared.made.notified();
            if self.shared.lock().serves(priority) {
                return;
            }
            made.await;
        }
    }

    /// Returns how many keys are ready.
    pub fn ready(&self) -> usize {
        self.shared.lock().keys.len()
    }

    /// Returns how many keys the pool holds when it is full.
    pub fn wanted(&self) -> usize {
        self.shared.wanted
    }
}

/// Counts a waiting request with priority, until it is dropped.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.lock().waiting += 1;
        shared.urgent.notify_one();
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

impl State {
    fn serves(&self, priority: Priority) -> bool {
        let kept = match priority {
            Priority::Stranger => self.most / 2,
            Priority::Known | Priority::Own => 0,
        };
        self.keys.len() > kept
    }

    /// Returns how long the pool of `wanted` keys need not be refilled yet; `None` if it should be
    /// now.
    fn rest(&self, wanted: usize, now: Instant) -> Option<Duration> {
        let is_low = self.keys.len() * 4 < wanted * 3;
        let lacks_since = self.lacks_since.filter(|_| !is_low && self.waiting == 0)?;
        let left = |limit: Duration, since: Instant| {
            limit.saturating_sub(now.saturating_duration_since(since))
        };
        let rest = left(QUIET, self.taken?).min(left(LONGEST_DELAY, lacks_since));
        (!rest.is_zero()).then_some(rest)
    }
}

impl Drop for KeyPool {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.taken.notify_one();
        self.shared.urgent.notify_one();
    }
}

impl fmt::Debug for KeyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPool")
            .field("ready", &self.ready())
            .field("wanted", &self.wanted())
            .finish()
    }
}

impl Shared {
    fn new(wanted: usize) -> Self {
        Self {
            state: Mutex::default(),
            wanted: wanted.max(2),
            taken: Condvar::new(),
            urgent: Condvar::new(),
            made: Notify::new(),
        }
    }

    fn run(&self, provider: &'static dyn Provider) {
        let mut made = 0;
        while self.wait_until_needed() {
            made += 1;
            if made == FIRST_KEYS {
                lower_priority();
            }
            self.make(provider);
        }
    }

    /// Generates keys at normal priority, but only while more requests with priority wait than
    /// there are keys.
    fn help(&self, provider: &'static dyn Provider) {
        while self.wait_until_urgent() {
            self.make(provider);
        }
    }

    fn make(&self, provider: &'static dyn Provider) {
        match SessionKeyPair::generate(&mut UnwrapErr(getrandom::SysRng), provider) {
            Ok(key) => self.add(key),
            Err(error) => {
                tracing::error!(%error, "can't make a session key");
                thread::sleep(FAILURE_REST);
            }
        }
    }

    /// Waits until the helper is needed. Returns false when the pool stops.
    fn wait_until_urgent(&self) -> bool {
        let idle = |state: &mut State| state.waiting <= state.keys.len() && !state.stopped;
        let state = self
            .urgent
            .wait_while(self.lock(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    /// Waits until the pool should be refilled. Returns false when the pool stops.
    fn wait_until_needed(&self) -> bool {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return false;
            }
            let wait = match state.keys.len() >= self.wanted {
                true => Duration::MAX,
                false => match state.rest(self.wanted, Instant::now()) {
                    Some(rest) => rest,
                    None => {
                        state.lacks_since = None;
                        return true;
                    }
                },
            };
            let waited = self.taken.wait_timeout(state, wait);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn add(&self, key: SessionKeyPair) {
        let mut state = self.lock();
        // A key that returns to a full pool is not kept: the pool must not grow.
        if state.keys.len() < self.wanted {
            state.keys.push_back(key);
        }
        state.most = state.most.max(state.keys.len());
        drop(state);
        self.made.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that can panic runs while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Low, but not so low that a busy machine starves the pool: about a tenth of a normal share.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lowers the priority of the current thread. Only on Linux: elsewhere the priority belongs to the
/// whole process.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the key pool's thread keeps its priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::provider;

    /// Returns a pool that no thread fills.
    fn pool_with(keys: usize) -> KeyPool {
        let pool = KeyPool {
            shared: Arc::new(Shared::new(keys)),
            canary: Canary::default(),
        };
        for _ in 0..keys {
            pool.shared.make(provider::default());
        }
        pool
    }

    #[tokio::test]
    async fn a_pool_fills_and_is_refilled() {
        let pool = KeyPool::start(2, provider::default()).unwrap();
        for _ in 0..4 {
            pool.wait(Duration::from_secs(60)).await.unwrap();
        }
        assert_eq!(pool.spent(), 4);
    }

    #[test]
    fn a_pool_is_refilled_after_the_handshake_unless_it_is_low() {
        let pool = pool_with(4);
        let rest = |later: Duration| {
            let state = pool.shared.lock();
            state.rest(4, state.taken.unwrap_or_else(Instant::now) + later)
        };
        assert_eq!(rest(Duration::ZERO), None, "no key was taken");
        pool.take(Priority::Own).unwrap();
        assert_eq!(rest(QUIET / 3), Some(QUIET - QUIET / 3));
        assert_eq!(rest(QUIET), None);
        pool.shared.lock().taken = Some(Instant::now() + LONGEST_DELAY);
        let since = pool.shared.lock().lacks_since.unwrap();
        let after_all = pool.shared.lock().rest(4, since + LONGEST_DELAY);
        assert_eq!(after_all, None, "keys are taken all the time");
        pool.shared.lock().taken = Some(since);
        let _waiting = Waiting::new(&pool.shared);
        assert_eq!(rest(Duration::ZERO), None, "a request waits");
        drop(_waiting);
        assert!(rest(Duration::ZERO).is_some());
        pool.take(Priority::Own).unwrap();
        assert_eq!(rest(Duration::ZERO), None, "the pool is low");
    }

    #[test]
    fn half_of_the_keys_is_reserved_for_contacts() {
        let pool = pool_with(4);
        assert!(pool.take(Priority::Stranger).is_some());
        assert!(pool.take(Priority::Stranger).is_some());
        assert!(pool.take(Priority::Stranger).is_none());
        assert!(pool.take(Priority::Known).is_some());
        assert!(pool.take(Priority::Own).is_some());
        assert!(pool.take(Priority::Own).is_none());
    }

    #[test]
    fn keys_that_return_to_a_full_pool_do_not_raise_the_reserve() {
        let pool = pool_with(4);
        let taken: Vec<_> = (0..2)
            .filter_map(|_| pool.take(Priority::Stranger))
            .collect();
        for _ in 0..2 {
            pool.shared.make(provider::default());
        }
        for key in taken {
            pool.give_back(key);
        }
        assert_eq!((pool.ready(), pool.spent()), (4, 0));
        assert!(pool.take(Priority::Stranger).is_some());
        assert!(pool.take(Priority::Stranger).is_some());
    }

    #[test]
    fn a_filling_pool_reserves_half_of_its_keys() {
        let pool = pool_with(4);
        pool.shared.lock().most = 2;
        while pool.take(Priority::Stranger).is_some() {}
        assert_eq!(pool.ready(), 1);
        assert!(pool.take(Priority::Known).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dial_waits_for_a_key_until_its_timeout() {
        let pool = pool_with(0);
        assert!(pool.wait(Duration::from_secs(60)).await.is_none());
        let add = async { pool.shared.make(provider::default()) };
        let (key, ()) = tokio::join!(pool.wait(Duration::from_secs(60)), add);
        assert!(key.is_some());
    }
}
