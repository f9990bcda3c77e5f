//! The receiving end of the engine's input queue, and its stop signal.

use super::BATCH;
use m2_engine::{Input, Query, Refusal};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::CancellationToken;

/// A queued input or query.
pub(super) enum Job {
    /// An input, processed in a batch.
    Write(Box<Write>),
    /// A query, answered after the batch, whether or not that was committed. A failed write of
    /// another caller does not affect it.
    Query(Query),
}

/// A queued input.
pub(super) struct Write {
    input: Input,
    /// Room that the input takes up, released once it is processed.
    room: Option<OwnedSemaphorePermit>,
    /// Tells the caller why the input was not processed.
    refused: Arc<OnceLock<Refusal>>,
}

impl Write {
    pub(super) fn new(input: Input, room: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            input,
            room,
            refused: Arc::default(),
        }
    }

    /// Returns the place in which the caller finds why its request was not processed.
    pub(super) fn refused(&self) -> Arc<OnceLock<Refusal>> {
        self.refused.clone()
    }

    /// Returns the input to process it, and its room.
    pub(super) fn take(self) -> (Input, Option<OwnedSemaphorePermit>) {
        (self.input, self.room)
    }

    /// Tells the caller that its input can't be processed. Returns the input.
    pub(super) fn refuse(self, refusal: &Refusal) -> Input {
        self.refused.get_or_init(|| refusal.clone());
        self.input
    }
}

/// Receives the engine's inputs.
pub struct Jobs {
    queue: mpsc::Receiver<Job>,
    /// Inputs that arrived while no batch was attempted. At most [`BATCH`]; then the queue fills
    /// up, and its senders wait.
    held: VecDeque<Box<Write>>,
    stop: CancellationToken,
}

/// The driver's next step.
pub(super) enum Next {
    /// Run a batch that begins with this job, or with due timers.
    Batch(Option<Job>),
    /// Answer a query without a batch.
    Answer(Query),
    /// Check again, as time has passed.
    Again,
    /// Stop.
    Stop,
}

impl Jobs {
    pub(super) fn new(queue: mpsc::Receiver<Job>, stop: CancellationToken) -> Self {
        Self {
            queue,
            held: VecDeque::new(),
            stop,
        }
    }

    /// Returns whether the engine was asked to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Takes a job that is already queued.
    pub(super) fn now(&mut self) -> Option<Job> {
        let held = self.held.pop_front().map(Job::Write);
        held.or_else(|| self.queue.try_recv().ok())
    }

    /// Waits for the next job. After `wait`, returns a batch without a job.
    pub(super) async fn next(&mut self, wait: Duration) -> Next {
        if let Some(held) = self.held.pop_front() {
            return Next::Batch(Some(Job::Write(held)));
        }
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Next::Stop,
            job = self.queue.recv() => job.map_or(Next::Stop, |job| Next::Batch(Some(job))),
            () = tokio::time::sleep(wait) => Next::Batch(None),
        }
    }

    /// Waits for at most `pause` and returns queries only; inputs are held back.
    pub(super) async fn next_in_pause(&mut self, pause: Duration) -> Next {
        let has_place = self.held.len() < BATCH;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Next::Stop,
            job = self.queue.recv(), if has_place => match job {
                Some(Job::Query(query)) => Next::Answer(query),
                Some(Job::Write(write)) => {
                    self.held.push_back(write);
                    Next::Again
                }
                None => Next::Stop,
            },
            () = tokio::time::sleep(pause) => Next::Again,
        }
    }

    /// Closes the queue for new jobs.
    pub(super) fn close(&mut self) {
        self.queue.close();
    }
}
