//! Fresh RSA-2048 key pairs, made ahead of time (spec §3).
//!
//! In memory only. A thread of low priority refills the pool, so that a key is never generated
//! while somebody waits; a second thread helps only while we or contacts wait for one. Half of the
//! pool is kept for contacts: half of the most that was ever ready, so that a large pool serves
//! strangers while it fills.

use crate::canary::Canary;
use m2_crypto::Provider;
use m2_crypto::session_key::SessionKeyPair;
use rand_core::UnwrapErr;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::Notify;

/// The pool of a personal daemon.
pub const PERSONAL_SIZE: usize = 16;
/// The pool of a relay or mailbox.
pub const ROLE_SIZE: usize = 1_000;

/// The first keys are made at normal priority: a daemon without any can't be called.
const FIRST_KEYS: usize = 4;

/// How long the thread rests after the library failed to make a key.
const FAILURE_REST: Duration = Duration::from_secs(1);

/// Who asks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// A caller that did not prove to be a contact: served from the upper half of the pool only.
    Stranger,
    /// A contact, as the token of its first packet proves.
    Known,
    /// Ourselves, to dial.
    Own,
}

/// The pool. Dropping it stops its thread.
pub struct KeyPool {
    shared: Arc<Shared>,
    canary: Canary,
}

struct Shared {
    state: Mutex<State>,
    wanted: usize,
    /// Wakes the thread: a key was taken, or the pool stops.
    taken: Condvar,
    /// Wakes the thread that helps: somebody with priority waits, or the pool stops.
    urgent: Condvar,
    /// Wakes who waits for a key.
    made: Notify,
}

#[derive(Default)]
struct State {
    keys: VecDeque<SessionKeyPair>,
    /// The most keys that were ever ready: while the pool fills the first time, strangers need
    /// not wait until it is half full.
    most: usize,
    /// Dials of ours and calls of contacts that wait for a key.
    waiting: usize,
    /// Keys that were taken and not given back.
    spent: u64,
    stopped: bool,
}

impl KeyPool {
    /// Starts to fill a pool of `wanted` keys, at least 2.
    pub fn start(wanted: usize, provider: &'static dyn Provider) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wanted: wanted.max(2),
            taken: Condvar::new(),
            urgent: Condvar::new(),
            made: Notify::new(),
        });
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

    /// Waits until the thread that makes keys has ended.
    pub(crate) async fn ended(&self) {
        self.canary.silent().await;
    }

    /// A key if one is ready for this caller. `None` means: ignore the caller.
    pub fn take(&self, priority: Priority) -> Option<SessionKeyPair> {
        let mut state = self.shared.lock();
        if !state.serves(priority) {
            return None;
        }
        let key = state.keys.pop_front();
        state.spent += u64::from(key.is_some());
        self.shared.taken.notify_one();
        key
    }

    /// Takes a key back that was not shown to anybody.
    pub fn give_back(&self, key: SessionKeyPair) {
        let mut state = self.shared.lock();
        state.spent = state.spent.saturating_sub(1);
        drop(state);
        self.shared.add(key);
    }

    /// How many keys were spent so far.
    pub fn spent(&self) -> u64 {
        self.shared.lock().spent
    }

    /// A key for this caller: waits at most `limit` for one.
    pub async fn wait_as(&self, priority: Priority, limit: Duration) -> Option<SessionKeyPair> {
        let _urgent = (priority != Priority::Stranger).then(|| Waiting::new(&self.shared));
        tokio::time::timeout(limit, self.next(priority)).await.ok()
    }

    /// A key to dial with: waits at most `limit` for one.
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

    /// Waits until there is a key for this caller. Another one may take it first.
    async fn serves(&self, priority: Priority) {
        loop {
            // Registered before the look, so that a key made in between is not missed.
            let made = self.shared.made.notified();
            if self.shared.lock().serves(priority) {
                return;
            }
            made.await;
        }
    }

    /// How many keys are ready.
    pub fn ready(&self) -> usize {
        self.shared.lock().keys.len()
    }

    /// How many keys the pool holds when it is full.
    pub fn wanted(&self) -> usize {
        self.shared.wanted
    }
}

/// One that waits for a key with priority, until this is dropped.
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

    /// Makes keys at normal priority, but only while more wait with priority than there are keys.
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

    /// False when the pool stops.
    fn wait_until_urgent(&self) -> bool {
        let idle = |state: &mut State| state.waiting <= state.keys.len() && !state.stopped;
        let state = self
            .urgent
            .wait_while(self.lock(), idle)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    /// False when the pool stops.
    fn wait_until_needed(&self) -> bool {
        let full = |state: &mut State| state.keys.len() >= self.wanted && !state.stopped;
        let state = self
            .taken
            .wait_while(self.lock(), full)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopped
    }

    fn add(&self, key: SessionKeyPair) {
        let mut state = self.lock();
        state.keys.push_back(key);
        state.most = state.most.max(state.keys.len());
        drop(state);
        self.made.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing can panic while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Low, but not so low that a busy machine starves the pool: about a tenth of a normal share.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// On Linux a priority belongs to the thread. Elsewhere it would be the whole daemon's.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "the key pool's thread keeps its priority");
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;
    use m2_crypto::provider;
    use std::time::Instant;

    fn full_pool(wanted: usize) -> KeyPool {
        let pool = KeyPool::start(wanted, provider::default()).unwrap();
        let start = Instant::now();
        while pool.ready() < wanted && start.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(pool.ready(), wanted);
        pool
    }

    #[test]
    fn strangers_leave_half_for_those_we_know() {
        let pool = full_pool(4);
        // The thread may add a key in between, so more than two may succeed, but never all.
        pool.shared.lock().stopped = true;
        assert!(pool.take(Priority::Stranger).is_some());
        assert!(pool.take(Priority::Stranger).is_some());
        assert!(pool.take(Priority::Stranger).is_none());
        assert!(pool.take(Priority::Known).is_some());
        assert!(pool.take(Priority::Own).is_some());
        assert!(pool.take(Priority::Own).is_none());
    }

    #[test]
    fn a_pool_that_fills_keeps_half_of_what_it_has() {
        let pool = KeyPool::start(1_000, provider::default()).unwrap();
        let start = Instant::now();
        while pool.ready() < 4 && start.elapsed() < Duration::from_secs(60) {
            thread::sleep(Duration::from_millis(5));
        }
        pool.shared.lock().stopped = true;
        assert!(pool.take(Priority::Stranger).is_some());
        while pool.take(Priority::Stranger).is_some() {}
        assert!(pool.ready() >= 2);
        assert!(pool.take(Priority::Known).is_some());
    }

    #[tokio::test]
    async fn who_dials_waits_for_a_key_but_not_for_ever() {
        let pool = KeyPool::start(2, provider::default()).unwrap();
        for _ in 0..3 {
            assert!(pool.wait(Duration::from_secs(60)).await.is_some());
        }
        pool.shared.lock().stopped = true;
        while pool.take(Priority::Own).is_some() {}
        thread::sleep(Duration::from_millis(200));
        while pool.take(Priority::Own).is_some() {}
        assert!(pool.wait(Duration::from_millis(20)).await.is_none());
    }
}
