//! One of several workers that share the events of a name.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use m2_proto::api::v1::{
    AcknowledgeEventsRequest, Delivery, Event, NackEventRequest, SubscribeResponse,
};
use m2_proto::client::Client;
use tonic::Streaming;

use super::ListenArgs;
use super::hook::{Hook, Task};
use super::listener::subscribe;
use crate::context::{Context, call};
use crate::failure::Failure;
use crate::reconnect::Pauses;
use crate::{events, time};

/// The most characters of the reason for which an event is returned.
const REASON: usize = 64;

/// A worker that runs a command for each event that it is given, for up to `--jobs` of them at once. The daemon gives
/// it events of different contacts.
pub(super) struct Worker<'a> {
    args: &'a ListenArgs,
    client: &'a Client,
    context: &'a Context,
    hook: Hook,
    left: Cell<u64>,
}

/// An event that the daemon gave to this worker.
struct Given {
    event: Event,
    delivery: Delivery,
}

/// An event whose command has ended, and how.
type Done = (Rc<Given>, Result<(), Failure>);

/// The events for which the command runs.
#[derive(Default)]
struct Open<'w> {
    given: Vec<Rc<Given>>,
    running: FuturesUnordered<LocalBoxFuture<'w, Done>>,
}

impl<'w> Open<'w> {
    fn len(&self) -> u64 {
        self.given.len() as u64
    }

    fn begin(&mut self, worker: &'w Worker<'_>, given: Given) {
        let given = Rc::new(given);
        self.given.push(given.clone());
        let running = async move {
            let result = worker.work(&given).await;
            (given, result)
        };
        self.running.push(running.boxed_local());
    }

    /// Waits for the next command that ends, and returns what became of its event. Never returns if none runs.
    async fn next(&mut self) -> Result<(), Failure> {
        let Some((done, result)) = self.running.next().await else {
            return std::future::pending().await;
        };
        self.given.retain(|given| !Rc::ptr_eq(given, &done));
        result
    }
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        command: &str,
        args: &'a ListenArgs,
        client: &'a Client,
        context: &'a Context,
    ) -> Self {
        Self {
            hook: Hook::new(command, args.retry_delay, context),
            left: Cell::new(args.count.unwrap_or(u64::MAX)),
            args,
            client,
            context,
        }
    }

    /// Runs the command until the requested number of events is handled or a signal arrives. Errors: the stream or an
    /// answer to the daemon failed. Commands that run meanwhile are waited for.
    pub(super) async fn follow(
        &self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        pauses: &mut Pauses,
    ) -> Result<(), Failure> {
        // The daemon knows where a shared name goes on.
        let mut stream = subscribe(self.client, self.args, &mut None).await?;
        pauses.end();
        let mut open = Open::default();
        let mut failed = None;
        while self.left.get() > 0 && (failed.is_none() || open.len() > 0) {
            let takes_more = failed.is_none() && open.len() < self.left.get();
            tokio::select! {
                result = open.next() => {
                    self.left.set(self.left.get().saturating_sub(1));
                    failed = failed.or(result.err());
                }
                answer = stream.message(), if takes_more => match events::read(answer).map(given) {
                    Ok(Some(given)) => open.begin(self, given),
                    Ok(None) => {}
                    Err(failure) => failed = Some(failure),
                },
                () = stop.as_mut() => return self.give_back(open).await,
            }
        }
        match failed {
            Some(failure) if self.left.get() > 0 => Err(failure),
            _ => self.give_back_unread(&mut stream).await,
        }
    }

    /// Runs the command once, and tells the daemon whether it succeeded.
    async fn work(&self, given: &Given) -> Result<(), Failure> {
        let Given { event, delivery } = given;
        let task = Task::delivered(event, delivery.number)?;
        match self.hook.run(&task).await {
            Ok(()) => self.acknowledge(event).await,
            Err(trouble) => {
                self.context
                    .out
                    .note(&format!("The command failed ({trouble})."));
                let delay = self.hook.delay_after(delivery.number);
                self.refuse(given, &trouble, delay).await
            }
        }
    }

    /// Ends the commands that run, and returns their events.
    async fn give_back(&self, open: Open<'_>) -> Result<(), Failure> {
        drop(open.running);
        for given in &open.given {
            let why = "its worker was stopped";
            self.refuse(given, why, Duration::ZERO).await?;
        }
        Ok(())
    }

    /// Returns the events that were given to this worker after its last one.
    async fn give_back_unread(
        &self,
        stream: &mut Streaming<SubscribeResponse>,
    ) -> Result<(), Failure> {
        while let Some(Ok(Some(answer))) = stream.message().now_or_never() {
            if let Some(given) = given(answer) {
                let why = "its worker has ended";
                self.refuse(&given, why, Duration::ZERO).await?;
            }
        }
        Ok(())
    }

    async fn acknowledge(&self, event: &Event) -> Result<(), Failure> {
        let request = AcknowledgeEventsRequest {
            client: self.args.client.clone(),
            cursor: event.cursor.clone(),
        };
        call(self.client.events().acknowledge_events(request)).await?;
        Ok(())
    }

    /// Returns an event that was not handled.
    async fn refuse(&self, given: &Given, why: &str, delay: Duration) -> Result<(), Failure> {
        let request = NackEventRequest {
            client: self.args.client.clone(),
            cursor: given.event.cursor.clone(),
            delivery: given.delivery.number,
            delay: Some(time::to_proto(delay)),
            reason: why.chars().take(REASON).collect(),
        };
        call(self.client.events().nack_event(request)).await?;
        Ok(())
    }
}

/// Returns the event of an answer, if it has one.
fn given(answer: SubscribeResponse) -> Option<Given> {
    Some(Given {
        event: answer.event?,
        delivery: answer.delivery?,
    })
}
