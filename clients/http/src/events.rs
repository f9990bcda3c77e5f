//! Events: long polls and server-sent events.

use crate::daemon::{Authorized, AuthorizedStream};
use crate::messages::json;
use crate::problem::Problem;
use axum::Json;
use axum::body::Bytes;
use axum::extract::Query;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream::{self, StreamExt};
use m2_proto::api::v1::{
    AcknowledgeEventsRequest, AcknowledgeEventsResponse, Event, StartAt, SubscribeRequest,
    SubscribeResponse,
};
use m2_proto::client::Client;
use m2_proto::limits::CURSOR_HEADER;
use m2_proto::reason::Reason;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Response as Answer, Status, Streaming};

const DEFAULT_WAIT: u64 = 25;
const MAX_WAIT: u64 = 60;
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// The shortest wait.
const MOMENT: Duration = Duration::from_millis(200);
/// How long a long poll waits for further events after the last one.
const TOGETHER: Duration = Duration::from_millis(20);
/// How long a poll waits until its client name is free: the daemon notices the end of the previous poll after a
/// moment.
const TAKE_OVER: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);
/// The header with which a browser resumes a stream.
const LAST: &str = "last-event-id";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wanted {
    client: String,
    after: String,
    from: String,
    limit: Option<usize>,
    wait: Option<u64>,
}

/// The response to a long poll.
#[derive(Debug, Serialize)]
struct Page {
    events: Vec<Event>,
    /// The cursor of the last event, or where the poll started if there is none.
    cursor: String,
}

pub(crate) async fn follow(
    AuthorizedStream(client): AuthorizedStream,
    headers: HeaderMap,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(mut wanted) = wanted?;
    let accepts = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let streams = accepts.is_some_and(|value| value.contains("text/event-stream"));
    if streams && let Some(last) = headers.get(LAST).and_then(|value| value.to_str().ok()) {
        wanted.after = last.to_owned();
        wanted.from = String::new();
    }
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    let wait = wanted.wait.unwrap_or(DEFAULT_WAIT);
    if !(1..=MAX_LIMIT).contains(&limit) || wait > MAX_WAIT {
        return Err(Problem::argument(
            "The limit must be from 1 to 1,000, and wait from 0 to 60 seconds.",
        ));
    }
    let opened = subscribe(&client, wanted).await?;
    if streams {
        return Ok(server_sent(opened.into_inner()).into_response());
    }
    // A moment for events that are already there.
    let end = Instant::now() + Duration::from_secs(wait).max(MOMENT);
    Ok(Json(poll(opened, limit, end).await?).into_response())
}

pub(crate) async fn acknowledge(
    Authorized(client): Authorized,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<AcknowledgeEventsResponse>, Problem> {
    let request: AcknowledgeEventsRequest = json(&body?)?;
    let answer = client.events().acknowledge_events(request).await?;
    Ok(Json(answer.into_inner()))
}

async fn subscribe(
    client: &Client,
    wanted: Wanted,
) -> Result<Answer<Streaming<SubscribeResponse>>, Problem> {
    let start_at = match wanted.from.as_str() {
        "" => StartAt::Unspecified,
        "start" => StartAt::Start,
        "now" => StartAt::Now,
        _ => return Err(Problem::argument("`from` is `start` or `now`.")),
    };
    let request = SubscribeRequest {
        client: wanted.client,
        start_at: start_at.into(),
        after: wanted.after,
        ..SubscribeRequest::default()
    };
    let until = Instant::now() + TAKE_OVER;
    loop {
        match client.events().subscribe(request.clone()).await {
            Err(status) if is_in_use(&status) && Instant::now() < until => sleep(LOOK).await,
            opened => return Ok(opened?),
        }
    }
}

/// Returns whether the name is still used by a stream, such as that of the previous poll.
fn is_in_use(status: &Status) -> bool {
    Reason::of(status) == Some(Reason::ClientInUse)
}

/// Collects the events that are there, or waits for the first one.
async fn poll(
    opened: Answer<Streaming<SubscribeResponse>>,
    limit: usize,
    end: Instant,
) -> Result<Page, Problem> {
    let start = opened.metadata().get(CURSOR_HEADER);
    let start = start.and_then(|cursor| cursor.to_str().ok());
    let mut page = Page {
        events: Vec::new(),
        cursor: start.unwrap_or_default().to_owned(),
    };
    let mut stream = opened.into_inner();
    while page.events.len() < limit {
        let until = if page.events.is_empty() {
            end
        } else {
            Instant::now() + TOGETHER
        };
        let Ok(next) = timeout_at(until, stream.message()).await else {
            break;
        };
        match next {
            Ok(Some(response)) => {
                if let Some(event) = response.event {
                    page.cursor.clone_from(&event.cursor);
                    page.events.push(event);
                }
            }
            Ok(None) => break,
            // Events that were received are not lost with the stream.
            Err(_) if !page.events.is_empty() => break,
            Err(status) => return Err(status.into()),
        }
    }
    Ok(page)
}

/// Returns events as they come. An error of the daemon is the last one, of the type `error`.
fn server_sent(
    stream: Streaming<SubscribeResponse>,
) -> Sse<impl stream::Stream<Item = Result<SseEvent, Infallible>>> {
    let events = stream::unfold(Some(stream), async |stream| {
        let mut stream = stream?;
        loop {
            match stream.message().await {
                Ok(Some(response)) => {
                    if let Some(event) = response.event {
                        return Some((shown(&event), Some(stream)));
                    }
                }
                Ok(None) => return None,
                Err(status) => return Some((failed(status), None)),
            }
        }
    });
    Sse::new(events.map(Ok)).keep_alive(KeepAlive::default())
}

fn shown(event: &Event) -> SseEvent {
    let json = serde_json::to_value(event).unwrap_or(Value::Null);
    // The name of the field that is set besides the cursor and the time.
    let kind = json.as_object().and_then(|fields| {
        let mut names = fields.iter().filter(|(_, value)| value.is_object());
        names.next().map(|(name, _)| name.clone())
    });
    SseEvent::default()
        .id(&event.cursor)
        .event(kind.unwrap_or_default())
        .data(json.to_string())
}

fn failed(status: Status) -> SseEvent {
    let problem = Problem::from(status);
    SseEvent::default()
        .event("error")
        .data(problem.to_json().to_string())
}
