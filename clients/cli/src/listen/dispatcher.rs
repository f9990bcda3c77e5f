//! The stream of events, and a command for each event.

use std::future::Future;
use std::pin::Pin;

use m2_proto::api::v1::{Event, SubscribeResponse};
use m2_proto::client::Client;
use tonic::Streaming;

use super::ListenArgs;
use super::acknowledger::Acknowledger;
use super::hook::Hook;
use super::listener::subscribe;
use super::runner::Runner;
use crate::context::Context;
use crate::events;
use crate::failure::Failure;
use crate::reconnect::{Pauses, passes};

/// A front-end that runs commands. The events that it has taken outlive a stream that breaks.
pub(super) struct Dispatcher<'a> {
    args: &'a ListenArgs,
    client: &'a Client,
    runner: Runner,
    acknowledger: Acknowledger,
    /// The cursor of the last event that was taken, after which the next stream begins.
    after: Option<String>,
    left: u64,
}

impl<'a> Dispatcher<'a> {
    pub(super) fn new(
        command: &str,
        args: &'a ListenArgs,
        client: &'a Client,
        context: &Context,
    ) -> Self {
        let hook = Hook::new(command, args.retry_delay, context);
        Self {
            runner: Runner::new(hook, args.jobs.into(), context.out),
            acknowledger: Acknowledger::new(client.clone(), args.client.clone()),
            after: None,
            left: args.count.unwrap_or(u64::MAX),
            args,
            client,
        }
    }

    /// Runs commands until the requested number of events is finished or a signal arrives. Errors:
    /// the stream, an acknowledgement or the output failed.
    pub(super) async fn follow(
        &mut self,
        mut stop: Pin<&mut impl Future<Output = ()>>,
        pauses: &mut Pauses,
    ) -> Result<(), Failure> {
        let mut stream = subscribe(self.client, self.args, &mut self.after).await?;
        pauses.end();
        let result = self.work(&mut stream, stop.as_mut()).await;
        let ends = |failure: &Failure| !(self.args.reconnect && passes(failure));
        if result.as_ref().is_err_and(ends) {
            tokio::select! {
                () = self.runner.settle() => {}
                () = stop => {}
            }
        }
        result
    }

    async fn work(
        &mut self,
        stream: &mut Streaming<SubscribeResponse>,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<(), Failure> {
        while self.left > 0 || !self.runner.is_finished() {
            let takes = self.left > 0 && self.runner.has_room();
            tokio::select! {
                answer = stream.message(), if takes => {
                    let answer = events::read(answer)?;
                    if let Some(event) = answer.event {
                        self.take(&event)?;
                    }
                    if let Some(caught_up) = answer.caught_up {
                        self.pass(caught_up.cursor);
                    }
                }
                ended = self.runner.advance() => ended?,
                arrived = self.acknowledger.arrived() => arrived?,
                () = stop.as_mut() => {
                    self.runner.kill().await;
                    break;
                }
            }
            self.acknowledger.push(self.runner.take_done());
        }
        self.acknowledger.finish().await
    }

    /// Records that the events up to a cursor are of no interest, or were taken.
    fn pass(&mut self, cursor: String) {
        if self.after.as_ref() != Some(&cursor) {
            self.runner.pass(cursor.clone());
            self.after = Some(cursor);
        }
    }

    fn take(&mut self, event: &Event) -> Result<(), Failure> {
        self.runner.take(event)?;
        self.left = self.left.saturating_sub(1);
        self.after = Some(event.cursor.clone());
        Ok(())
    }
}
