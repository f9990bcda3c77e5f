//! `m2 listen`

mod acknowledger;
mod dispatcher;
mod hook;
mod human;
mod listener;
mod place;
mod reader;
mod runner;
mod schedule;
mod selection;
mod shell;
mod worker;

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use clap::Args;
use m2_proto::client::Client;

use crate::context::Context;
use crate::failure::Failure;
use crate::reconnect::{Pauses, passes};
use crate::{signals, time};
use dispatcher::Dispatcher;
use listener::Listener;
use selection::Selection;
use worker::Worker;

/// The flags of `m2 listen`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ListenArgs {
    /// Keep the position of this front-end in the daemon under NAME: events that were printed, or
    /// for which CMD succeeded, are not repeated. `m2 client list` shows the names
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    client: String,
    /// Where to begin: `now`, `start`, or after an event's cursor [default: the position of the
    /// client; a new client, or one without a name, begins now]
    #[arg(long, value_name = "now|start|CURSOR")]
    from: Option<String>,
    /// Run this shell command for every event, instead of printing it
    #[arg(long, value_name = "CMD", value_parser = shell::parse)]
    exec: Option<String>,
    /// Run CMD for up to N contacts at once, 1 to 64. The events of one contact are handled one after
    /// another, in order
    #[arg(long, value_name = "N", default_value_t = 1, requires = "exec", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// The pause before CMD is tried again; it doubles with each attempt
    #[arg(long, hide = true, default_value = "1s", value_parser = time::parse_duration)]
    retry_delay: Duration,
    /// Stop after this many events
    #[arg(long, value_name = "N", value_parser = whole_number)]
    count: Option<u64>,
    /// Print notices as well: what contacts do at this moment, such as typing. A notice is not stored, has no
    /// cursor, and does not count for --count
    #[arg(long, conflicts_with = "exec")]
    notices: bool,
    #[command(flatten)]
    selection: Selection,
    /// Wait while the daemon is not running, stopping or locked, and continue after the last event
    #[arg(long)]
    reconnect: bool,
}

const AFTER_HELP: &str = "\
CMD gets the event as JSON on stdin, and in its environment M2_EVENT (the kind, such as
messageReceived), M2_CURSOR, M2_PEER_ID, M2_CONTACT_NAME, M2_MESSAGE_ID, M2_TEXT, M2_MEDIA_TYPE,
M2_REPLY_TO, M2_THREAD and M2_SOCKET; what an event does not have is empty. M2_TEXT is what the
contact wrote: always put it in quotation marks, and never run it. If CMD exits with another code
than 0, it is run up to 5 times, with pauses of 1, 2, 4 and 8 seconds; then the event is printed as
a `deadLetter` JSON object. Meanwhile only later events of the same contact wait. An event is
acknowledged when CMD has finished for it and for every event before it. A path with plain
arguments is run without a shell, which is faster.

With --shared, several workers listen under one name, and each event is given to one of them. The
events of a contact are handled in order; with --jobs a worker runs CMD for several contacts at once. If CMD fails, does not end within the lease, or its worker
is killed, the event is given to a worker again, 5 times in all by default; then it is kept as a dead
letter, see `m2 client dead-letters`. M2_DELIVERY is the number of the attempt.

An event that is printed into a pipe counts as printed one second after its reader has taken it,
if the reader is still there. So events that `m2 listen --client NAME | head` leaves unread are repeated.";

/// Prints events, or runs a command for each, until a signal arrives, the output is closed or the
/// daemon stops.
pub(crate) async fn run(args: ListenArgs, context: &Context) -> Result<(), Failure> {
    args.selection.check(args.exec.is_some())?;
    let mut stop = pin!(signals::stop());
    let mut pauses = Pauses::default();
    let Some(client) = connect(&args, context, stop.as_mut(), &mut pauses).await? else {
        return Ok(());
    };
    let mut follower = match &args.exec {
        Some(command) if args.selection.is_shared() => {
            Follower::Shares(Box::new(Worker::new(command, &args, &client, context)))
        }
        Some(command) => {
            let dispatcher = Dispatcher::new(command, &args, &client, context);
            Follower::Runs(Box::new(dispatcher))
        }
        None => Follower::Prints(Box::new(Listener::new(&args, &client, context))),
    };
    loop {
        let Err(failure) = follower.follow(stop.as_mut(), &mut pauses).await else {
            return Ok(());
        };
        if !args.reconnect || !passes(&failure) {
            return Err(failure);
        }
        if !wait(context, stop.as_mut(), &mut pauses, &failure).await {
            return Ok(());
        }
    }
}

/// What is done with the events.
enum Follower<'a> {
    Prints(Box<Listener<'a>>),
    Runs(Box<Dispatcher<'a>>),
    Shares(Box<Worker<'a>>),
}

impl Follower<'_> {
    async fn follow(
        &mut self,
        stop: Pin<&mut impl Future<Output = ()>>,
        pauses: &mut Pauses,
    ) -> Result<(), Failure> {
        match self {
            Self::Prints(listener) => listener.follow(stop, pauses).await,
            Self::Runs(dispatcher) => dispatcher.follow(stop, pauses).await,
            Self::Shares(worker) => worker.follow(stop, pauses).await,
        }
    }
}

fn whole_number(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "--count takes a whole number, such as 10".to_owned())
}

/// Connects to the daemon. Returns `None` if a signal arrived first.
async fn connect(
    args: &ListenArgs,
    context: &Context,
    mut stop: Pin<&mut impl Future<Output = ()>>,
    pauses: &mut Pauses,
) -> Result<Option<Client>, Failure> {
    loop {
        match context.client().await {
            Ok(client) => return Ok(Some(client)),
            Err(failure) if args.reconnect && passes(&failure) => {
                if !wait(context, stop.as_mut(), pauses, &failure).await {
                    return Ok(None);
                }
            }
            Err(failure) => return Err(failure),
        }
    }
}

/// Waits before the next attempt. Returns false if a signal arrived first.
async fn wait(
    context: &Context,
    stop: Pin<&mut impl Future<Output = ()>>,
    pauses: &mut Pauses,
    failure: &Failure,
) -> bool {
    if pauses.are_over() {
        context.out.note(match failure {
            Failure::Refused { .. } => "The daemon is locked or stops. Waiting until it is ready.",
            _ => "No daemon answers. Waiting for it.",
        });
    }
    tokio::select! {
        () = tokio::time::sleep(pauses.next()) => true,
        () = stop => false,
    }
}
