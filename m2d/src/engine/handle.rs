//! The interface through which other tasks use the engine.

use super::Engine;
use super::effect::{Job, Reply, Write};
use crate::refusal::Refusal;
use m2_proto::reason::Reason;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Sends jobs to the engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    jobs: mpsc::Sender<Job>,
    stop: CancellationToken,
}

/// The pending result of a queued call.
#[derive(Debug)]
pub struct Answer<T>(oneshot::Receiver<Result<T, Refusal>>);

impl<T> Answer<T> {
    /// Waits for the result, with the errors of [`EngineHandle::call`].
    pub async fn get(self) -> Result<T, Refusal> {
        let result = self.0.await;
        result.unwrap_or_else(|_| Err(Refusal::new(Reason::Stopping)))
    }
}

impl EngineHandle {
    pub(super) fn new(jobs: mpsc::Sender<Job>, stop: CancellationToken) -> Self {
        Self { jobs, stop }
    }

    /// Stops the engine after the jobs that are queued now. If the store cannot be written, it
    /// stops at once and refuses them.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Runs `work` and returns its result once everything it wrote is on disk.
    ///
    /// Errors: those of `work`; STOPPING when the engine is gone; the reason of a [`Fault`] when
    /// the batch could not be committed and was rolled back.
    ///
    /// [`Fault`]: m2_sqlite::Fault
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        self.begin(work).await?.get().await
    }

    /// Queues `work` behind all earlier jobs and returns its pending result, for callers that queue
    /// several jobs in order.
    ///
    /// Errors: STOPPING when the engine is gone.
    pub async fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Answer<T>, Refusal> {
        let (sender, receiver) = oneshot::channel();
        let job: Write = Box::new(move |engine| {
            let result = engine.map(|engine| engine.run_call(work));
            let reply: Reply = Box::new(move |committed| {
                let _ = sender.send(outcome(result, committed));
            });
            Some(reply)
        });
        self.submit(Job::Write(job)).await?;
        Ok(Answer(receiver))
    }

    /// Runs `work`, which must not change anything, on the committed state. It also works while the
    /// store cannot be written.
    ///
    /// Errors: those of `work`; STOPPING when the engine is gone; the reason of a fault when the
    /// store cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (sender, receiver) = oneshot::channel();
        let read = Box::new(move |engine: Result<&mut Engine, Refusal>| {
            let _ = sender.send(engine.and_then(|engine| engine.run_read(work)));
        });
        self.submit(Job::Read(read)).await?;
        Answer(receiver).get().await
    }

    /// Queues `work` without waiting for a result. Waits while the queue is full.
    pub async fn cast(
        &self,
        work: impl FnOnce(&mut Engine) + Send + 'static,
    ) -> Result<(), Refusal> {
        self.cast_or(work, || {}).await
    }

    /// Queues `work` as [`Self::cast`] does. If the store cannot be written, runs `otherwise`
    /// instead.
    pub async fn cast_or(
        &self,
        work: impl FnOnce(&mut Engine) + Send + 'static,
        otherwise: impl FnOnce() + Send + 'static,
    ) -> Result<(), Refusal> {
        self.submit(Job::Write(Box::new(move |engine| {
            match engine {
                Some(engine) => work(engine),
                None => otherwise(),
            }
            None
        })))
        .await
    }

    async fn submit(&self, job: Job) -> Result<(), Refusal> {
        self.jobs
            .send(job)
            .await
            .map_err(|_| Refusal::new(Reason::Stopping))
    }
}

/// Combines the result of a call with that of its batch. A refused call keeps its own reason,
/// whether or not the batch was committed. A call that did not run gets the batch's error.
fn outcome<T>(
    result: Option<Result<T, Refusal>>,
    committed: Result<(), Refusal>,
) -> Result<T, Refusal> {
    match result {
        Some(Err(refusal)) if refusal.fault.is_none() => Err(refusal),
        Some(result) => committed.and(result),
        None => committed.and(Err(Refusal::new(Reason::Internal))),
    }
}

impl Engine {
    fn run_call<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = self.store.changes();
        let result = work(self);
        if let Err(refusal) = &result {
            if refusal.fault.is_some() {
                // Partial writes of a failed call must not be committed.
                self.fail_batch(refusal.clone());
            } else if self.store.changes() != before {
                // A call must check everything before it writes. One that does not is rolled back
                // with its batch instead of being left half done.
                self.counters.count("CALL_HALF_DONE");
                self.fail_batch(Refusal::new(Reason::StoreFailed));
            }
        }
        result
    }

    fn run_read<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let result = work(self);
        self.store_failed.take().map_or(result, Err)
    }
}
