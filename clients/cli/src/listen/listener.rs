//! The stream of events, and the handling of each event.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures::FutureExt;
use m2_proto::api::v1::{
    AcknowledgeEventsRequest, Event, StartAt, SubscribeRequest, SubscribeResponse,
};
use m2_proto::client::Client;
use m2_proto::limits::CURSOR_HEADER;
use m2_proto::reason::{self, Reason};
use tonic::{Status, Streaming};

use super::ListenArgs;
use super::hook::Hook;
use super::human::Lines;
use super::pauses::Pauses;
use super::place::Place;
use super::reader::Reader;
use crate::context::{Context, call};
use crate::failure::Failure;
use crate::output;

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
    hook: Option<Hook>,
    lines: Option<Lines<'a>>,
    reader: Reader,
    place: Place,
    /// The cursor of the last completed event, if it is not acknowledged yet.
    done: Option<String>,
    /// The cursor of the last handled event, after which the next stream begins.
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
        let hook = args.exec.as_ref();
        Self {
            hook: hook.map(|command| Hook::new(command, args.retry_delay, context)),
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

    /// Handles events until the requested number is reached or a signal arrives. Errors: the stream
    /// or the output failed.
    pub(super) async fn follow(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        pauses: &mut Pauses,
    ) -> Result<(), Failure> {
        let mut events = self.subscribe().await?;
        pauses.end();
        while self.left > 0 {
            let answer = match self.next(&mut events, stop.as_mut()).await? {
                Next::Answer(answer) => *answer,
                Next::Look => continue,
                Next::Stop => break,
            };
            let SubscribeResponse { event, notice } = read(answer)?;
            if let (Some(notice), Some(lines)) = (notice, &mut self.lines) {
                lines.print_notice(&notice).await?;
            }
            let Some(event) = event else {
                continue;
            };
            if !self.handle(&event, stop.as_mut()).await? {
                break;
            }
            self.left -= 1;
            self.after = Some(event.cursor.clone());
            self.finished(event.cursor).await?;
        }
        self.end().await
    }

    /// Starts a stream after the last handled event, or at the position that the flags select.
    async fn subscribe(&mut self) -> Result<Streaming<SubscribeResponse>, Failure> {
        if self.lines.is_none() && self.hook.is_none() {
            self.lines = Some(Lines::new(self.client, self.context).await?);
        }
        let request = request(self.args, self.after.as_deref());
        let mut service = self.client.events();
        let mut begin = None;
        let events = call(async {
            let response = service.subscribe(request).await?;
            let cursor = response.metadata().get(CURSOR_HEADER);
            begin = cursor.and_then(|cursor| Some(cursor.to_str().ok()?.to_owned()));
            Ok(response)
        });
        let events = events.await?;
        self.after = self.after.take().or(begin);
        Ok(events)
    }

    /// Returns the next answer. If none is available yet, first acknowledges the events that were
    /// read.
    async fn next(
        &mut self,
        events: &mut Streaming<SubscribeResponse>,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<Next, Failure> {
        if let Some(answer) = events.message().now_or_never() {
            return Ok(Next::Answer(Box::new(answer)));
        }
        self.look().await?;
        let waits = self.place.len() > 0;
        tokio::select! {
            answer = events.message() => Ok(Next::Answer(Box::new(answer))),
            () = tokio::time::sleep(LOOK_EVERY), if waits => Ok(Next::Look),
            () = stop => Ok(Next::Stop),
        }
    }

    /// Prints an event or runs the command for it. Returns false if a signal arrived first.
    async fn handle(
        &mut self,
        event: &Event,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<bool, Failure> {
        if let Some(hook) = &self.hook {
            return tokio::select! {
                done = hook.handle(event, &self.context.out) => done.map(|()| true),
                () = stop => Ok(false),
            };
        }
        if let Some(lines) = &mut self.lines {
            lines.print(event).await?;
        }
        Ok(true)
    }

    /// Records that an event was printed, or that its command succeeded. The latter is acknowledged
    /// immediately.
    async fn finished(&mut self, cursor: String) -> Result<(), Failure> {
        if self.args.client.is_empty() {
            return Ok(());
        }
        if self.hook.is_some() {
            self.done = Some(cursor);
            return self.acknowledge().await;
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

fn request(args: &ListenArgs, after: Option<&str>) -> SubscribeRequest {
    let mut request = SubscribeRequest {
        client: args.client.clone(),
        notices: args.notices,
        ..Default::default()
    };
    match after.or(args.from.as_deref()) {
        None => {}
        Some("now") => request.start_at = StartAt::Now.into(),
        Some("start") => request.start_at = StartAt::Start.into(),
        Some(cursor) => request.after = cursor.to_owned(),
    }
    request
}

/// Returns an answer, or a failure if the stream ended. An error without a reason from the daemon comes from
/// the connection.
fn read(answer: Result<Option<SubscribeResponse>, Status>) -> Result<SubscribeResponse, Failure> {
    match answer {
        Ok(Some(answer)) => Ok(answer),
        Err(status) if !is_end(&status) => Err(status.into()),
        Ok(None) | Err(_) => Err(Failure::NoDaemon(
            "The daemon stopped. Run this command again once it is back; --reconnect waits for it."
                .to_owned(),
        )),
    }
}

fn is_end(status: &Status) -> bool {
    reason::text_of(status).is_none_or(|reason| reason == Reason::Stopping.as_str())
}
