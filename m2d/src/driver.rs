//! The engine's thread: it takes the inputs that wait, feeds the engine, and performs the effects of
//! each batch once it is on disk. It decides nothing.
//!
//! Inputs arrive through a bounded queue. All queued inputs up to a limit are processed in one
//! transaction (group commit). Every result that was reported is therefore on disk.

mod bus;
mod handle;
mod queue;

pub use bus::{Bus, LiveNotice};
pub use handle::{Answer, EngineHandle};
pub use queue::Jobs;

use m2_engine::clock::Clock;
use m2_engine::{Effect, Engine, Query, Refusal};
use m2_sqlite::pace::Pace;
use queue::{Job, Next, Write};
use rand_core::UnwrapErr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Capacity of the input queue. When it is full, callers and sessions wait (back-pressure).
const QUEUE: usize = 4_096;
/// Name of the store file in log messages.
const FILE: &str = "store.db";
/// The most inputs in one batch.
const BATCH: usize = 512;
/// How often the clock is checked while the engine is idle, in milliseconds: the clock may have
/// been set, or the machine may have slept.
const LOOK_EVERY_MS: u64 = 30_000;

/// Wakes the look-up tasks to read again what to publish and which peers to look for.
pub type LookupWake = watch::Sender<()>;

/// The places at which effects are performed.
pub trait Perform {
    /// Performs an effect. An event of the log may wait until [`Self::publish`].
    fn perform(&mut self, effect: Effect);

    /// Publishes the events of the log.
    fn publish(&mut self);
}

/// Drives the engine.
pub struct Driver<P> {
    engine: Engine,
    clock: Arc<Clock>,
    outlets: P,
    pace: Pace,
}

/// Creates the input queue: a handle for senders, and the receiving end for [`Driver::run`].
pub fn queue() -> (EngineHandle, Jobs) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let stop = CancellationToken::new();
    let handle = EngineHandle::new(sender, stop.clone());
    (handle, Jobs::new(receiver, stop))
}

impl<P: Perform> Driver<P> {
    /// Returns a driver of `engine`, which performs effects at `outlets`.
    pub fn new(engine: Engine, clock: Arc<Clock>, outlets: P) -> Self {
        Self {
            engine,
            clock,
            outlets,
            pace: Pace::default(),
        }
    }

    /// Runs until [`EngineHandle::stop`] is called or every handle is dropped. It blocks, so call
    /// it on a dedicated thread.
    ///
    /// Errors: no runtime for timers could be created.
    pub fn run(mut self, mut jobs: Jobs) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        runtime.block_on(self.work(&mut jobs));
        self.engine.close_sessions();
        self.perform_effects();
        if let Err(error) = self.engine.close() {
            tracing::warn!(%error, "the store's log could not be emptied: keep store.db-wal with store.db");
        }
        Ok(())
    }

    /// Processes jobs until the driver is stopped, and then those that are still queued.
    async fn work(&mut self, jobs: &mut Jobs) {
        self.perform_effects();
        loop {
            match self.next(jobs).await {
                Next::Batch(first) => self.run_batch(first, jobs),
                Next::Answer(query) => self.answer(query),
                Next::Again => {}
                Next::Stop => break,
            }
        }
        self.run_last(jobs);
    }

    async fn next(&self, jobs: &mut Jobs) -> Next {
        if jobs.is_stopped() {
            return Next::Stop;
        }
        if let Some(pause) = self.pace.pause(Instant::now()) {
            return jobs.next_in_pause(pause).await;
        }
        match self.engine.next_due_ms() {
            0 => Next::Batch(jobs.now()),
            due => {
                let wait = due.saturating_sub(self.clock.now_ms());
                let wait = Duration::from_millis(wait.min(LOOK_EVERY_MS));
                jobs.next(wait).await
            }
        }
    }

    /// Processes the queued inputs unless the store fails to write.
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
        self.engine.begin_batch();
        let (queries, refused) = self.handle_jobs(first, jobs);
        match self.engine.end_batch() {
            Ok(()) => self.note_written(),
            Err(refusal) => self.note_failed(&refusal, refused),
        }
        self.perform_effects();
        self.engine.tidy_up();
        queries.into_iter().for_each(|query| self.answer(query));
    }

    /// Handles the inputs of one batch. Returns its queries, and the input that was left out because
    /// the engine failed.
    fn handle_jobs(
        &mut self,
        first: Option<Job>,
        jobs: &mut Jobs,
    ) -> (Vec<Query>, Option<Box<Write>>) {
        let (mut queries, mut refused) = (Vec::new(), None);
        let mut next = first;
        let mut room = BATCH;
        while let Some(job) = next {
            match job {
                Job::Query(query) => queries.push(query),
                Job::Write(write) if self.engine.has_failed() => refused = Some(write),
                Job::Write(write) => {
                    let (input, _room) = write.take();
                    self.engine.handle(input);
                }
            }
            room = room.saturating_sub(1);
            let goes_on = room > 0 && !self.engine.has_failed();
            next = goes_on.then(|| jobs.now()).flatten();
        }
        (queries, refused)
    }

    fn note_written(&mut self) {
        if let Some(report) = self.pace.worked(Instant::now()) {
            report.log(FILE);
        }
    }

    /// Handles a batch that was rolled back, with the input that did not become a part of it.
    fn note_failed(&mut self, refusal: &Refusal, refused: Option<Box<Write>>) {
        if let Some(fault) = refusal.fault {
            let jitter = rand_core::Rng::next_u32(&mut UnwrapErr(getrandom::SysRng));
            if let Some(report) = self.pace.failed(fault, Instant::now(), jitter) {
                report.log(FILE);
            }
        }
        if let Some(write) = refused {
            self.engine.refuse(write.refuse(refusal));
        }
    }

    fn answer(&mut self, query: Query) {
        self.engine.answer(query);
        self.perform_effects();
    }

    fn perform_effects(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            self.outlets.perform(effect);
        }
        self.outlets.publish();
    }
}

#[cfg(test)]
pub(crate) mod tests;
