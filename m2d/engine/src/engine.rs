//! The engine's public interface: batches, inputs, queries and effects.

use crate::clock::Clock;
use crate::effect::Effect;
use crate::input::{Input, Query};
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::sessions::SessionInput;
use crate::settings::Settings;
use crate::state::{
    Batch, Changed, Conversations, Lines, Mail, Maintenance, Peers, Presences, Round, Sessions,
    Shared, State, TimeKeeping, WaitingSuites, is_sent_once,
};
use crate::{
    access, backups, call, clients, contact_paths, contact_view, contacts, dialling, invitations,
    letters, lines, loading, lookup, mailboxes, near, places, presence, privacy_facts, release,
    sending, sessions, shared, suites, summary, time, tuning, upkeep,
};
use m2_crypto::{Circle, Identity, PeerId};
use m2_limits::counters::Counters;
use m2_store::{Store, StoreError};
use m2_wire::CloseCode;
use rand_core::UnwrapErr;
use std::collections::VecDeque;
use std::sync::Arc;

/// Why a session ends of which a frame that is sent once was lost.
const FRAME_LOST: &str = "a frame of it was lost with a batch";

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
    pub(crate) state: State,
    /// True if the state in memory is ahead of the store and must be read again first.
    is_stale: bool,
    /// True once the dialer knows every contact in memory that needs a session.
    is_dialling: bool,
}

impl Engine {
    /// Builds the engine and reads the contacts.
    ///
    /// Errors: the store can't be read, or a restore in it can't be finished.
    pub fn new(parts: Parts) -> Result<Self, StoreError> {
        parts.store.finish_restore()?;
        let mut engine = Self {
            state: state_of(parts)?,
            is_stale: false,
            is_dialling: false,
        };
        let state = &mut engine.state;
        loading::reload(state)?;
        mailboxes::draw_keys(state)?;
        letters::resume(state);
        time::start_clock(state);
        release::report_changes(state);
        engine.is_dialling = dialling::dial_missing(state);
        Ok(engine)
    }

    /// Returns this daemon's peer id.
    pub const fn own_id(&self) -> PeerId {
        self.state.batch.own_id
    }

    /// Returns the number of the newest entry of the event log.
    ///
    /// Errors: the store can't be read.
    pub fn newest_event(&self) -> Result<i64, StoreError> {
        self.state.batch.store.newest_event()
    }

    /// Returns the incarnation of the event log, which every cursor carries.
    pub const fn log_incarnation(&self) -> u64 {
        self.state.log_incarnation
    }

    /// Begins a batch. If it fails, or if [`Self::has_failed`] returns true later, no more inputs are
    /// processed and [`Self::end_batch`] rolls it back.
    pub fn begin_batch(&mut self) {
        self.state.batch.failed = self.try_begin().err().map(Refusal::from);
    }

    /// Processes an input in the current batch.
    pub fn handle(&mut self, input: Input) {
        let engine = &mut self.state;
        if let Input::Session(input) = &input {
            presence::note(engine, input);
        }
        match input {
            Input::Access(request) => access::handle(engine, request),
            Input::Contact(request) => contacts::handle(engine, request),
            Input::Invitation(request) => invitations::handle(engine, request),
            Input::Message(request) => sending::handle(engine, request),
            Input::Stream(request) => clients::handle(engine, request),
            Input::Shared(request) => shared::handle(engine, request),
            Input::Line(input) => lines::handle(engine, input),
            Input::Mailbox(input) => mailboxes::handle(engine, input),
            Input::Backup(outcome, reply) => {
                call::run(engine, reply, |engine| backups::report(engine, outcome));
            }
            Input::Letter(input) => letters::handle(engine, input),
            Input::Session(input) => sessions::handle(engine, input),
            Input::DialFailed { peer, reason } => dialling::on_dial_failed(engine, &peer, reason),
            Input::BudgetLeft(left) => dialling::save_budget(engine, &left),
            Input::Found(finding) => lookup::take_finding(engine, finding),
            Input::HigherSuite(peer, suite) => suites::on_handshake(engine, peer, suite),
            Input::Tune(new, reply) => call::run(engine, reply, |engine| {
                tuning::tune(engine, *new);
                Ok(())
            }),
            Input::Probe(reply) => call::run(engine, reply, |engine| {
                // A store that can't be read is reported elsewhere; it is an answer, too.
                let _ = engine.batch.store.newest_event();
                Ok(())
            }),
        }
    }

