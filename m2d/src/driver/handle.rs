//! The interface through which other tasks use the engine.

use super::queue::{Job, Write};
use m2_engine::{Input, Query, Refusal, Reply};
use m2_proto::reason::Reason;
use std::sync::{Arc, OnceLock};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Sends inputs to the engine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    jobs: mpsc::Sender<Job>,
    stop: CancellationToken,
}

/// The pending answer to a queued request.
#[derive(Debug)]
pub struct Answer<T> {
    answer: oneshot::Receiver<Result<T, Refusal>>,
    /// Why the request was not processed, if it was not.
    refused: Arc<OnceLock<Refusal>>,
}

impl<T> Answer<T> {
    /// Waits for the answer, with the errors of [`EngineHandle::call`].
    pub async fn get(self) -> Result<T, Refusal> {
        let stopping = || Refusal::new(Reason::Stopping);
        let lost = |_| self.refused.get().cloned().unwrap_or_else(stopping);
        self.answer.await.map_err(lost)?
    }
}

impl EngineHandle {
    pub(super) fn new(jobs: mpsc::Sender<Job>, stop: CancellationToken) -> Self {
        Self { jobs, stop }
    }

    /// Stops the engine after the inputs that are queued now. If the store cannot be written, it
    /// stops at once and refuses them.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Returns whether the engine was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Sends a request and returns its answer once everything it wrote is on disk.
    ///
    /// Errors: those of the request; STOPPING when the engine is gone; the reason of a [`Fault`]
    /// when the batch could not be committed and was rolled back.
    ///
    /// [`Fault`]: m2_sqlite::Fault
    pub async fn call<T: Send + 'static, I: Into<Input>>(
        &self,
        request: impl FnOnce(Reply<T>) -> I,
    ) -> Result<T, Refusal> {
        self.begin(request).await?.get().await
    }

    /// Queues a request behind all earlier inputs and returns its pending answer, for callers that
    /// queue several requests in order.
    ///
    /// Errors: STOPPING when the engine is gone.
    pub async fn begin<T: Send + 'static, I: Into<Input>>(
        &self,
        request: impl FnOnce(Reply<T>) -> I,
    ) -> Result<Answer<T>, Refusal> {
        let (reply, answer) = Reply::channel();
        let write = Write::new(request(reply).into(), None);
        let refused = write.refused();
        self.submit(Job::Write(Box::new(write))).await?;
        Ok(Answer { answer, refused })
    }

    /// Sends a query, which is answered from the committed state. It also works while the store
    /// cannot be written.
    ///
    /// Errors: those of the query; STOPPING when the engine is gone; the reason of a fault when the
    /// store cannot be read.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(Reply<T>) -> Query,
    ) -> Result<T, Refusal> {
        let (reply, answer) = Reply::channel();
        self.submit(Job::Query(query(reply))).await?;
        let answer = Answer {
            answer,
            refused: Arc::default(),
        };
        answer.get().await
    }

    /// Queues an input without an answer. Waits while the queue is full.
    ///
    /// Errors: STOPPING when the engine is gone.
    pub async fn cast(&self, input: impl Into<Input>) -> Result<(), Refusal> {
        self.cast_with(input, None).await
    }

    /// Queues an input as [`Self::cast`] does, and keeps `room` until it is processed.
    pub async fn cast_with(
        &self,
        input: impl Into<Input>,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<(), Refusal> {
        let write = Write::new(input.into(), room);
        self.submit(Job::Write(Box::new(write))).await
    }

    async fn submit(&self, job: Job) -> Result<(), Refusal> {
        let sent = self.jobs.send(job).await;
        sent.map_err(|_| Refusal::new(Reason::Stopping))
    }
}
