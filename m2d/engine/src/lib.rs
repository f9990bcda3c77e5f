#![doc = include_str!("../README.md")]

mod clients;
pub mod clock;
mod contact_paths;
mod contacts;
mod conversation;
mod dialling;
mod dirty;
mod effect;
mod erasing;
mod faults;
mod frames;
mod inbox;
mod input;
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
mod prioritised;
mod problem;
pub mod pseudonym;
mod refusal;
mod requests;
mod retention;
mod sending;
mod session;
mod sessions;
mod settings;
mod summary;
mod time;
mod upkeep;

pub use clients::{StreamRequest, StreamStart};
pub use contact_paths::ContactPaths;
pub use contacts::{ContactRequest, ContactView};
pub use effect::{Effect, LiveEvent};
pub use input::{Held, Input, Query, Reply};
pub use invitations::{InvitationRequest, NewInvitation};
pub use letters::{DepositEnd, DepositJob, LetterInput};
pub use lines::{LineHealth, LineInput, LineSettings, LineView, OpenAt, OpenLines, PrivacyFacts};
pub use lookup::{Discovery, FoundBy, LookupTarget, PresencePlan};
pub use mail::BoxHealth;
pub use mailboxes::{MailboxInput, MailboxView};
pub use near::Near;
pub use policy::PolicyChange;
pub use refusal::Refusal;
pub use sending::{Failure, MessageRequest, NewMessage, SentMessage};
pub use session::{Session, is_sent_once};
pub use sessions::{Arrived, GrantCheck, SessionEnd, SessionInput};
pub use settings::{LetterTimes, Settings};
pub use summary::Summary;

use clock::Clock;
use dirty::Dirty;
use effect::Step;
use lines::Lines;
use m2_core::StoreLimits;
use m2_core::sessions::SessionId;
use m2_core::strangers::Strangers;
use m2_crypto::{Circle, Identity, PeerId};
use m2_delivery::MessageId;
use m2_limits::counters::Counters;
use m2_store::{OutboxPayload, Store, StoreError};
use m2_wire::CloseCode;
use mail::Mail;
use peer_state::PeerState;
use rand_core::UnwrapErr;
use retention::Round;
use session::Sessions;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use time::TimeKeeping;
use upkeep::MaintenanceTimers;

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
    /// The engine's part of the configuration.
    pub settings: Settings,
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
    limits: StoreLimits,
    mailbox: LetterTimes,
    mail: Mail,
    lines: Lines,
    peers: HashMap<i64, PeerState>,
    rows: HashMap<PeerId, i64>,
    sessions: Sessions,
    /// Sessions with peers that have no row, oldest first. They may only send a contact request.
    strangers: Strangers<SessionId>,
    timers: BTreeSet<(u64, i64)>,
    /// The older ones of crossed sessions, and when they are closed, in Unix milliseconds.
    crossed: BTreeSet<(u64, SessionId)>,
    dirty: Dirty,
    /// The decisions of this batch.
    steps: Vec<Step>,
    /// The effects of batches that are on disk.
    effects: VecDeque<Effect>,
    counters: Arc<Counters>,
    /// Payloads that were read from the store to be sealed again in the next batch.
    later: Vec<(i64, MessageId, Result<OutboxPayload, StoreError>)>,
    /// The session whose envelope is processed, on which it is acknowledged.
    answering: Option<SessionId>,
    /// Messages whose outbox rows this batch changed or deleted: bytes that were sealed for them
    /// before may be out of date.
    rewritten: HashSet<MessageId>,
    /// Sessions with once-per-session frames in this batch. They are closed if it is rolled back.
    sent_once: Vec<SessionId>,
    /// Set when all conversations must take new incarnations, except that of this row (0: no
    /// exception).
    renewal: Option<i64>,
    /// Set when the state in memory is ahead of the store and must be read again first.
    stale: bool,
    /// Sessions that were reported as ended in the batch that was rolled back last.
    over: Vec<SessionId>,
    /// Set once the dialer knows every contact in memory that needs a session.
    is_dialling: bool,
    maintenance: MaintenanceTimers,
    time: TimeKeeping,
    /// Progress of the retention scan.
    round: Round,
    /// Set when the current batch must be rolled back, with the reason.
    store_failed: Option<Refusal>,
    /// Set from a fault of the store until a batch is written again.
    store_was_failing: bool,
}

impl Engine {
    /// Builds the engine and reads the contacts.
    pub fn new(parts: Parts) -> Result<Self, StoreError> {
        let mut rng = UnwrapErr(getrandom::SysRng);
        parts.store.finish_restore()?;
        let log_incarnation = parts
            .store
            .event_log(|| rand_core::Rng::next_u64(&mut rng))?;
        let settings = parts.settings;
        let mut engine = Self {
            own_id: parts.identity.peer_id(parts.circle.id()),
            lines: Lines::new(settings.lines, parts.identity.line_key()),
            store: parts.store,
            clock: parts.clock,
            rng,
            identity: parts.identity,
            circle: parts.circle,
            log_incarnation,
            limits: settings.limits,
            mailbox: settings.letters,
            mail: Mail::default(),
            peers: HashMap::new(),
            rows: HashMap::new(),
            sessions: Sessions::default(),
            strangers: Strangers::default(),
            timers: BTreeSet::new(),
            crossed: BTreeSet::new(),
            dirty: Dirty::default(),
            steps: Vec::new(),
            effects: VecDeque::new(),
            counters: parts.counters,
            later: Vec::new(),
            answering: None,
            rewritten: HashSet::new(),
            sent_once: Vec::new(),
            renewal: None,
            stale: false,
            over: Vec::new(),
            is_dialling: false,
            maintenance: MaintenanceTimers::default(),
            time: TimeKeeping::default(),
            round: Round::default(),
            store_failed: None,
            store_was_failing: false,
        };
        engine.mail.started = engine.clock.now_ms();
        engine.reload()?;
        // With a full disk these letters wait a little longer.
        let now = engine.mail.started;
        let resumed = engine.store.resume_letters(now);
        if let Err(error) = resumed.and_then(|()| engine.store.restart_letters(now)) {
            tracing::debug!(%error, "letters can't be resumed");
        }
        engine.start_clock();
        engine.is_dialling = engine.dial_missing();
        Ok(engine)
    }

