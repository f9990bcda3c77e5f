//! `EventService`.

use super::convert;
use super::notices::Notices;
use super::pages::PAGE_BYTES;
use super::session::{ApiState, Lease, Ready};
use m2_engine::Refusal;
use m2_engine::{StreamRequest, StreamStart};
use m2_proto::api::v1 as pb;
use m2_proto::api::v1::event_service_server::EventService;
use m2_proto::limits::CURSOR_HEADER;
use m2_proto::reason::Reason;
use m2_store::{EventRow, PageSize, Reader};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Request, Response, Status};

/// The maximum size of a page of events that is read from the store at once.
const PAGE: PageSize = PageSize {
    rows: 256,
    bytes: PAGE_BYTES,
};
/// The number of events queued for a slow front-end. Further events stay in the store.
const QUEUE: usize = 64;
const MAX_CLIENT: usize = 64;
/// The interval at which a connected client is recorded as seen. Unused names are deleted after
/// weeks.
const SEEN_EVERY: Duration = Duration::from_secs(86_400);

/// The implementation of the service.
pub(super) struct EventApi(pub Arc<ApiState>);

#[tonic::async_trait]
impl EventService for EventApi {
    type SubscribeStream = ReceiverStream<Result<pb::SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<pb::SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let ready = self.0.ready()?;
        let request = request.into_inner();
        check_client(&request.client)?;
        let start = start_of(&request)?;
        let lease = if request.client.is_empty() {
            None
        } else {
            Some(self.0.lease(&request.client)?)
        };
        let client = request.client;
        let notices = Notices::new(request.notices.then(|| ready.bus.notices()));
        let kept = start == StreamStart::Kept;
        let after = ready
            .engine
            .call(|reply| StreamRequest::Open {
                client,
                start,
                reply,
            })
            .await?;
        let (events, stream) = mpsc::channel(QUEUE);
        let cursor = convert::cursor(ready.incarnation, after);
        let stream_start = Start {
            after,
            kept,
            notices,
        };
        tokio::spawn(follow(self.0.clone(), stream_start, lease, events));
        let mut response = Response::new(ReceiverStream::new(stream));
        if let Ok(cursor) = AsciiMetadataValue::try_from(cursor) {
            response.metadata_mut().insert(CURSOR_HEADER, cursor);
        }
        Ok(response)
    }

    async fn acknowledge_events(
        &self,
        request: Request<pb::AcknowledgeEventsRequest>,
    ) -> Result<Response<pb::AcknowledgeEventsResponse>, Status> {
        let ready = self.0.ready()?;
        let pb::AcknowledgeEventsRequest { client, cursor } = request.into_inner();
        check_client(&client)?;
        let (incarnation, seq) = convert::parse_cursor(&cursor)?;
        ready
            .engine
            .call(|reply| StreamRequest::Acknowledge {
                client,
                incarnation,
                seq,
                reply,
            })
            .await?;
        Ok(Response::new(pb::AcknowledgeEventsResponse {}))
    }

    async fn list_clients(
        &self,
        _request: Request<pb::ListClientsRequest>,
    ) -> Result<Response<pb::ListClientsResponse>, Status> {
        let ready = self.0.ready()?;
        let rows = ready.readers.read(|reader| reader.clients()).await?;
        let clients = rows.into_iter().map(|row| pb::EventClient {
            cursor: convert::cursor(ready.incarnation, row.cursor),
            lag: row.lag,
            last_seen: Some(convert::timestamp(row.seen_ms)),
            connected: self.0.is_leased(&row.name),
            acknowledged: row.acknowledged,
            name: row.name,
        });
        Ok(Response::new(pb::ListClientsResponse {
            clients: clients.collect(),
        }))
    }

    async fn remove_client(
        &self,
        request: Request<pb::RemoveClientRequest>,
    ) -> Result<Response<pb::RemoveClientResponse>, Status> {
        let ready = self.0.ready()?;
        let client = request.into_inner().client;
        check_client(&client)?;
        // The lease keeps streams from starting under this name during the removal.
        let _lease = self.0.lease(&client)?;
        ready
            .engine
            .call(|reply| StreamRequest::Remove(client, reply))
            .await?;
        Ok(Response::new(pb::RemoveClientResponse {}))
    }
}

fn check_client(client: &str) -> Result<(), Refusal> {
    let fit = client.len() <= MAX_CLIENT
        && client
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
    if fit {
        Ok(())
    } else {
        Err(Refusal::argument(
            "client",
            "1..64 of a-z 0-9 . _ -",
            "A client name has 1 to 64 characters of a-z, 0-9, and the signs . _ -",
        ))
    }
}

