//! The engine: one thread that owns the store and every conversation, and runs one job at a time.
//!
//! Jobs arrive through a bounded queue. The engine takes all queued jobs up to a limit, runs them
//! in one transaction (group commit), and only then answers callers, sends frames and wakes event
//! streams. Every result that was reported is therefore on disk. A batch that cannot be committed
//! is rolled back whole: its callers get the error, and the state in memory is read from the store
//! again.

mod bus;
mod callers;
mod clients;
mod contacts;
mod conversation;
mod dialling;
mod dirty;
mod effect;
mod erasing;
mod faults;
mod frames;
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
mod peer_state;
mod places;
mod policy;
mod problem;
mod queue;
mod requests;
mod retention;
mod sending;
mod sessions;
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
pub use lookup::{Discovery, FoundBy, LookupTarget, PresencePlan};
pub use mail::BoxHealth;
pub use mailboxes::MailboxView;
pub use near::Near;
pub use policy::PolicyChange;
pub use queue::Jobs;
pub use sending::{Failure, NewMessage, SentMessage};
pub use sessions::{Arrived, GrantCheck};
pub use summary::Summary;
pub use ways::Ways;

use crate::clock::Clock;
use crate::config::{MailboxConfig, StoreConfig};
use crate::connect::DialerHandle;
use crate::network::Link;
use crate::reach::HolePuncherHandle;
use crate::refusal::Refusal;
use dirty::Dirty;
use effect::{Effect, Job, Read};
use lines::Lines;
use m2_core::strangers::Strangers;
use m2_crypto::{Circle, Identity, PeerId};
use m2_delivery::MessageId;
use m2_limits::counters::Counters;
use m2_net::callers::Callers;
use m2_net::session::CloseCode;
use m2_sqlite::pace::Pace;
use m2_store::{OutboxPayload, Store, StoreError};
use mail::Mail;
use peer_state::PeerState;
use queue::Next;
use rand_core::UnwrapErr;
use retention::Round;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::TimeKeeping;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use upkeep::MaintenanceTimers;
#[cfg(test)]
pub(crate) use upkeep::tests::engine as test_engine;

/// Capacity of the job queue. When it is full, callers and sessions wait (back-pressure).
const QUEUE: usize = 4_096;
/// Name of the store file in log messages.
const FILE: &str = "store.db";
/// The most jobs in one batch.
const BATCH: usize = 512;
/// How often the clock is checked while the engine is idle, in milliseconds: the clock may have
/// been set, or the machine may have slept.
const LOOK_EVERY_MS: u64 = 30_000;

/// Wakes the look-up tasks to read again what to publish and which peers to look for.
pub type LookupWake = watch::Sender<()>;

/// The operating system's random source, in the type that m2-crypto expects.
pub type Rng = UnwrapErr<getrandom::SysRng>;

/// The parts that an engine is built from.
pub struct Parts {
    /// The open store.
    pub store: Store,
    /// The daemon's clock.
    pub clock: Arc<Clock>,
    /// The unlocked identity of this daemon.
    pub identity: Arc<Identity>,
    /// The circle that this daemon belongs to.
    pub circle: Circle,
    /// The limits of the store, from the configuration.
    pub limits: StoreConfig,
    /// When letters are deposited, from the configuration.
    pub mailbox: MailboxConfig,
    /// Which paths sessions may take, from the configuration.
    pub lines: LineSettings,
    /// Announces committed changes to streams.
    pub bus: Arc<Bus>,
    /// The task that dials peers.
    pub dialer: DialerHandle,
    /// The task that looks for direct paths.
    pub hole_puncher: HolePuncherHandle,
    /// The endpoint's list of contacts, whose dials are accepted before those of strangers.
    pub callers: Arc<Callers>,
    /// Counts refusals and other events by reason.
    pub counters: Arc<Counters>,
}

