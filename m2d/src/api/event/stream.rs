//! The stream of one front-end.

use super::heartbeat::Heartbeat;
use super::subscription::Subscription;
use crate::api::convert;
use crate::api::notices::Notices;
use crate::api::pages::PAGE_BYTES;
use crate::api::session::{ApiState, Lease, Ready};
use m2_engine::{ContactNotice, EventFilter, Query, Refusal, StreamRequest, StreamStart};
use m2_proto::api::v1 as pb;
use m2_proto::reason::Reason;
use m2_store::{EventRow, PageSize, Reader};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::Status;

/// The maximum size of a page of events that is read from the store at once.
const PAGE: PageSize = PageSize {
    rows: 256,
    bytes: PAGE_BYTES,
};
/// The interval at which a connected client is recorded as seen. Unused names are deleted after
/// weeks.
const SEEN_EVERY: Duration = Duration::from_secs(86_400);

/// The answers that wait for the front-end.
pub(super) type Answers = mpsc::Sender<Result<pb::SubscribeResponse, Status>>;

/// The front-end has disconnected, or the stream has failed.
pub(super) struct Gone;

/// A stream of events.
pub(super) struct Stream {
    /// The number of the event up to which all were considered.
    after: i64,
    /// True if that is the stored cursor of a client.
    is_kept: bool,
    filter: EventFilter,
    notices: Notices,
    heartbeat: Heartbeat,
    answers: Answers,
}

impl Stream {
    /// Returns a stream that starts after event number `after`.
    pub(super) fn new(
        subscription: Subscription,
        after: i64,
        notices: Notices,
        answers: Answers,
    ) -> Self {
        Self {
            after,
            is_kept: subscription.start == StreamStart::Kept,
            filter: subscription.filter,
            notices,
            heartbeat: Heartbeat::new(subscription.heartbeat),
            answers,
        }
    }

    /// Sends events until the front-end disconnects or the daemon stops, which it reports to the
    /// front-end.
    pub(super) async fn follow(mut self, state: Arc<ApiState>, lease: Option<Lease>) {
        let Ok(ready) = state.ready() else { return };
        let client = lease.as_ref().map(|lease| lease.client().to_owned());
        let answers = self.answers.clone();
        tokio::select! {
            _ = self.send_events(ready) => {}
            () = keep_seen(ready, client.as_deref()) => {}
            () = state.stop.cancelled() => {
                // A front-end that reads too slowly sees the connection close.
                let _ = answers.send(Err(Reason::Stopping.status())).await;
            }
        }
        if let Some(client) = client {
            // This only affects how long the name is kept, so an error is ignored.
            let _ = see(ready, &client).await;
        }
    }

    /// Sends events from the store as they are appended, until the front-end disconnects. Each stream
    /// reads independently, so a slow one delays no other.
    async fn send_events(&mut self, ready: &Ready) -> Result<(), Gone> {
        let mut newest = ready.bus.follow();
        self.send_dropped(ready).await?;
        loop {
            newest.mark_seen();
            let page = match next_events(ready, self.after).await {
                Ok(page) => page,
                Err(refusal) => return self.send(Err(refusal.into())).await,
            };
            let more = !page.is_empty();
            for row in page {
                self.send_event(row, ready).await?;
            }
            self.send_notices(ready).await?;
            if more {
                continue;
            }
            self.send_heartbeat(ready.incarnation).await?;
            tokio::select! {
                () = self.answers.closed() => return Err(Gone),
                is_newer = newest.changed() => if !is_newer { return Ok(()) },
                () = self.notices.arrived() => {}
                () = self.heartbeat.due() => {}
            }
        }
    }

    /// Sends an event that is selected, after the notices that came before it.
    async fn send_event(&mut self, row: EventRow, ready: &Ready) -> Result<(), Gone> {
        self.send_notices(ready).await?;
        self.after = row.seq;
        if !self.filter.takes(row.kind, &row.peer_id) {
            return Ok(());
        }
        let event = Some(convert::event(row, ready.incarnation));
        self.send(Ok(pb::SubscribeResponse {
            event,
            ..Default::default()
        }))
        .await
    }

