//! The engine: one thread owns the store and every conversation, and does one thing at a time.
//!
//! Jobs come in through a bounded queue. The engine takes as many as wait, runs them in one
//! transaction (group commit), and only then answers callers, sends frames and wakes readers.
//! So whatever anybody was told is on disk. A batch that can't be committed is taken back whole:
//! its callers get the error, and what was in memory is read again from the store.

mod bus;
mod callers;
mod clients;
mod contact_name;
mod contacts;
mod conversation;
mod dirty;
mod effect;
mod erasing;
mod handle;
mod inbox;
mod invitations;
mod letters;
mod lines;
mod lookup;
mod mail;
mod mailboxes;
mod near;
mod paths;
mod policy;
mod problem;
mod requests;
mod retention;
mod sending;
mod sessions;
mod slot;
mod summary;
mod time;
mod upkeep;
mod ways;

pub use bus::{Bus, StateChange};
pub use clients::StreamStart;
pub use contacts::ContactView;
pub use handle::EngineHandle;
pub use invitations::NewInvitation;
pub use letters::{DepositEnd, DepositJob};
pub use lines::{LineHealth, LineSettings, LineView, LineWake, OpenAt, OpenLines, PrivacyFacts};
pub use lookup::{Finding, FoundBy, Publication, Sought};
pub use mail::BoxHealth;
pub use mailboxes::MailboxView;
pub use near::Near;
pub use policy::PolicyChange;
pub use sending::{Failure, NewMessage, SentMessage};
pub use sessions::{Arrived, GrantCheck};
pub use summary::Summary;
pub use ways::Ways;

use crate::clock::Clock;
use crate::config::{MailboxConfig, StoreConfig};
use crate::counters::Counters;
use crate::network::{DialerHandle, Link};
use crate::reach::MeetingHandle;
use crate::refusal::Refusal;
use crate::store::{OutboxPayload, Store, StoreError};
use dirty::Dirty;
use effect::{Effect, Job, Read};
use lines::Lines;
use m2_crypto::{Circle, Identity, PeerId};
use m2_net::callers::Callers;
use m2_net::delivery::MessageId;
use mail::Mail;
use rand_core::UnwrapErr;
use retention::Round;
use slot::Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use time::TimeKeeping;
use tokio::sync::{mpsc, watch};
use upkeep::Agenda;

/// Jobs that may wait. Full: callers and sessions wait, so peers feel it as flow control.
const QUEUE: usize = 4_096;
/// Jobs of one batch.
const BATCH: usize = 512;
/// How often the clock is looked at while nothing happens: it may have been set, or have run on
/// while the machine slept.
const LOOK_EVERY_MS: u64 = 30_000;

/// Rings when what look-up publishes or looks for may have changed. The value means nothing.
pub type LookupWake = watch::Sender<()>;

/// The operating system's random source, as the type that cryptography wants.
pub type Rng = UnwrapErr<getrandom::SysRng>;

/// What the engine is made of.
pub struct Parts {
    /// The open store.
    pub store: Store,
    /// The daemon's clock.
    pub clock: Arc<Clock>,
    /// The open identity.
    pub identity: Arc<Identity>,
    /// The circle.
    pub circle: Circle,
    /// Limits from the configuration.
    pub limits: StoreConfig,
    /// When letters are deposited.
    pub mailbox: MailboxConfig,
    /// Which ways sessions take.
    pub lines: LineSettings,
    /// Who hears of changes.
    pub bus: Arc<Bus>,
    /// Who reaches peers.
    pub dialer: DialerHandle,
    /// Who looks for direct paths.
    pub meetings: MeetingHandle,
    /// Whose calls go before those of strangers.
    pub callers: Arc<Callers>,
    /// What was refused.
    pub counters: Arc<Counters>,
}

