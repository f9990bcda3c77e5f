//! `m2 listen`

mod hook;
mod human;

use std::time::Duration;

use clap::Args;
use futures::FutureExt;
use m2_proto::api::v1::{
    AcknowledgeEventsRequest, Event, StartAt, SubscribeRequest, SubscribeResponse,
};
use m2_proto::client::Client;
use tonic::{Status, Streaming};

use crate::context::{Context, call};
use crate::failure::Failure;
use crate::time;
use hook::Hook;
use human::Lines;

/// How many printed events may wait to be acknowledged while more come at once.
const ACKNOWLEDGE_EVERY: usize = 64;

/// Flags of `m2 listen`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ListenArgs {
    /// Let the daemon keep this front-end's place: what was printed, or what CMD has done, does
    /// not come again; everything else does
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    client: String,
    /// Where to begin: `now`, `start`, or after an event's cursor [default: the client's own
    /// place; else now]
    #[arg(long, value_name = "now|start|CURSOR")]
    from: Option<String>,
    /// Run this command (by the shell) for every event, instead of printing it
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    /// The first pause before CMD is tried again; it doubles each time
    #[arg(long, hide = true, default_value = "1s", value_parser = time::parse_duration)]
    retry_delay: Duration,
    /// End after this many events
    #[arg(long, value_name = "N", value_parser = whole_number)]
    count: Option<u64>,
}

const AFTER_HELP: &str = "\
CMD gets the event as JSON on stdin, and in its environment M2_EVENT (the kind, such as
messageReceived), M2_CURSOR, M2_PEER_ID, M2_MESSAGE_ID and M2_SOCKET. When it ends with another
code than 0 it is tried 5 times in all; then the event is printed as a `deadLetter` JSON object
and the next one comes.";

/// Prints events, or runs a command for each, until a signal, the end of the output or of the
/// daemon.
pub(crate) async fn run(args: ListenArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let mut left = args.count.unwrap_or(u64::MAX);
    let hook = match &args.exec {
        Some(command) => Some(Hook::new(command, args.retry_delay, context)?),
        None => None,
    };
    let mut lines = Lines::new(&client, context).await?;
    let mut events = call(client.events().subscribe(request(&args))).await?;
    let mut place = Place::new(&client, args.client);
    let mut stop = std::pin::pin!(stop_signal());
    while left > 0 {
        let next = match events.message().now_or_never() {
            Some(next) => next,
            None => {
                // Nothing more has come: a good moment to tell what was done.
                place.acknowledge().await?;
                tokio::select! {
                    next = events.message() => next,
                    () = &mut stop => break,
                }
            }
        };
        let Some(event) = event_of(next, &events)? else {
            continue;
        };
        match &hook {
            Some(hook) => tokio::select! {
                done = hook.handle(&event, &context.out) => done?,
                () = &mut stop => break,
            },
            None => lines.print(&event).await?,
        }
        place.done(event.cursor, hook.is_some()).await?;
        left -= 1;
    }
    place.acknowledge().await
}

fn whole_number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "--count takes a whole number, such as 10".to_owned())
}

fn request(args: &ListenArgs) -> SubscribeRequest {
    let mut request = SubscribeRequest {
        client: args.client.clone(),
        ..Default::default()
    };
    match args.from.as_deref() {
        None => {}
        Some("now") => request.start_at = StartAt::Now.into(),
        Some("start") => request.start_at = StartAt::Start.into(),
        Some(cursor) => request.after = cursor.to_owned(),
    }
    request
}

/// The event, nothing for an answer without one, a failure when the stream ended.
fn event_of(
    next: Result<Option<SubscribeResponse>, Status>,
    _: &Streaming<SubscribeResponse>,
) -> Result<Option<Event>, Failure> {
    match next? {
        Some(answer) => Ok(answer.event),
        None => Err(Failure::NoDaemon(
            "The daemon ended the stream. Listen again when it runs.".to_owned(),
        )),
    }
}

/// The place of a named front-end, which moves on behind what was done.
struct Place<'a> {
    client: &'a Client,
    name: String,
    last: Option<String>,
    waiting: usize,
}

impl<'a> Place<'a> {
    fn new(client: &'a Client, name: String) -> Self {
        Self {
            client,
            name,
            last: None,
            waiting: 0,
        }
    }

    /// An event was printed, or its command ended well. What a command did is told at once.
    async fn done(&mut self, cursor: String, at_once: bool) -> Result<(), Failure> {
        self.last = Some(cursor);
        self.waiting += 1;
        if at_once || self.waiting >= ACKNOWLEDGE_EVERY {
            self.acknowledge().await?;
        }
        Ok(())
    }

    async fn acknowledge(&mut self) -> Result<(), Failure> {
        self.waiting = 0;
        let Some(cursor) = self.last.take().filter(|_| !self.name.is_empty()) else {
            return Ok(());
        };
        let request = AcknowledgeEventsRequest {
            client: self.name.clone(),
            cursor,
        };
        call(self.client.events().acknowledge_events(request)).await?;
        Ok(())
    }
}

#[cfg(unix)]
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn stop_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