    /// Returns this daemon's peer id.
    pub const fn own_id(&self) -> PeerId {
        self.own_id
    }

    /// Returns the number of the newest entry of the event log.
    ///
    /// Errors: the store can't be read.
    pub fn newest_event(&self) -> Result<i64, StoreError> {
        self.store.newest_event()
    }

    /// Begins a batch. If it fails, or [`Self::has_failed`] afterwards, no more inputs are processed
    /// and [`Self::end_batch`] rolls it back.
    pub fn begin_batch(&mut self) {
        self.store_failed = self.try_begin().err().map(Refusal::from);
        if self.store_failed.is_none() {
            self.answer_payloads();
        }
    }

    /// Returns whether the batch must be rolled back.
    pub const fn has_failed(&self) -> bool {
        self.store_failed.is_some()
    }

    /// Runs the work that is due, then commits the batch, so that its effects may be performed. A
    /// batch that can't be committed is rolled back whole: its callers get the error, and the state
    /// in memory is read from the store again.
    ///
    /// Errors: why the batch was rolled back. It has a fault if the store failed.
    pub fn end_batch(&mut self) -> Result<(), Refusal> {
        self.run_due();
        let written = match self.store_failed.take() {
            Some(refusal) => Err(refusal),
            None => self.flush_and_commit().map_err(Refusal::from),
        };
        match written {
            Ok(()) => {
                self.sent_once.clear();
                self.over.clear();
                self.note_written();
                self.release_effects();
                self.rewritten.clear();
                Ok(())
            }
            Err(refusal) => Err(self.roll_back(refusal)),
        }
    }

    fn run_due(&mut self) {
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
    }

    /// Returns the next effect to perform.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Returns when the next timed work is due, in Unix milliseconds; 0 for at once.
    pub fn next_due_ms(&self) -> u64 {
        if !self.later.is_empty() {
            return 0;
        }
        let timer = self.timers.first().map_or(u64::MAX, |(due, _)| *due);
        let crossed = self.crossed.first().map_or(u64::MAX, |(due, _)| *due);
        timer
            .min(crossed)
            .min(self.maintenance.due())
            .min(self.mail.due)
    }

    /// Does what may follow the effects of a batch: empties the store's log, if that is due.
    pub fn tidy_up(&mut self) {
        self.empty_log();
    }

    /// Closes all sessions, as the daemon stops. Their ends are effects.
    pub fn close_sessions(&mut self) {
        let all = self.sessions.ids();
        let ends = all.map(|id| Effect::Close(id, CloseCode::ShuttingDown));
        let ends: Vec<Effect> = ends.collect();
        self.effects.extend(ends);
    }

    /// Closes the store.
    ///
    /// Errors: the store's log could not be emptied. It must be kept with the store.
    pub fn close(self) -> Result<(), StoreError> {
        self.store.close()
    }

    fn try_begin(&mut self) -> Result<(), StoreError> {
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

    /// Reads the state from the store again if a batch was rolled back, for a query.
    fn refreshed(&mut self) -> Result<(), Refusal> {
        self.refresh().map_err(|error| {
            self.store.health().read_failed(error.fault());
            Refusal::from(error)
        })
    }

    fn flush_and_commit(&mut self) -> Result<(), StoreError> {
        self.dirty.flush(&self.store)?;
        self.store.commit()
    }

    /// Rolls back a batch that is not on disk, so that it has no effect. Returns the refusal for its
    /// callers.
    fn roll_back(&mut self, refusal: Refusal) -> Refusal {
        self.store.roll_back();
        let refusal = self.note_failure(refusal);
        self.dirty.clear();
        self.drop_steps(&refusal);
        self.later.clear();
        self.rewritten.clear();
        for id in std::mem::take(&mut self.sent_once) {
            let lost = Effect::Close(id, CloseCode::Replaced);
            self.effects.push_back(lost);
        }
        self.stale = true;
        refusal
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

    fn run_timers(&mut self) {
        let now = self.now_ms();
        while let Some((due, row)) = self.timers.first().copied() {
            if due > now {
                break;
            }
            self.timers.remove(&(due, row));
            self.on_conversation_timeout(row);
        }
        while let Some((due, id)) = self.crossed.first().copied().filter(|(due, _)| *due <= now) {
            self.crossed.remove(&(due, id));
            self.end_crossed(id);
        }
        if self.maintenance.due().min(self.mail.due) <= now {
            self.upkeep(now);
        }
    }
}