/// The owner of all durable state.
pub struct Engine {
    store: Store,
    clock: Arc<Clock>,
    rng: Rng,
    identity: Arc<Identity>,
    own_id: PeerId,
    circle: Circle,
    incarnation: u64,
    limits: StoreConfig,
    mailbox: MailboxConfig,
    mail: Mail,
    lines: Lines,
    slots: HashMap<i64, Slot>,
    rows: HashMap<PeerId, i64>,
    /// Sessions with peers that have no row, oldest first: they may only ask to become contacts.
    strangers: BTreeMap<u64, Arc<Link>>,
    timers: BTreeSet<(u64, i64)>,
    dirty: Dirty,
    effects: Vec<Effect>,
    /// Questions of callers, answered when the batch is over.
    reads: Vec<Read>,
    bus: Arc<Bus>,
    dialer: DialerHandle,
    meetings: MeetingHandle,
    lookup_wake: Arc<LookupWake>,
    callers: Arc<Callers>,
    counters: Arc<Counters>,
    /// Payloads that were read to be sealed again in the next batch.
    later: Vec<(i64, MessageId, OutboxPayload)>,
    stopping: bool,
    /// What is in memory is ahead of the store: read it again before anything else.
    stale: bool,
    agenda: Agenda,
    time: TimeKeeping,
    /// Where the look at what is kept too long is.
    round: Round,
    store_failed: Option<Refusal>,
}

impl Engine {
    /// Builds the engine and reads the contacts. Nothing runs yet.
    pub fn new(parts: Parts) -> Result<Self, StoreError> {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let incarnation = parts
            .store
            .incarnation(|| rand_core::Rng::next_u64(&mut rng))?;
        let mut engine = Self {
            own_id: parts.identity.peer_id(parts.circle.id()),
            lines: Lines::new(parts.lines, parts.identity.line_key()),
            store: parts.store,
            clock: parts.clock,
            rng,
            identity: parts.identity,
            circle: parts.circle,
            incarnation,
            limits: parts.limits,
            mailbox: parts.mailbox,
            mail: Mail::default(),
            slots: HashMap::new(),
            rows: HashMap::new(),
            strangers: BTreeMap::new(),
            timers: BTreeSet::new(),
            dirty: Dirty::default(),
            effects: Vec::new(),
            reads: Vec::new(),
            bus: parts.bus,
            dialer: parts.dialer,
            meetings: parts.meetings,
            lookup_wake: Arc::new(LookupWake::new(())),
            callers: parts.callers,
            counters: parts.counters,
            later: Vec::new(),
            stopping: false,
            stale: false,
            agenda: Agenda::default(),
            time: TimeKeeping::default(),
            round: Round::default(),
            store_failed: None,
        };
        engine.bus.set_newest_event(engine.store.newest_event()?);
        engine.mail.started = engine.clock.now_ms();
        engine.reload()?;
        // On a full disk they wait a little longer.
        let now = engine.mail.started;
        let resumed = engine.store.resume_letters(now);
        if let Err(error) = resumed.and_then(|()| engine.store.restart_letters(now)) {
            tracing::debug!(%error, "letters can't be resumed");
        }
        engine.start_clock();
        Ok(engine)
    }

    /// Rings when what look-up publishes or looks for may have changed.
    pub fn lookup_wake(&self) -> Arc<LookupWake> {
        self.lookup_wake.clone()
    }

    /// The queue into an engine, and its other end for [`Self::run`].
    pub fn queue() -> (EngineHandle, mpsc::Receiver<Job>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (EngineHandle::new(sender), receiver)
    }