fn start_of(request: &pb::SubscribeRequest) -> Result<StreamStart, Refusal> {
    let start_at: pb::StartAt = convert::known("start_at", request.start_at)?;
    if !request.after.is_empty() {
        if start_at != pb::StartAt::Unspecified {
            return Err(Refusal::argument(
                "start_at",
                "not with after",
                "start_at and after exclude each other: give one of them.",
            ));
        }
        let (incarnation, seq) = convert::parse_cursor(&request.after)?;
        return Ok(StreamStart::After { incarnation, seq });
    }
    Ok(match start_at {
        pb::StartAt::Now => StreamStart::Now,
        pb::StartAt::Start => StreamStart::Start,
        pb::StartAt::Unspecified if request.client.is_empty() => StreamStart::Now,
        pb::StartAt::Unspecified => StreamStart::Kept,
    })
}

/// Where a stream starts, and what it contains.
struct Start {
    /// The number of the event after which the stream starts.
    after: i64,
    /// True if that is the stored cursor of a client.
    kept: bool,
    notices: Notices,
}

type Events = mpsc::Sender<Result<pb::SubscribeResponse, Status>>;

/// Sends events until the front-end disconnects or the daemon stops, which it reports to the
/// front-end.
async fn follow(state: Arc<ApiState>, start: Start, lease: Option<Lease>, events: Events) {
    let Ok(ready) = state.ready() else { return };
    let client = lease.as_ref().map(|lease| lease.client().to_owned());
    tokio::select! {
        () = send_events(&state, ready, start, &events) => {}
        () = keep_seen(ready, client.as_deref()) => {}
        () = state.stop.cancelled() => {
            // A front-end that reads too slowly sees the connection close.
            let _ = events.send(Err(Reason::Stopping.status())).await;
        }
    }
    if let Some(client) = client {
        // This only affects how long the name is kept, so an error is ignored.
        let _ = see(ready, &client).await;
    }
}

/// Records a connected client as seen at regular intervals.
async fn keep_seen(ready: &Ready, client: Option<&str>) {
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

async fn see(ready: &Ready, client: &str) -> Result<(), Refusal> {
    let client = client.to_owned();
    let see = |reply| StreamRequest::See(client, reply);
    ready.engine.call(see).await
}

/// Sends events from the store as they are appended, until the front-end disconnects. Each stream
/// reads independently, so a slow one delays no other.
async fn send_events(state: &ApiState, ready: &Ready, start: Start, events: &Events) {
    let Start {
        mut after,
        kept,
        mut notices,
    } = start;
    let mut newest = ready.bus.follow();
    if kept && let Some(dropped) = dropped_events(state, after).await {
        after += i64::try_from(dropped).unwrap_or(0);
        if send_dropped(events, ready.incarnation, after, dropped)
            .await
            .is_err()
        {
            return;
        }
    }
    loop {
        newest.mark_seen();
        let page = match next_events(ready, after).await {
            Ok(page) => page,
            Err(refusal) => {
                let _ = events.send(Err(refusal.into())).await;
                return;
            }
        };
        let more = !page.is_empty();
        for row in page {
            // Notices that came before the event are sent before it.
            if !send_notices(&mut notices, after, events).await {
                return;
            }
            after = row.seq;
            let event = Some(convert::event(row, ready.incarnation));
            let response = pb::SubscribeResponse {
                event,
                notice: None,
            };
            if events.send(Ok(response)).await.is_err() {
                return;
            }
        }
        if !send_notices(&mut notices, after, events).await {
            return;
        }
        if more {
            continue;
        }
        tokio::select! {
            () = events.closed() => return,
            is_newer = newest.changed() => if !is_newer { return },
            () = notices.arrived() => {}
        }
    }
}

/// Sends the notices that came before any event above number `after`. Returns false if the front-end has
/// disconnected.
async fn send_notices(notices: &mut Notices, after: i64, events: &Events) -> bool {
    while let Some(notice) = notices.take_until(after) {
        let response = pb::SubscribeResponse {
            event: None,
            notice: Some(notice),
        };
        if events.send(Ok(response)).await.is_err() {
            return false;
        }
    }
    true
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
async fn dropped_events(state: &ApiState, after: i64) -> Option<u64> {
    let ready = state.ready().ok()?;
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

async fn send_dropped(
    events: &Events,
    incarnation: u64,
    seq: i64,
    count: u64,
) -> Result<(), mpsc::error::SendError<Result<pb::SubscribeResponse, Status>>> {
    let event = pb::Event {
        cursor: convert::cursor(incarnation, seq),
        time: None,
        kind: Some(pb::event::Kind::EventsDropped(pb::EventsDropped { count })),
    };
    events
        .send(Ok(pb::SubscribeResponse {
            event: Some(event),
            notice: None,
        }))
        .await
}
