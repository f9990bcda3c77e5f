//! Acknowledges finished events while further commands run.

use futures::FutureExt;
use futures::future::BoxFuture;
use m2_proto::api::v1::AcknowledgeEventsRequest;
use m2_proto::client::Client;

use crate::context::call;
use crate::failure::Failure;

/// At most one acknowledgement is on its way. The next one then covers everything that has finished
/// in the meantime.
pub(super) struct Acknowledger {
    api: Client,
    /// The name of the front-end; empty if nothing is acknowledged.
    client: String,
    /// The newest cursor that is neither acknowledged nor on its way.
    next: Option<String>,
    /// The cursor that is on its way.
    sent: Option<(String, BoxFuture<'static, Result<(), Failure>>)>,
}

impl Acknowledger {
    pub(super) fn new(api: Client, client: String) -> Self {
        Self {
            api,
            client,
            next: None,
            sent: None,
        }
    }

    /// Acknowledges this cursor, at once if no other is on its way.
    pub(super) fn push(&mut self, cursor: Option<String>) {
        if !self.client.is_empty() {
            self.next = cursor.or(self.next.take());
            self.begin();
        }
    }

    /// Waits until an acknowledgement has arrived; forever if none is on its way. May be cancelled
    /// at any time. After an error the cursor waits for the next [`push`](Self::push).
    pub(super) async fn arrived(&mut self) -> Result<(), Failure> {
        let Some((_, answer)) = &mut self.sent else {
            return std::future::pending().await;
        };
        let answer = answer.await;
        let sent = self.sent.take().map(|(cursor, _)| cursor);
        if answer.is_err() {
            self.next = self.next.take().or(sent);
        } else {
            self.begin();
        }
        answer
    }

    /// Waits until everything is acknowledged.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        self.begin();
        while self.sent.is_some() {
            self.arrived().await?;
        }
        Ok(())
    }

    fn begin(&mut self) {
        if self.sent.is_some() {
            return;
        }
        let Some(cursor) = self.next.take() else {
            return;
        };
        let request = AcknowledgeEventsRequest {
            client: self.client.clone(),
            cursor: cursor.clone(),
        };
        let mut events = self.api.events();
        let answer = async move {
            call(events.acknowledge_events(request)).await?;
            Ok(())
        };
        self.sent = Some((cursor, answer.boxed()));
    }
}
