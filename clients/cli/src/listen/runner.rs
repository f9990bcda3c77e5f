//! Runs the commands that the schedule starts.

use std::sync::Arc;
use std::time::Instant;

use m2_proto::api::v1::Event;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::hook::{Hook, Next, Task};
use super::schedule::{Number, Schedule};
use crate::failure::Failure;
use crate::output::Output;

/// The events that were taken from the stream, and the commands that run for them. Commands go on
/// while the daemon is absent; further ones start only in [`advance`](Self::advance).
pub(super) struct Runner {
    hook: Arc<Hook>,
    out: Output,
    schedule: Schedule<Task>,
    running: JoinSet<Ended>,
}

/// A command that has ended.
struct Ended {
    number: Number,
    task: Task,
    result: Result<(), String>,
}

impl Runner {
    pub(super) fn new(hook: Hook, jobs: usize, out: Output) -> Self {
        Self {
            hook: Arc::new(hook),
            out,
            schedule: Schedule::new(jobs),
            running: JoinSet::new(),
        }
    }

    /// Returns whether a further event may be taken.
    pub(super) fn has_room(&self) -> bool {
        self.schedule.has_room()
    }

    /// Returns whether every event is finished.
    pub(super) fn is_finished(&self) -> bool {
        self.schedule.is_finished()
    }

    /// Takes the next event of the stream.
    pub(super) fn take(&mut self, event: &Event) -> Result<(), Failure> {
        let task = Task::new(event)?;
        let (lane, size) = (task.peer_id().to_owned(), task.size());
        self.schedule.push(event.cursor.clone(), lane, size, task);
        Ok(())
    }

    /// Records a place of the stream for which no command runs.
    pub(super) fn pass(&mut self, cursor: String) {
        self.schedule.pass(cursor);
    }

    /// Starts the commands that may run, and waits until one has ended or a pause is over. Waits
    /// forever if there is neither. May be cancelled at any time.
    pub(super) async fn advance(&mut self) -> Result<(), Failure> {
        self.start();
        let wakes_at = self.schedule.wakes_at();
        let pause = async {
            match wakes_at {
                Some(at) => sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(ended) = self.running.join_next() => self.ended(ended),
            () = pause => Ok(()),
        }
    }

    /// Returns the cursor up to which all events are finished, if it has changed.
    pub(super) fn take_done(&mut self) -> Option<String> {
        self.schedule.take_done()
    }

    /// Waits for the commands that run. Starts no further ones.
    pub(super) async fn settle(&mut self) {
        while self.running.join_next().await.is_some() {}
    }

    /// Kills the commands that run.
    pub(super) async fn kill(&mut self) {
        self.running.shutdown().await;
    }

    fn start(&mut self) {
        while let Some((number, task)) = self.schedule.start(Instant::now()) {
            let hook = Arc::clone(&self.hook);
            self.running.spawn(async move {
                let result = hook.run(&task).await;
                Ended {
                    number,
                    task,
                    result,
                }
            });
        }
    }

    fn ended(&mut self, ended: Result<Ended, JoinError>) -> Result<(), Failure> {
        let Ended {
            number,
            mut task,
            result,
        } = ended.map_err(|error| Failure::Local(format!("A command was lost: {error}.")))?;
        let Err(trouble) = result else {
            self.schedule.finish(number);
            return Ok(());
        };
        match self.hook.failed(&mut task, &trouble)? {
            Next::Retry(pause) => {
                self.out
                    .note(&format!("The command failed ({trouble}); trying again."));
                let now = Instant::now();
                let at = now.checked_add(pause).unwrap_or(now);
                self.schedule.retry(number, task, at);
            }
            Next::DeadLetter(letter) => {
                self.out.json(&letter)?;
                self.schedule.finish(number);
            }
        }
        Ok(())
    }
}
