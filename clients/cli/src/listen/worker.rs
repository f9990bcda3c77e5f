//! One of several workers that share the events of a name.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use m2_proto::api::v1::{
    AcknowledgeEventsRequest, Delivery, Event, NackEventRequest, SubscribeResponse,
};
use m2_proto::client::Client;

use super::ListenArgs;
use super::hook::{Hook, Task};
use super::listener::subscribe;
use crate::context::{Context, call};
use crate::failure::Failure;
use crate::reconnect::Pauses;
use crate::{events, time};

/// The most characters of the reason for which an event is returned.
const REASON: usize = 64;

/// A worker that runs a command for each event that it is given.
pub(super) struct Worker<'a> {
    args: &'a ListenArgs,
    client: &'a Client,
    context: &'a Context,
    hook: Hook,
    left: u64,
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
            left: args.count.unwrap_or(u64::MAX),
            args,
            client,
            context,
        }
    }

    /// Runs the command until the requested number of events is handled or a signal arrives. Errors: the stream or an
    /// answer to the daemon failed.
    pub(super) async fn follow(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        pauses: &mut Pauses,
    ) -> Result<(), Failure> {
        // The daemon knows where a shared name goes on.
        let mut stream = subscribe(self.client, self.args, &mut None).await?;
        pauses.end();
        while self.left > 0 {
            let answer = tokio::select! {
                answer = stream.message() => answer,
                () = stop.as_mut() => return Ok(()),
            };
            let SubscribeResponse {
                event: Some(event),
                delivery: Some(delivery),
                ..
            } = events::read(answer)?
            else {
                continue;
            };
            if !self.work(&event, &delivery, stop.as_mut()).await? {
                return Ok(());
            }
            self.left -= 1;
        }
        Ok(())
    }

    /// Runs the command once, and tells the daemon whether it succeeded. Returns false if a signal arrived first.
    async fn work(
        &self,
        event: &Event,
        delivery: &Delivery,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<bool, Failure> {
        let task = Task::delivered(event, delivery.number)?;
        let outcome = tokio::select! {
            outcome = self.hook.run(&task) => outcome,
            () = stop => {
                let why = "its worker was stopped";
                self.refuse(event, delivery, why, Duration::ZERO).await?;
                return Ok(false);
            }
        };
        match outcome {
            Ok(()) => self.acknowledge(event).await?,
            Err(trouble) => {
                self.context
                    .out
                    .note(&format!("The command failed ({trouble})."));
                let delay = self.hook.delay_after(delivery.number);
                self.refuse(event, delivery, &trouble, delay).await?;
            }
        }
        Ok(true)
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
    async fn refuse(
        &self,
        event: &Event,
        delivery: &Delivery,
        why: &str,
        delay: Duration,
    ) -> Result<(), Failure> {
        let request = NackEventRequest {
            client: self.args.client.clone(),
            cursor: event.cursor.clone(),
            delivery: delivery.number,
            delay: Some(time::to_proto(delay)),
            reason: why.chars().take(REASON).collect(),
        };
        call(self.client.events().nack_event(request)).await?;
        Ok(())
    }
}
