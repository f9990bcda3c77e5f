//! The task of a webhook.

use super::board::Entry;
use super::delivery::Delivery;
use super::failure::{Absent, Refused};
use super::schedule::Schedule;
use super::sender::Sender;
use super::settings::Webhook;
use crate::daemon::Daemon;
use m2_proto::api::v1::{AcknowledgeEventsRequest, Event, ReportClientRequest};
use m2_proto::client::Client;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{sleep, timeout};
use tonic::Status;

/// How long a call of the daemon may take.
const CALL: Duration = Duration::from_secs(30);

/// A webhook with its connections.
#[derive(Debug)]
pub(super) struct Runner {
    webhook: Webhook,
    daemon: Arc<Daemon>,
    sender: Sender,
    entry: Arc<Entry>,
    schedule: Schedule,
}

impl Runner {
    pub(super) fn new(
        webhook: Webhook,
        daemon: Arc<Daemon>,
        sender: Sender,
        entry: Arc<Entry>,
    ) -> Self {
        Self {
            schedule: Schedule::new(webhook.longest_pause),
            webhook,
            daemon,
            sender,
            entry,
        }
    }

    /// Posts the events until the gateway stops.
    pub(super) async fn run(mut self) {
        loop {
            let absent = self.follow().await;
            self.entry
                .update(|state| state.failure = Some(absent.to_string()));
            sleep(self.schedule.disconnected(jitter())).await;
        }
    }

    /// Posts the events until the daemon gives no more.
    async fn follow(&mut self) -> Absent {
        match self.events().await {
            Ok(()) => Absent::Ended,
            Err(absent) => absent,
        }
    }

    async fn events(&mut self) -> Result<(), Absent> {
        let token = self.webhook.token()?;
        // A stream that is not read takes the window of its connection, so no two webhooks share one.
        let client = self.daemon.connect().await?.with_token(token);
        let opened = within(client.events().subscribe(self.webhook.request())).await?;
        let mut stream = opened.into_inner();
        if self.schedule.connected() {
            self.entry.update(|state| state.failure = None);
        }
        while let Some(response) = stream.message().await? {
            if let Some(event) = response.event {
                self.deliver(&client, &event).await;
                self.acknowledge(&client, event.cursor).await?;
            } else if let Some(caught_up) = response.caught_up {
                self.acknowledge(&client, caught_up.cursor).await?;
            }
        }
        Ok(())
    }

    /// Posts an event until the receiver accepts it.
    async fn deliver(&mut self, client: &Client, event: &Event) {
        let delivery = Delivery::new(event);
        while let Err(refused) = self.post(&delivery).await {
            let failure = refused.to_string();
            let retry = self
                .schedule
                .refused(&failure, refused.retry_after(), jitter());
            self.entry.update(|state| {
                state.failed = state.failed.saturating_add(1);
                if retry.is_failing {
                    state.failure = Some(failure);
                }
            });
            if let Some(failure) = retry.report {
                self.report(client, failure).await;
            }
            sleep(retry.pause).await;
        }
        self.entry.update(|state| {
            state.delivered = state.delivered.saturating_add(1);
            state.failure = None;
        });
        if self.schedule.delivered() {
            self.report(client, String::new()).await;
        }
    }

    async fn post(&self, delivery: &Delivery) -> Result<(), Refused> {
        let request = delivery.request(&self.webhook, SystemTime::now());
        let request = request.map_err(|error| Refused::connection(&error))?;
        self.sender.post(request).await
    }

    async fn acknowledge(&self, client: &Client, cursor: String) -> Result<(), Absent> {
        let request = AcknowledgeEventsRequest {
            client: self.webhook.client.clone(),
            cursor,
        };
        within(client.events().acknowledge_events(request)).await?;
        Ok(())
    }

    /// Tells the daemon that the webhook fails, or that it does not. The daemon may be too old to listen.
    async fn report(&mut self, client: &Client, failure: String) {
        let request = ReportClientRequest {
            client: self.webhook.client.clone(),
            failure,
        };
        if let Err(error) = within(client.events().report_client(request)).await {
            tracing::debug!(webhook = self.webhook.name, %error, "the daemon did not take a report");
            self.schedule.not_reported();
        }
    }
}

/// Waits for an answer of the daemon, for a limited time.
async fn within<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    let answered = timeout(CALL, call).await;
    answered.unwrap_or_else(|_| Err(Status::unavailable("The daemon does not answer.")))
}

/// Returns a random number. Without one, the webhooks would only try again at the same time.
fn jitter() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}
