//! The stream of one of the workers that share a client name.

use super::heartbeat::Heartbeat;
use super::stream::{Answers, Gone, dropped, keep_seen, see};
use crate::api::convert;
use crate::api::pages::PAGE_BYTES;
use crate::api::session::{ApiState, Lease, Ready};
use m2_engine::{Given, Refusal, SharedRequest, Taken, WorkerId};
use m2_proto::api::v1 as pb;
use m2_proto::reason::Reason;
use m2_store::{EventRow, PageSize, Reader};
use rand_core::{Rng as _, UnwrapErr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tonic::Status;

const ONE: PageSize = PageSize {
    rows: 1,
    bytes: PAGE_BYTES,
};

/// The stream of a worker.
pub(super) struct WorkerStream {
    id: WorkerId,
    heartbeat: Heartbeat,
    answers: Answers,
    /// The events that the worker was given and that are not sent yet.
    unsent: Vec<i64>,
}

impl WorkerStream {
    /// Returns the stream of a worker that has joined its name.
    pub(super) const fn new(id: WorkerId, heartbeat: Heartbeat, answers: Answers) -> Self {
        Self {
            id,
            heartbeat,
            answers,
            unsent: Vec::new(),
        }
    }

    /// Sends the events that the worker is given until the front-end disconnects or the daemon stops, which it reports to
    /// the front-end.
    pub(super) async fn follow(mut self, state: Arc<ApiState>, lease: Lease) {
        let Ok(ready) = state.ready() else { return };
        let answers = self.answers.clone();
        tokio::select! {
            _ = self.send_events(ready) => {}
            () = keep_seen(ready, Some(lease.client())) => {}
            () = state.stop.cancelled() => {
                // A front-end that reads too slowly sees the connection close.
                let _ = answers.send(Err(Reason::Stopping.status())).await;
            }
        }
        // If the store can't be written, the leases end at their time.
        let _ = leave(ready, self.id, self.unsent).await;
        let _ = see(ready, lease.client()).await;
    }

    async fn send_events(&mut self, ready: &Ready) -> Result<(), Gone> {
        let mut newest = ready.bus.follow();
        let mut changed = ready.bus.shared();
        loop {
            newest.mark_seen();
            changed.mark_unchanged();
            let taken = match self.take(ready).await {
                Ok(taken) => taken,
                Err(refusal) => return self.send(Err(refusal.into())).await,
            };
            let wait = taken.wait_ms.map(Duration::from_millis);
            let is_caught_up = taken.is_caught_up;
            if self.send_taken(taken, ready).await? {
                continue;
            }
            tokio::select! {
                () = self.answers.closed() => return Err(Gone),
                is_newer = newest.changed() => if !is_newer { return Ok(()) },
                _ = changed.changed() => {}
                () = pause(wait) => {}
                () = self.heartbeat.due(), if is_caught_up => {}
            }
        }
    }

    async fn take(&mut self, ready: &Ready) -> Result<Taken, Refusal> {
        let id = self.id;
        let taken = ready
            .engine
            .call(|reply| SharedRequest::Take(id, reply))
            .await?;
        self.unsent = taken.events.iter().map(|given| given.seq).collect();
        Ok(taken)
    }

    /// Sends what the worker has taken. Returns whether there may be more.
    async fn send_taken(&mut self, taken: Taken, ready: &Ready) -> Result<bool, Gone> {
        if let Some((count, seq)) = taken.dropped {
            self.send(Ok(dropped(count, seq, ready.incarnation)))
                .await?;
        }
        let has_events = !taken.events.is_empty();
        for given in taken.events {
            self.send_given(given, ready).await?;
        }
        if taken.is_caught_up && self.heartbeat.beats(Instant::now()) {
            let cursor = convert::cursor(ready.incarnation, taken.considered);
            self.send(Ok(pb::SubscribeResponse {
                caught_up: Some(pb::CaughtUp { cursor }),
                ..Default::default()
            }))
            .await?;
        }
        Ok(has_events)
    }

    async fn send_given(&mut self, given: Given, ready: &Ready) -> Result<(), Gone> {
        let answer = match event(ready, given.seq).await {
            Ok(Some(row)) => pb::SubscribeResponse {
                event: Some(convert::event(row, ready.incarnation)),
                delivery: Some(pb::Delivery {
                    number: given.delivery,
                    until: Some(convert::timestamp(given.until_ms)),
                }),
                ..Default::default()
            },
            // It was deleted a moment ago: the next call drops it.
            Ok(None) => return Ok(()),
            Err(refusal) => {
                self.send(Err(refusal.into())).await?;
                return Err(Gone);
            }
        };
        self.send(Ok(answer)).await?;
        self.unsent.retain(|seq| *seq != given.seq);
        Ok(())
    }

    async fn send(&self, answer: Result<pb::SubscribeResponse, Status>) -> Result<(), Gone> {
        self.answers.send(answer).await.map_err(|_| Gone)
    }
}

/// Returns a random id for a worker.
pub(super) fn new_id() -> WorkerId {
    WorkerId(UnwrapErr(getrandom::SysRng).next_u64())
}

/// Removes a worker that these events did not reach.
pub(super) async fn leave(ready: &Ready, id: WorkerId, unsent: Vec<i64>) -> Result<(), Refusal> {
    ready
        .engine
        .call(|reply| SharedRequest::Leave(id, unsent, reply))
        .await
}

async fn pause(wait: Option<Duration>) {
    match wait {
        Some(wait) => sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// Returns an event, from memory or from the store; `None` if it is not stored any more.
async fn event(ready: &Ready, seq: i64) -> Result<Option<EventRow>, Refusal> {
    let is_it = |row: &EventRow| row.seq == seq;
    let live = ready.bus.live_after(seq - 1).into_iter().next();
    if let Some(row) = live.filter(is_it) {
        return Ok(Some(row));
    }
    let read = move |reader: &Reader| reader.events(seq - 1, ONE);
    let rows = ready.readers.read(read).await?;
    Ok(rows.into_iter().next().filter(is_it))
}