    /// Takes an input that is not processed, because its batch failed. Its caller learns so from the
    /// driver. What the input says about a session is recorded, and a session of which a frame is
    /// lost is closed.
    pub fn refuse(&mut self, input: Input) {
        let Input::Session(input) = input else {
            return;
        };
        presence::note(&mut self.state, &input);
        let sessions = &mut self.state.sessions;
        match input {
            // A frame that is sent once per session is lost with it.
            SessionInput::Frame(id, message, _) if is_sent_once(&message) => {
                let batch = &mut self.state.batch;
                batch.close_anyway(id, CloseCode::Replaced, FRAME_LOST);
            }
            // The session is dropped when the state is read again.
            SessionInput::Down(end, _) => sessions.over.push(end.id),
            SessionInput::Silent(id) => sessions.set_doubt(id, true),
            SessionInput::Heard(id) => sessions.set_doubt(id, false),
            // Its peer is dialled when the state is read again.
            SessionInput::Old(id) => sessions.mark_stale(id),
            SessionInput::StillSilent(ids) => {
                ids.into_iter().for_each(|id| sessions.mark_stale(id));
            }
            _ => {}
        }
    }

    /// Returns whether the batch must be rolled back.
    pub const fn has_failed(&self) -> bool {
        self.state.batch.failed.is_some()
    }

    /// Runs the work that is due, then commits the batch, so that its effects may be performed. A
    /// batch that can't be committed is rolled back whole: its callers get the error, and the state
    /// in memory is read from the store again.
    ///
    /// Errors: why the batch was rolled back. It has a fault if the store failed.
    pub fn end_batch(&mut self) -> Result<(), Refusal> {
        self.run_due();
        let engine = &mut self.state;
        let written = match engine.batch.failed.take() {
            Some(refusal) => Err(refusal),
            None => engine.flush_and_commit().map_err(Refusal::from),
        };
        match written {
            Ok(()) => {
                engine.sessions.settle_epochs();
                engine.sessions.sent_once.clear();
                engine.sessions.over.clear();
                engine.suites.stored();
                engine.batch.note_written();
                release::release(engine);
                Ok(())
            }
            Err(refusal) => Err(self.roll_back(refusal)),
        }
    }

