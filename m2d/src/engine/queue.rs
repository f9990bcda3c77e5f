//! The engine's end of its queue, and how it is told to stop.

use super::BATCH;
use super::effect::{Job, Read, Write};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Jobs that wait for the engine.
pub struct Jobs {
    queue: mpsc::Receiver<Job>,
    /// Writes that came while no batch was tried. Bounded by [`BATCH`]: behind them the queue
    /// waits, and its senders.
    held: VecDeque<Write>,
    stop: CancellationToken,
}

/// What the engine does next.
pub(super) enum Next {
    /// Run a batch that begins with this job, or with what is due.
    Batch(Option<Job>),
    /// Answer a question; no batch is tried now.
    Answer(Read),
    /// Look again: time has passed.
    Again,
    /// End.
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

    /// Whether the engine was told to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// A job that waits already.
    pub(super) fn now(&mut self) -> Option<Job> {
        let held = self.held.pop_front().map(Job::Write);
        held.or_else(|| self.queue.try_recv().ok())
    }

    /// The next job, after at most `wait` a batch without one.
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

    /// Takes questions for at most `pause`, in which nothing is written.
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

    /// Takes no more jobs.
    pub(super) fn close(&mut self) {
        self.queue.close();
    }
}
