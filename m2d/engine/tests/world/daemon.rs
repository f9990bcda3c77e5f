//! One daemon of the simulated world: an engine on a real store, with a driver that can die at any
//! moment.

use m2_core::clock::Reading;
use m2_core::sessions::SessionId;
use m2_crypto::{Circle, Identity, PeerId, Secret, provider};
use m2_engine::clock::Clock;
use m2_engine::{ContactView, Effect, Engine, Input, Parts, Query, Refusal, Reply, Settings};
use m2_store::{MessageRowId, PageSize, ShownMessage, StoreFile};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;
use tokio::sync::oneshot;

const KEY: [u8; 32] = [7; 32];
const START_MS: u64 = 1_800_000_000_000;

/// The time of the world, in milliseconds since its start.
pub(crate) type Time = Arc<AtomicU64>;

/// How a batch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is committed, and its effects are performed.
    Whole,
    /// The daemon is killed before the commit.
    KilledBefore,
    /// The daemon is killed after the commit, before any effect.
    KilledAfter,
}

/// A fault of the driver or the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// A commit returns before the data is on disk: a kill loses it.
    CommitsLate,
    /// A frame in eight is lost, although its session goes on.
    LosesFrames,
    /// Ends of sessions are not reported.
    LosesEnds,
}

pub(crate) struct Daemon {
    dir: TempDir,
    engine: Option<Engine>,
    time: Time,
    flaw: Flaw,
    pub(crate) identity: Arc<Identity>,
    pub(crate) id: PeerId,
    /// Inputs that wait for the next batch.
    pub(crate) inputs: VecDeque<Input>,
    /// The peers that the daemon dials.
    pub(crate) wanted: BTreeSet<PeerId>,
    /// Sessions that are up.
    pub(crate) sessions: BTreeSet<SessionId>,
}

impl Daemon {
    pub(crate) fn new(pem: &str, time: Time, flaw: Flaw) -> Self {
        let identity = Arc::new(Identity::from_pem(pem, None, provider::default()).unwrap());
        let mut daemon = Self {
            dir: tempfile::tempdir().unwrap(),
            engine: None,
            time,
            flaw,
            id: identity.peer_id(Circle::public().id()),
            identity,
            inputs: VecDeque::new(),
            wanted: BTreeSet::new(),
            sessions: BTreeSet::new(),
        };
        daemon.start();
        daemon
    }

    fn file(&self) -> StoreFile {
        StoreFile::new(self.dir.path(), Secret::new(KEY))
    }

    /// Starts the daemon again, as after a kill.
    pub(crate) fn start(&mut self) {
        self.engine = None;
        self.inputs.clear();
        self.wanted.clear();
        self.sessions.clear();
        let time = self.time.clone();
        let clock = Clock::from_source(START_MS, move || {
            let passed_ms = time.load(Ordering::Relaxed);
            Reading {
                system_ms: START_MS + passed_ms,
                steady_ms: passed_ms,
            }
        });
        let engine = Engine::new(Parts {
            store: self.file().open().unwrap(),
            clock: Arc::new(clock),
            identity: self.identity.clone(),
            circle: Circle::public(),
            settings: Settings::default(),
            counters: Arc::default(),
        });
        self.engine = Some(engine.unwrap());
    }

    /// Restarts the daemon with its store marked as restored from a backup of this moment.
    pub(crate) fn restore(&mut self) {
        self.engine = None;
        let store = self.file().open().unwrap();
        store.mark_restored(1).unwrap();
        drop(store);
        self.start();
    }

    /// Makes this daemon a copy of another one, which is restarted.
    pub(crate) fn copy_from(&mut self, other: &mut Self) {
        self.engine = None;
        // The last connection that closes leaves one file.
        other.engine = None;
        std::fs::copy(other.file().path(), self.file().path()).unwrap();
        other.start();
        self.start();
    }

    fn engine(&mut self) -> &mut Engine {
        self.engine.as_mut().unwrap()
    }

    pub(crate) fn now_s(&self) -> u64 {
        (START_MS + self.time.load(Ordering::Relaxed)) / 1_000
    }

    /// Processes all waiting inputs in one batch. Returns the effects to perform; `None` if the
    /// daemon was killed.
    pub(crate) fn run(&mut self, end: End) -> Option<Vec<Effect>> {
        let before = (self.flaw == Flaw::CommitsLate && end == End::KilledAfter)
            .then(|| std::fs::read(self.file().path()).unwrap());
        let inputs = std::mem::take(&mut self.inputs);
        let engine = self.engine();
        engine.begin_batch();
        inputs.into_iter().for_each(|input| engine.handle(input));
        if engine.has_failed() {
            panic!("no batch fails here: {:?}", engine.end_batch());
        }
        if end == End::KilledBefore {
            self.start();
            return None;
        }
        engine.end_batch().unwrap();
        let effects: Vec<Effect> = std::iter::from_fn(|| engine.poll_effect()).collect();
        let Some(before) = before else {
            if end == End::KilledAfter {
                self.start();
                return None;
            }
            return Some(effects);
        };
        // The answers left, and the data is lost.
        for effect in effects {
            if let Effect::Answer(held) = effect {
                held.deliver();
            }
        }
        self.engine = None;
        let path = self.file().path().to_owned();
        let _ = std::fs::remove_file(path.with_file_name(m2_store::LOG_NAME));
        std::fs::write(path, before).unwrap();
        self.start();
        None
    }

    /// Queues a request. Returns the receiving end of its answer.
    pub(crate) fn ask<T: Send + 'static, I: Into<Input>>(
        &mut self,
        request: impl FnOnce(Reply<T>) -> I,
    ) -> oneshot::Receiver<Result<T, Refusal>> {
        let (reply, answer) = Reply::channel();
        self.inputs.push_back(request(reply).into());
        answer
    }

    /// Asks a query, which is answered at once.
    pub(crate) fn query<T: Send + 'static>(
        &mut self,
        query: impl FnOnce(Reply<T>) -> Query,
    ) -> Result<T, Refusal> {
        let (reply, mut answer) = Reply::channel();
        self.engine().answer(query(reply));
        answer.try_recv().unwrap()
    }

    /// Returns a contact as front-ends see it.
    pub(crate) fn contact(&mut self, peer: PeerId) -> Result<ContactView, Refusal> {
        self.query(|reply| Query::Contact(peer.to_string(), reply))
    }

    /// Returns the messages of a conversation, the oldest first.
    pub(crate) fn messages(&mut self, peer: PeerId) -> Vec<ShownMessage> {
        let Ok(view) = self.contact(peer) else {
            return Vec::new();
        };
        let size = PageSize {
            rows: 10_000,
            bytes: u64::MAX,
        };
        let reader = self.file().open_reader().unwrap();
        let page = reader
            .history(view.row.row, MessageRowId::new(i64::MAX), size)
            .unwrap();
        page.messages.into_iter().rev().collect()
    }
}
