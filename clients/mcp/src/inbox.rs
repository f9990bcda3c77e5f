//! What the agent has heard: the events of a named client.

use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{
    AcknowledgeEventsRequest, Event, MessageReceived, StartAt, SubscribeRequest, SubscribeResponse,
};
use m2_proto::client::Client;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tonic::{Status, Streaming};

/// The most messages of one answer.
const MAX_MESSAGES: usize = 20;
/// How long to wait for further events after one.
const TOGETHER: Duration = Duration::from_millis(50);

/// The named client. One call at a time reads from it.
#[derive(Debug)]
pub(crate) struct Inbox {
    client: Client,
    name: String,
    /// The cursor of the last event of the previous answer, until it is acknowledged.
    told: Mutex<Option<String>>,
}

impl Inbox {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self {
            client,
            name,
            told: Mutex::new(None),
        }
    }

    /// Returns the messages that were received since the previous call; waits for one until `end`. The messages of
    /// a call are acknowledged by the next one, so that none is lost with an answer that the agent did not get.
    pub(crate) async fn receive(&self, end: Instant) -> Result<Vec<MessageReceived>, Status> {
        let mut told = self.told.lock().await;
        if let Some(cursor) = told.clone() {
            let request = AcknowledgeEventsRequest {
                client: self.name.clone(),
                cursor,
            };
            self.client.events().acknowledge_events(request).await?;
            *told = None;
        }
        let request = SubscribeRequest {
            client: self.name.clone(),
            ..SubscribeRequest::default()
        };
        let mut stream = self.client.events().subscribe(request).await?.into_inner();
        let mut messages = Vec::new();
        let mut until = end;
        while messages.len() < MAX_MESSAGES
            && let Some(event) = next(&mut stream, until).await?
        {
            *told = Some(event.cursor.clone());
            messages.extend(received(event));
            if !messages.is_empty() {
                until = end.min(Instant::now() + TOGETHER);
            }
        }
        Ok(messages)
    }
}

/// Sends a question and waits for the message that answers it. The stream is opened before the question is sent, so
/// that no answer is missed.
pub(crate) async fn answer_to(
    client: &Client,
    send: impl Future<Output = Result<String, Status>>,
    end: Instant,
) -> Result<(String, Option<MessageReceived>), Status> {
    let request = SubscribeRequest {
        start_at: StartAt::Now.into(),
        ..SubscribeRequest::default()
    };
    let mut stream = client.events().subscribe(request).await?.into_inner();
    let asked = send.await?;
    while let Some(event) = next(&mut stream, end).await? {
        if let Some(message) = received(event).filter(|message| message.reply_to == asked) {
            return Ok((asked, Some(message)));
        }
    }
    Ok((asked, None))
}

/// Returns the next event; `None` at the end of the time or of the stream.
async fn next(
    stream: &mut Streaming<SubscribeResponse>,
    end: Instant,
) -> Result<Option<Event>, Status> {
    loop {
        let Ok(next) = timeout_at(end, stream.message()).await else {
            return Ok(None);
        };
        match next? {
            Some(SubscribeResponse {
                event: Some(event), ..
            }) => return Ok(Some(event)),
            Some(_) => {}
            None => return Ok(None),
        }
    }
}

fn received(event: Event) -> Option<MessageReceived> {
    match event.kind? {
        Kind::MessageReceived(received) => Some(received),
        _ => None,
    }
}
