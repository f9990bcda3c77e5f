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
mod dialling;
mod dirty;
mod effect;
mod erasing;
mod found;
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
mod places;
mod policy;
mod problem;
mod queue;
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
pub use queue::Jobs;
pub use sending::{Failure, NewMessage, SentMessage};
pub use sessions::{Arrived, GrantCheck};
pub use summary::Summary;
pub use ways::Ways;

use crate::clock::Clock;
use crate::config::{MailboxConfig, StoreConfig};
use crate::counters::Counters;
use crate::network::{DialerHandle, Link};
use crate::pace::Pace;
use crate::reach::MeetingHandle;
use crate::refusal::Refusal;
use crate::store::{Fault, OutboxPayload, Store, StoreError};
use dirty::Dirty;
use effect::{Effect, Job, Read};
use lines::Lines;
use m2_crypto::{Circle, Identity, PeerId};
use m2_net::callers::Callers;
use m2_net::delivery::MessageId;
use m2_net::session::CloseCode;
use m2_proto::reason::Reason;
use mail::Mail;
use queue::Next;
use rand_core::UnwrapErr;
use retention::Round;
use slot::Slot;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use time::TimeKeeping;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use upkeep::Agenda;
#[cfg(test)]
pub(crate) use upkeep::tests::engine as test_engine;

/// Jobs that may wait. Full: callers and sessions wait, so peers feel it as flow control.
const QUEUE: usize = 4_096;
/// The store, in the log.
const FILE: &str = "store.db";
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
    log_incarnation: u64,
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
    later: Vec<(i64, MessageId, Result<OutboxPayload, StoreError>)>,
    /// Sessions in which this batch takes or sends frames that are not repeated in the session. They are
    /// closed if the batch is taken back.
    said_once: Vec<Arc<Link>>,
    /// All conversations are to take new incarnations, but the one of this row.
    renewal: Option<i64>,
    /// What is in memory is ahead of the store: read it again before anything else.
    stale: bool,
    /// The dialer was told of all that is in memory.
    is_dialling: bool,
    agenda: Agenda,
    time: TimeKeeping,
    /// Where the look at what is kept too long is.
    round: Round,
    /// Why the batch at hand must be taken back.
    store_failed: Option<Refusal>,
    pace: Pace,
}

impl Engine {
    /// Builds the engine and reads the contacts. Nothing runs yet.
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
            said_once: Vec::new(),
            renewal: None,
            stale: false,
            is_dialling: false,
            agenda: Agenda::default(),
            time: TimeKeeping::default(),
            round: Round::default(),
            store_failed: None,
            pace: Pace::default(),
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
    pub fn queue() -> (EngineHandle, Jobs) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let handle = EngineHandle::new(sender, stop.clone());
        (handle, Jobs::new(receiver, stop))
    }

    /// Runs until [`EngineHandle::stop`] or until every handle is gone. Call it on a thread of
    /// its own.
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

    /// Does what waits, as long as the store can be written.
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

    /// Reads the store again after a batch that was taken back.
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
                self.said_once.clear();
                self.note_written();
                self.perform_effects();
                self.empty_log();
            }
            Err(refusal) => self.take_back(refusal),
        }
        if !self.reads.is_empty() {
            self.answer_reads();
        }
    }

    fn flush_and_commit(&mut self) -> Result<(), StoreError> {
        self.dirty.flush(&self.store)?;
        self.store.commit()
    }

    fn note_written(&mut self) {
        if let Some(report) = self.pace.worked(Instant::now()) {
            report.log(FILE);
        } else if !self.store.is_tight() {
            return;
        }
        if let Err(error) = self.store.regain_room() {
            tracing::debug!(%error, "the room in the store is not known");
        }
    }

    /// Refuses what takes room on a full disk, so that what frees room can still be stored.
    fn require_disk(&mut self) -> Result<(), Refusal> {
        match self.store.has_room()? {
            true => Ok(()),
            false => Err(Refusal::new(Reason::DiskFull)),
        }
    }

    /// The batch is not on disk: nothing of it has happened.
    fn take_back(&mut self, refusal: Refusal) {
        self.store.roll_back();
        let refusal = self.note_failure(refusal);
        self.dirty.clear();
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Reply(reply) => reply(Err(refusal.clone())),
                // It is in no list any more.
                Effect::Close(link, code) => link.close(code),
                _ => {}
            }
        }
        self.later.clear();
        for link in self.said_once.drain(..) {
            link.close(CloseCode::Replaced);
        }
        self.stale = true;
    }

    /// Notes why a batch failed. Returns what its callers are told.
    fn note_failure(&mut self, refusal: Refusal) -> Refusal {
        let Some(mut fault) = refusal.fault else {
            // A call went wrong, not the store.
            return refusal;
        };
        if fault == Fault::Io && self.store.is_out_of_room() {
            fault = Fault::Full;
        }
        // SQLite also refuses to write once a page has failed its authentication.
        if fault == Fault::ReadOnly && self.store.is_writable() {
            fault = Fault::Damaged;
        }
        if fault == Fault::Full {
            self.store.make_room();
        }
        self.counters.count("STORE_BATCH_FAILED");
        self.store.health().write_failed(fault);
        let jitter = rand_core::Rng::next_u32(&mut self.rng);
        if let Some(report) = self.pace.failed(fault, Instant::now(), jitter) {
            report.log(FILE);
        }
        fault.into()
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