    /// Returns the next effect to perform.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.state.batch.effects.pop_front()
    }

    /// Returns when the next timed work is due, in Unix milliseconds; 0 for at once.
    pub fn next_due_ms(&self) -> u64 {
        upkeep::next_due_ms(&self.state)
    }

    /// Does the work that may wait until the effects of a batch are performed: empties the store's
    /// log, if that is due.
    pub fn tidy_up(&mut self) {
        upkeep::empty_log(&mut self.state);
    }

    /// Answers a query, after a batch or between two.
    pub fn answer(&mut self, query: Query) {
        match query {
            Query::Contact(name, reply) => self.tell(reply, |it| contact_view::get(it, &name)),
            Query::PeerIds(names, reply) => {
                self.tell(reply, |it| contact_view::peer_ids(it, &names));
            }
            Query::Contacts {
                state,
                after,
                limit,
                reply,
            } => self.tell(reply, |it| contact_view::list(it, state, &after, limit)),
            Query::Presence(filter, reply) => {
                self.tell(reply, |it| presence::presence(it, &filter));
            }
            Query::Summary(reply) => self.tell(reply, |it| summary::summary(it)),
            Query::PrivacyFacts(reply) => self.tell(reply, privacy_facts::privacy_facts),
            Query::PathsTo(contact, reply) => {
                self.tell(reply, |it| contact_paths::paths_to(it, &contact));
            }
            Query::AllPaths(reply) => self.tell(reply, contact_paths::all_paths),
            Query::Invitations(reply) => self.tell(reply, invitations::list),
            Query::IsInvited {
                proof_key,
                proof,
                reply,
            } => self.tell(reply, |it| invitations::is_invited(it, &proof_key, proof)),
            Query::Mailboxes(reply) => self.tell(reply, mailboxes::list),
            Query::IsProvider(peer, reply) => {
                self.tell(reply, |it| mailboxes::is_provider(it, &peer));
            }
            Query::Lines(reply) => self.tell(reply, lines::list),
            Query::Publications(day, reply) => self.tell(reply, |it| lookup::publications(it, day)),
            Query::Sought(reply) => self.tell(reply, lookup::sought),
            Query::Near(reply) => self.tell(reply, near::near),
        }
    }

    /// Closes all sessions, as the daemon stops. Their ends are effects.
    pub fn close_sessions(&mut self) {
        let all = self.state.sessions.ids();
        let ends: Vec<Effect> = all
            .map(|id| Effect::Close(id, CloseCode::ShuttingDown))
            .collect();
        self.state.batch.effects.extend(ends);
    }

    /// Closes the store.
    ///
    /// Errors: the store's log could not be emptied. It must be kept with the store.
    pub fn close(mut self) -> Result<(), StoreError> {
        // A suite that can't be stored now is stored by the next session.
        if suites::store_all(&mut self.state).is_err() {
            self.state.batch.store.roll_back();
        }
        self.state.batch.store.close()
    }

    fn try_begin(&mut self) -> Result<(), StoreError> {
        self.refresh()?;
        self.state.batch.store.begin()
    }

    /// Reads the state from the store again if a batch was rolled back.
    fn refresh(&mut self) -> Result<(), StoreError> {
        if self.is_stale {
            loading::reload(&mut self.state)?;
            self.is_stale = false;
            self.is_dialling = false;
        }
        self.is_dialling = self.is_dialling || dialling::dial_missing(&mut self.state);
        Ok(())
    }

    fn run_due(&mut self) {
        let engine = &mut self.state;
        if engine.batch.failed.is_none()
            && let Err(refusal) = time::follow_clock(engine)
        {
            engine.batch.fail(refusal);
        }
        if engine.batch.failed.is_none() {
            upkeep::run_timers(engine);
        }
        if let Some(renewal) = engine.conversations.renewal.take()
            && engine.batch.failed.is_none()
            && let Err(refusal) = places::renew_all(engine, renewal)
        {
            engine.batch.fail(refusal);
        }
    }

    /// Rolls back a batch that is not on disk, so that it has no effect. Returns the refusal for its
    /// callers.
    fn roll_back(&mut self, refusal: Refusal) -> Refusal {
        let State {
            batch,
            conversations,
            sessions,
            shared,
            suites,
            ..
        } = &mut self.state;
        batch.store.roll_back();
        let refusal = batch.note_failure(refusal);
        batch.drop_steps(&refusal);
        conversations.roll_back();
        shared.roll_back();
        suites.not_stored(batch.now_ms());
        sessions.take_back_epochs();
        for id in std::mem::take(&mut sessions.sent_once) {
            batch.close_anyway(id, CloseCode::Replaced, FRAME_LOST);
        }
        self.is_stale = true;
        refusal
    }

    /// Runs a query on the committed state, and answers it.
    fn tell<T: Send + 'static>(
        &mut self,
        reply: Reply<T>,
        query: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) {
        let refreshed = self.refresh().map_err(|error| {
            let health = self.state.batch.store.health();
            health.read_failed(error.fault());
            Refusal::from(error)
        });
        let answer = refreshed.and_then(|()| query(&mut self.state));
        let answer = self.state.batch.failed.take().map_or(answer, Err);
        reply.send(answer);
    }
}

/// Returns the state of an engine that has read no contacts yet.
fn state_of(parts: Parts) -> Result<State, StoreError> {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let log_incarnation = parts
        .store
        .event_log(|| rand_core::Rng::next_u64(&mut rng))?;
    let settings = parts.settings;
    Ok(State {
        lines: Lines::new(settings.lines, parts.identity.line_key()),
        mail: Mail::new(settings.letters, parts.clock.now_ms()),
        batch: Batch {
            own_id: parts.identity.peer_id(parts.circle.id()),
            store: parts.store,
            clock: parts.clock,
            rng,
            identity: parts.identity,
            circle: parts.circle,
            limits: settings.limits,
            counters: parts.counters,
            steps: Vec::new(),
            effects: VecDeque::new(),
            changed: Changed::default(),
            failed: None,
            was_failing: false,
        },
        peers: Peers::default(),
        sessions: Sessions::default(),
        conversations: Conversations::default(),
        maintenance: Maintenance::default(),
        suites: WaitingSuites::default(),
        presences: Presences::default(),
        shared: Shared::default(),
        round: Round::default(),
        time: TimeKeeping::default(),
        log_incarnation,
    })
}
