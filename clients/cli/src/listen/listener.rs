//! The stream of events, and the output of each event.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::FutureExt;
use m2_proto::api::v1::{
    AcknowledgeEventsRequest, CaughtUp, StartAt, SubscribeRequest, SubscribeResponse,
};
use m2_proto::client::Client;
use tonic::{Status, Streaming};

use super::ListenArgs;
use super::human::Lines;
use super::place::Place;
use super::reader::Reader;
use crate::context::{Context, call};
use crate::failure::Failure;
use crate::reconnect::Pauses;
use crate::{events, output};

/// The number of printed events after which the daemon gets an acknowledgement without a pause in
/// the stream.
const ACKNOWLEDGE_EVERY: usize = 64;
/// The interval at which the reader's progress is checked while printed events wait for
/// acknowledgement.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A front-end that resumes after the last handled event when its stream breaks.
pub(super) struct Listener<'a> {
    args: &'a ListenArgs,
    client: &'a Client,
    context: &'a Context,
    lines: Option<Lines<'a>>,
    reader: Reader,
    place: Place,
    /// The cursor of the last event that was read, if it is not acknowledged yet.
    done: Option<String>,
    /// The cursor of the last printed event, after which the next stream begins.
    after: Option<String>,
    left: u64,
}

/// The next thing to do.
enum Next {
    Answer(Box<Result<Option<SubscribeResponse>, Status>>),
    Look,
    Stop,
}

impl<'a> Listener<'a> {
    pub(super) fn new(args: &'a ListenArgs, client: &'a Client, context: &'a Context) -> Self {
        Self {
            lines: None,
            reader: Reader::of_stdout(),
            place: Place::default(),
            done: None,
            after: None,
            left: args.count.unwrap_or(u64::MAX),
            args,
            client,
            context,
        }
    }

    /// Prints events until the requested number is reached or a signal arrives. Errors: the stream
    /// or the output failed.
    pub(super) async fn follow(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        pauses: &mut Pauses,
    ) -> Result<(), Failure> {
        if self.lines.is_none() {
            self.lines = Some(Lines::new(self.client, self.context).await?);
        }
        let mut stream = subscribe(self.client, self.args, &mut self.after).await?;
        pauses.end();
        while self.left > 0 {
            let answer = match self.next(&mut stream, stop.as_mut()).await? {
                Next::Answer(answer) => *answer,
                Next::Look => continue,
                Next::Stop => break,
            };
            let SubscribeResponse {
                event,
                notice,
                caught_up,
                delivery: _,
            } = events::read(answer)?;
            if let Some(caught_up) = caught_up {
                self.caught_up(caught_up).await?;
            }
            let Some(lines) = &mut self.lines else {
                break;
            };
            if let Some(notice) = notice {
                lines.print_notice(&notice).await?;
            }
            let Some(event) = event else {
                continue;
            };
            lines.print(&event).await?;
            self.left -= 1;
            self.after = Some(event.cursor.clone());
            self.finished(event.cursor).await?;
        }
        self.end().await
    }

    /// Returns the next answer. If none is available yet, first acknowledges the events that were
    /// read.
    async fn next(
        &mut self,
        stream: &mut Streaming<SubscribeResponse>,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Next, Failure> {
        if let Some(answer) = stream.message().now_or_never() {
            return Ok(Next::Answer(Box::new(answer)));
        }
        self.look().await?;
        let waits = self.place.len() > 0;
        tokio::select! {
            answer = stream.message() => Ok(Next::Answer(Box::new(answer))),
            () = tokio::time::sleep(LOOK_EVERY), if waits => Ok(Next::Look),
            () = stop => Ok(Next::Stop),
        }
    }

    /// Records that the stream has considered all events up to a cursor. A named client acknowledges that.
    async fn caught_up(&mut self, caught_up: CaughtUp) -> Result<(), Failure> {
        if let Some(lines) = &self.lines
            && self.args.selection.shows_heartbeat()
        {
            lines.print_caught_up(&caught_up)?;
        }
        if self.after.as_ref() == Some(&caught_up.cursor) {
            return Ok(());
        }
        self.after = Some(caught_up.cursor.clone());
        self.finished(caught_up.cursor).await
    }

    /// Records that an event was printed.
    async fn finished(&mut self, cursor: String) -> Result<(), Failure> {
        if self.args.client.is_empty() {
            return Ok(());
        }
        self.place.printed(cursor, output::written());
        if self.place.len().is_multiple_of(ACKNOWLEDGE_EVERY) {
            self.look().await?;
        }
        Ok(())
    }

    /// Checks how much the reader has taken, and acknowledges it.
    async fn look(&mut self) -> Result<(), Failure> {
        if self.place.len() == 0 && self.done.is_none() {
            return Ok(());
        }
        let taken = output::written().saturating_sub(self.reader.unread());
        if self.reader.is_gone() {
            return Err(Failure::OutputClosed);
        }
        let lasting = self.reader == Reader::Lasting;
        let read = self.place.read(taken, lasting, Instant::now());
        self.done = read.or(self.done.take());
        self.acknowledge().await
    }

    /// Finishes after the requested number of events: printed events count as read if the reader is
    /// still there.
    async fn end(&mut self) -> Result<(), Failure> {
        if self.reader.is_gone() {
            return Err(Failure::OutputClosed);
        }
        self.done = self.place.all().or(self.done.take());
        self.acknowledge().await
    }

    async fn acknowledge(&mut self) -> Result<(), Failure> {
        let Some(cursor) = self.done.clone() else {
            return Ok(());
        };
        let request = AcknowledgeEventsRequest {
            client: self.args.client.clone(),
            cursor,
        };
        call(self.client.events().acknowledge_events(request)).await?;
        self.done = None;
        Ok(())
    }
}

/// Starts a stream after the last event that was taken, or at the position that the flags select.
pub(super) async fn subscribe(
    client: &Client,
    args: &ListenArgs,
    after: &mut Option<String>,
) -> Result<Streaming<SubscribeResponse>, Failure> {
    events::open(client, request(args, after.as_deref()), after).await
}

fn request(args: &ListenArgs, after: Option<&str>) -> SubscribeRequest {
    let mut request = SubscribeRequest {
        client: args.client.clone(),
        notices: args.notices,
        ..Default::default()
    };
    args.selection.apply(&mut request);
    if args.selection.is_shared() {
        request.max_open = args.jobs.into();
    }
    // The daemon knows where a shared name goes on.
    let after = after.filter(|_| !args.selection.is_shared());
    match after.or(args.from.as_deref()) {
        None => {}
        Some("now") => request.start_at = StartAt::Now.into(),
        Some("start") => request.start_at = StartAt::Start.into(),
        Some(cursor) => request.after = cursor.to_owned(),
    }
    request
}