/// The engine, which is the only writer of the daemon's store.
pub struct Engine {
    store: Store,
    clock: Arc<Clock>,
    rng: Rng,
    identity: Arc<Identity>,
    own_id: PeerId,
    circle: Circle,
    log_incarnation: u64,
    limits: StoreConfig,
    mailbox: MailboxConfig,
    mail: Mail,
    lines: Lines,
    peers: HashMap<i64, PeerState>,
    rows: HashMap<PeerId, i64>,
    /// Sessions with peers that have no row, oldest first. They may only send a contact request.
    strangers: Strangers<Arc<Link>>,
    timers: BTreeSet<(u64, i64)>,
    dirty: Dirty,
    effects: Vec<Effect>,
    /// Queries, answered after the batch.
    reads: Vec<Read>,
    bus: Arc<Bus>,
    dialer: DialerHandle,
    hole_puncher: HolePuncherHandle,
    lookup_wake: Arc<LookupWake>,
    callers: Arc<Callers>,
    counters: Arc<Counters>,
    /// Payloads that were read from the store to be sealed again in the next batch.
    later: Vec<(i64, MessageId, Result<OutboxPayload, StoreError>)>,
    /// Sessions with once-per-session frames in this batch. They are closed if it is rolled back.
    sent_once: Vec<Arc<Link>>,
    /// Set when all conversations must take new incarnations, except that of this row (0: no
    /// exception).
    renewal: Option<i64>,
    /// Set when the state in memory is ahead of the store and must be read again first.
    stale: bool,
    /// Set once the dialer knows every contact in memory that needs a session.
    is_dialling: bool,
    maintenance: MaintenanceTimers,
    time: TimeKeeping,
    /// Progress of the retention scan.
    round: Round,
    /// Set when the current batch must be rolled back, with the reason.
    store_failed: Option<Refusal>,
    pace: Pace,
}

impl Engine {
    /// Builds the engine and reads the contacts. It processes no job before [`Self::run`].
    pub fn new(parts: Parts) -> Result<Self, StoreError> {
        let mut rng = UnwrapErr(getrandom::SysRng);
        parts.store.finish_restore()?;
        let log_incarnation = parts
            .store
            .event_log(|| rand_core::Rng::next_u64(&mut rng))?;
        let mut engine = Self {
            own_id: parts.identity.peer_id(parts.circle.id()),
            lines: Lines::new(parts.lines, parts.identity.line_key()),
            store: parts.store,
            clock: parts.clock,
            rng,
            identity: parts.identity,
            circle: parts.circle,
            log_incarnation,
            limits: parts.limits,
            mailbox: parts.mailbox,
            mail: Mail::default(),
            peers: HashMap::new(),
            rows: HashMap::new(),
            strangers: Strangers::default(),
            timers: BTreeSet::new(),
            dirty: Dirty::default(),
            effects: Vec::new(),
            reads: Vec::new(),
            bus: parts.bus,
            dialer: parts.dialer,
            hole_puncher: parts.hole_puncher,
            lookup_wake: Arc::new(LookupWake::new(())),
            callers: parts.callers,
            counters: parts.counters,
            later: Vec::new(),
            sent_once: Vec::new(),
            renewal: None,
            stale: false,
            is_dialling: false,
            maintenance: MaintenanceTimers::default(),
            time: TimeKeeping::default(),
            round: Round::default(),
            store_failed: None,
            pace: Pace::default(),
        };
        engine.bus.set_newest_event(engine.store.newest_event()?);
        engine.mail.started = engine.clock.now_ms();
        engine.reload()?;
        // With a full disk these letters wait a little longer.
        let now = engine.mail.started;
        let resumed = engine.store.resume_letters(now);
        if let Err(error) = resumed.and_then(|()| engine.store.restart_letters(now)) {
            tracing::debug!(%error, "letters can't be resumed");
        }
        engine.start_clock();
        Ok(engine)
    }

    /// Returns the sender that wakes the look-up tasks.
    pub fn lookup_wake(&self) -> Arc<LookupWake> {
        self.lookup_wake.clone()
    }

