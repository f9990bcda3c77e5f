//! `m2 listen`

mod hook;
mod human;
mod listener;
mod pauses;
mod place;
mod reader;

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use clap::Args;
use m2_proto::client::Client;
use m2_proto::reason::Reason;

use crate::context::Context;
use crate::failure::Failure;
use crate::time;
use listener::Listener;
use pauses::Pauses;

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
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
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
    /// Wait while the daemon is not running, stopping or locked, and continue after the last event
    #[arg(long)]
    reconnect: bool,
}

const AFTER_HELP: &str = "\
CMD gets the event as JSON on stdin, and in its environment M2_EVENT (the kind, such as
messageReceived), M2_CURSOR, M2_PEER_ID, M2_MESSAGE_ID and M2_SOCKET. If it exits with another
code than 0, it is run up to 5 times; then the event is printed as a `deadLetter` JSON object
and the next event follows.

An event that is printed into a pipe counts as printed one second after its reader has taken it,
if the reader is still there. So events that `m2 listen --client NAME | head` leaves unread are repeated.";

/// Prints events, or runs a command for each, until a signal arrives, the output is closed or the
/// daemon stops.
pub(crate) async fn run(args: ListenArgs, context: &Context) -> Result<(), Failure> {
    let mut stop = pin!(stop_signal());
    let mut pauses = Pauses::default();
    let Some(client) = connect(&args, context, stop.as_mut(), &mut pauses).await? else {
        return Ok(());
    };
    let mut listener = Listener::new(&args, &client, context);
    loop {
        let Err(failure) = listener.follow(stop.as_mut(), &mut pauses).await else {
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

/// Returns whether waiting can help, because the daemon is not running, stopping or locked.
fn passes(failure: &Failure) -> bool {
    match failure {
        Failure::NoDaemon(_) | Failure::TimedOut(_) => true,
        Failure::Refused { reason, .. } => [Reason::Locked, Reason::Stopping]
            .map(Reason::as_str)
            .contains(&reason.as_str()),
        _ => false,
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
