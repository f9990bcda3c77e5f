//! The receiving end of the engine's job queue, and its stop signal.

use super::BATCH;
use super::effect::{Job, Read, Write};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Receives the engine's jobs.
pub struct Jobs {
    queue: mpsc::Receiver<Job>,
    /// Writes that arrived while no batch was attempted. At most [`BATCH`]; then the queue fills
    /// up, and its senders wait.
    held: VecDeque<Write>,
    stop: CancellationToken,
}

/// The engine's next step.
pub(super) enum Next {
    /// Run a batch that begins with this job, or with due timers.
    Batch(Option<Job>),
    /// Answer a query without a batch.
    Answer(Read),
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

    /// Waits for at most `pause` and returns queries only; writes are held back.
    pub(super) async fn next_in_pause(&mut self, pause: Duration) -> Next {
        let has_place = self.held.len() < BATCH;
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Next::Stop,
            job = self.queue.recv(), if has_place => match job {
                Some(Job::Read(read)) => Next::Answer(read),
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