    /// Creates the job queue: a handle for senders, and the receiving end for [`Self::run`].
    pub fn queue() -> (EngineHandle, Jobs) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let handle = EngineHandle::new(sender, stop.clone());
        (handle, Jobs::new(receiver, stop))
    }

    /// Runs until [`EngineHandle::stop`] is called or every handle is dropped. It blocks, so call
    /// it on a dedicated thread.
    pub fn run(mut self, mut jobs: Jobs) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        runtime.block_on(async {
            self.is_dialling = self.dial_missing();
            loop {
                match self.next(&mut jobs).await {
                    Next::Batch(first) => self.run_batch(first, &mut jobs),
                    Next::Answer(read) => {
                        self.reads.push(read);
                        self.answer_reads();
                    }
                    Next::Again => {}
                    Next::Stop => break,
                }
            }
            self.run_last(&mut jobs);
            self.close_all();
        });
        if let Err(error) = self.store.close() {
            tracing::warn!(%error, "the store's log could not be emptied: keep store.db-wal with store.db");
        }
        Ok(())
    }

    async fn next(&self, jobs: &mut Jobs) -> Next {
        if jobs.is_stopped() {
            return Next::Stop;
        }
        if let Some(pause) = self.pace.pause(Instant::now()) {
            return jobs.next_in_pause(pause).await;
        }
        if !self.later.is_empty() {
            return Next::Batch(jobs.now());
        }
        let wait = self.next_due_ms().saturating_sub(self.clock.now_ms());
        jobs.next(Duration::from_millis(wait.min(LOOK_EVERY_MS)))
            .await
    }

    /// Runs the queued jobs unless the store fails to write.
    fn run_last(&mut self, jobs: &mut Jobs) {
        jobs.close();
        while let Some(job) = jobs.now() {
            self.run_batch(Some(job), jobs);
            if self.pace.is_failing() {
                return;
            }
        }
    }

    fn run_batch(&mut self, first: Option<Job>, jobs: &mut Jobs) {
        let _batch = tracing::trace_span!("batch").entered();
        self.store_failed = self.begin_batch().err().map(Refusal::from);
        if self.store_failed.is_none() {
            self.answer_payloads();
        }
        let mut next = first;
        let mut room = BATCH;
        while let Some(job) = next {
            self.run_job(job);
            room = room.saturating_sub(1);
            let go_on = room > 0 && self.store_failed.is_none();
            next = go_on.then(|| jobs.now()).flatten();
        }
        if self.store_failed.is_none()
            && let Err(refusal) = self.follow_clock()
        {
            self.fail_batch(refusal);
        }
        if self.store_failed.is_none() {
            self.run_timers();
        }
        if let Some(but) = self.renewal.take()
            && self.store_failed.is_none()
            && let Err(refusal) = self.renew_all(but)
        {
            self.fail_batch(refusal);
        }
        self.finish_batch();
    }

    fn run_job(&mut self, job: Job) {
        match job {
            Job::Write(write) => {
                let engine = self.store_failed.is_none().then_some(&mut *self);
                let reply = write(engine);
                self.effects.extend(reply.map(Effect::Reply));
            }
            Job::Read(read) => self.reads.push(read),
        }
    }

    fn begin_batch(&mut self) -> Result<(), StoreError> {
        self.refresh()?;
        self.store.begin()
    }

    /// Reads the state from the store again if a batch was rolled back.
    fn refresh(&mut self) -> Result<(), StoreError> {
        if self.stale {
            self.reload()?;
            self.stale = false;
            self.is_dialling = false;
        }
        self.is_dialling = self.is_dialling || self.dial_missing();
        Ok(())
    }

    fn finish_batch(&mut self) {
        let written = match self.store_failed.take() {
            Some(refusal) => Err(refusal),
            None => self.flush_and_commit().map_err(Refusal::from),
        };
        match written {
            Ok(()) => {
                self.sent_once.clear();
                self.note_written();
                self.perform_effects();
                self.empty_log();
            }
            Err(refusal) => self.roll_back(refusal),
        }
        if !self.reads.is_empty() {
            self.answer_reads();
        }
    }

    fn flush_and_commit(&mut self) -> Result<(), StoreError> {
        self.dirty.flush(&self.store)?;
        self.store.commit()
    }

    /// Rolls back a batch that is not on disk, so that it has no effect.
    fn roll_back(&mut self, refusal: Refusal) {
        self.store.roll_back();
        let refusal = self.note_failure(refusal);
        self.dirty.clear();
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Reply(reply) => reply(Err(refusal.clone())),
                // The link is in no list any more, so nothing else would close it.
                Effect::Close(link, code) => link.close(code),
                Effect::Misdeed(link, reason) => link.count_misdeed(reason),
                Effect::Violation(link, reason) => link.close_for_violation(reason),
                _ => {}
            }
        }
        self.later.clear();
        for link in self.sent_once.drain(..) {
            link.close(CloseCode::Replaced);
        }
        self.stale = true;
    }

    fn answer_reads(&mut self) {
        let fresh = self.refresh().map_err(|error| {
            self.store.health().read_failed(error.fault());
            Refusal::from(error)
        });
        for read in std::mem::take(&mut self.reads) {
            read(fresh.clone().map(|()| &mut *self));
        }
    }

    /// Marks the batch to be rolled back.
    fn fail_batch(&mut self, refusal: Refusal) {
        self.store_failed.get_or_insert(refusal);
    }

    /// Returns the value. On an error, marks the batch to be rolled back and returns the default.
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
        timer.min(self.maintenance.due()).min(self.mail.due)
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
        if self.maintenance.due().min(self.mail.due) <= now {
            self.upkeep(now);
        }
    }
}