    /// Runs until [`Self::stop`] or until every handle is gone. Call it on a thread of its own.
    pub fn run(mut self, mut jobs: mpsc::Receiver<Job>) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        runtime.block_on(async {
            self.dial_all();
            while let Some(first) = self.next_job(&mut jobs).await {
                self.run_batch(first, &mut jobs);
                if self.stopping {
                    break;
                }
            }
            self.close_all();
        });
        Ok(())
    }

    /// Lets this batch be the last one.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// The next job, or `Some(None)` when a timer is due; None when all handles are gone.
    async fn next_job(&self, jobs: &mut mpsc::Receiver<Job>) -> Option<Option<Job>> {
        if !self.later.is_empty() {
            return Some(jobs.try_recv().ok());
        }
        let due_ms = self.next_due_ms();
        let wait = due_ms.saturating_sub(self.clock.now_ms());
        let wait = wait.min(LOOK_EVERY_MS);
        match tokio::time::timeout(Duration::from_millis(wait), jobs.recv()).await {
            Ok(Some(job)) => Some(Some(job)),
            Ok(None) => None,
            Err(_) => Some(None),
        }
    }

    fn run_batch(&mut self, first: Option<Job>, jobs: &mut mpsc::Receiver<Job>) {
        self.store_failed = self.begin_batch().err().map(Refusal::from);
        if self.store_failed.is_none() {
            self.answer_payloads();
        }
        let mut next = first;
        let mut room = BATCH;
        while let Some(job) = next {
            let engine = self.store_failed.is_none().then_some(&mut *self);
            let reply = job(engine);
            self.effects.extend(reply.map(Effect::Reply));
            room = room.saturating_sub(1);
            let go_on = room > 0 && self.store_failed.is_none();
            next = go_on.then(|| jobs.try_recv().ok()).flatten();
        }
        if self.store_failed.is_none()
            && let Err(refusal) = self.follow_clock()
        {
            self.fail_batch(refusal);
        }
        if self.store_failed.is_none() {
            self.run_timers();
        }
        self.finish_batch();
    }

    fn begin_batch(&mut self) -> Result<(), StoreError> {
        self.refresh()?;
        self.store.begin()
    }

    /// Reads the store again after a batch that was taken back.
    fn refresh(&mut self) -> Result<(), StoreError> {
        if self.stale {
            self.reload()?;
            self.stale = false;
        }
        Ok(())
    }

    fn finish_batch(&mut self) {
        let written = match self.store_failed.take() {
            Some(refusal) => Err(refusal),
            None => self.flush_and_commit().map_err(Refusal::from),
        };
        match written {
            Ok(()) => {
                self.perform_effects();
                self.empty_log();
            }
            Err(refusal) => self.take_back(&refusal),
        }
        if !self.reads.is_empty() {
            self.answer_reads();
        }
    }

    fn flush_and_commit(&mut self) -> Result<(), StoreError> {
        self.dirty.flush(&self.store)?;
        self.store.commit()
    }

    /// The batch is not on disk: nothing of it has happened.
    fn take_back(&mut self, refusal: &Refusal) {
        tracing::error!(reason = %refusal.reason, "the store could not be written");
        self.store.roll_back();
        self.dirty.clear();
        for effect in self.effects.drain(..) {
            if let Effect::Reply(reply) = effect {
                reply(Err(refusal.clone()));
            }
        }
        self.later.clear();
        self.stale = true;
    }

    fn answer_reads(&mut self) {
        let fresh = self.refresh().map_err(Refusal::from);
        for read in std::mem::take(&mut self.reads) {
            read(fresh.clone().map(|()| &mut *self));
        }
    }

    /// The batch will be taken back.
    fn fail_batch(&mut self, refusal: Refusal) {
        self.store_failed.get_or_insert(refusal);
    }

    /// The value, or its default after noting that the batch must be taken back.
    fn check<T: Default>(&mut self, result: Result<T, StoreError>) -> T {
        result.unwrap_or_else(|error| {
            tracing::debug!(%error, "a statement failed");
            self.fail_batch(error.into());
            T::default()
        })
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn next_due_ms(&self) -> u64 {
        let timer = self.timers.first().map_or(u64::MAX, |(due, _)| *due);
        timer.min(self.agenda.due()).min(self.mail.due)
    }

    fn run_timers(&mut self) {
        let now = self.now_ms();
        while let Some((due, row)) = self.timers.first().copied() {
            if due > now {
                break;
            }
            self.timers.remove(&(due, row));
            self.on_conversation_timeout(row);
        }
        if self.agenda.due().min(self.mail.due) <= now {
            self.upkeep(now);
        }
    }
}