    /// Sends the notices that came before any event that was not considered yet.
    async fn send_notices(&mut self, ready: &Ready) -> Result<(), Gone> {
        loop {
            if self.notices.is_behind() {
                self.send_presence(ready).await?;
            }
            let Some(live) = self.notices.take_until(self.after) else {
                return Ok(());
            };
            if self.filter.takes_contact(&live.notice.contact) {
                self.send_notice(&live.notice).await?;
            }
        }
    }

    /// Sends the presence of each selected contact.
    async fn send_presence(&mut self, ready: &Ready) -> Result<(), Gone> {
        let filter = self.filter.clone();
        let presence = ready.engine.read(|reply| Query::Presence(filter, reply));
        let presence = match presence.await {
            Ok(presence) => presence,
            Err(refusal) => {
                self.send(Err(refusal.into())).await?;
                return Err(Gone);
            }
        };
        self.notices.caught_up(presence.number);
        for contact in &presence.contacts {
            self.send_notice(contact).await?;
        }
        Ok(())
    }

    async fn send_notice(&self, notice: &ContactNotice) -> Result<(), Gone> {
        self.send(Ok(pb::SubscribeResponse {
            notice: Some(convert::notice(notice)),
            ..Default::default()
        }))
        .await
    }

    /// Says that the stream has reached the newest event, if it is time.
    async fn send_heartbeat(&mut self, incarnation: u64) -> Result<(), Gone> {
        if !self.heartbeat.beats(Instant::now()) {
            return Ok(());
        }
        let cursor = convert::cursor(incarnation, self.after);
        self.send(Ok(pb::SubscribeResponse {
            caught_up: Some(pb::CaughtUp { cursor }),
            ..Default::default()
        }))
        .await
    }

    /// Reports the events that were deleted between a kept cursor and the oldest stored event.
    async fn send_dropped(&mut self, ready: &Ready) -> Result<(), Gone> {
        if !self.is_kept {
            return Ok(());
        }
        let Some(count) = dropped_events(ready, self.after).await else {
            return Ok(());
        };
        self.after += i64::try_from(count).unwrap_or(0);
        self.send(Ok(dropped(count, self.after, ready.incarnation)))
            .await
    }

    async fn send(&self, answer: Result<pb::SubscribeResponse, Status>) -> Result<(), Gone> {
        self.answers.send(answer).await.map_err(|_| Gone)
    }
}

/// Records a connected client as seen at regular intervals.
pub(super) async fn keep_seen(ready: &Ready, client: Option<&str>) {
    let Some(client) = client else {
        return std::future::pending().await;
    };
    let mut ticks = interval(SEEN_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let _ = see(ready, client).await;
    }
}

pub(super) async fn see(ready: &Ready, client: &str) -> Result<(), Refusal> {
    let client = client.to_owned();
    let see = |reply| StreamRequest::See(client, reply);
    ready.engine.call(see).await
}

/// Returns the next events after number `after`; empty only if there are none yet.
async fn next_events(ready: &Ready, after: i64) -> Result<Vec<EventRow>, Refusal> {
    if *ready.bus.newest_event().borrow() <= after {
        return Ok(Vec::new());
    }
    let live = ready.bus.live_after(after);
    if !live.is_empty() {
        return Ok(live);
    }
    let read = move |reader: &Reader| reader.events(after, PAGE);
    ready.readers.read(read).await
}

/// Returns the number of events that were deleted between a kept cursor and the oldest stored
/// event.
async fn dropped_events(ready: &Ready, after: i64) -> Option<u64> {
    let oldest = ready
        .readers
        .read(|reader| reader.oldest_event())
        .await
        .ok()??;
    let dropped = oldest - 1 - after;
    u64::try_from(dropped)
        .ok()
        .filter(|count| *count > 0 && after > 0)
}

/// Returns the report that `count` events up to number `seq` were deleted.
pub(super) fn dropped(count: u64, seq: i64, incarnation: u64) -> pb::SubscribeResponse {
    let event = pb::Event {
        cursor: convert::cursor(incarnation, seq),
        kind: Some(pb::event::Kind::EventsDropped(pb::EventsDropped { count })),
        ..Default::default()
    };
    pb::SubscribeResponse {
        event: Some(event),
        ..Default::default()
    }
}
