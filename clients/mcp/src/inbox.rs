//! What the agent has heard: the events of a named client.

use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{
    AcknowledgeEventsRequest, Event, MessageReceived, StartAt, SubscribeRequest, SubscribeResponse,
};
use m2_proto::client::Client;
use m2_proto::reason::Reason;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_stream::{Stream, StreamExt};
use tonic::{Status, Streaming};

/// The most messages of one answer.
const MAX_MESSAGES: usize = 20;
/// How long to wait for further events after one.
const TOGETHER: Duration = Duration::from_millis(50);
/// How long a call waits until its client name is free.
const TAKE_OVER: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(20);

/// A stream of events.
trait Events: Stream<Item = Result<SubscribeResponse, Status>> {}
impl<S: Stream<Item = Result<SubscribeResponse, Status>>> Events for S {}

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
        let mut stream = self.subscribe(request).await?;
        let (messages, last) = collect(&mut stream, end).await?;
        *told = last;
        Ok(messages)
    }

    /// Subscribes. The daemon notices the end of the previous call's stream after a moment, and that of a server that
    /// was killed.
    async fn subscribe(
        &self,
        request: SubscribeRequest,
    ) -> Result<Streaming<SubscribeResponse>, Status> {
        let until = Instant::now() + TAKE_OVER;
        loop {
            match self.client.events().subscribe(request.clone()).await {
                Err(status) if is_in_use(&status) && Instant::now() < until => sleep(LOOK).await,
                opened => return Ok(opened?.into_inner()),
            }
        }
    }
}

fn is_in_use(status: &Status) -> bool {
    Reason::of(status) == Some(Reason::ClientInUse)
}

/// Returns the messages of the next events, and the cursor of the last event. Waits for a message until `end`. If the
/// stream fails after a message, that message is not lost with it.
async fn collect(
    stream: &mut (impl Events + Unpin),
    end: Instant,
) -> Result<(Vec<MessageReceived>, Option<String>), Status> {
    let mut messages = Vec::new();
    let mut last = None;
    let mut until = end;
    while messages.len() < MAX_MESSAGES {
        let event = match next(stream, until).await {
            Ok(Some(event)) => event,
            Err(status) if messages.is_empty() => return Err(status),
            Ok(None) | Err(_) => break,
        };
        last = Some(event.cursor.clone());
        messages.extend(received(event));
        if !messages.is_empty() {
            until = end.min(Instant::now() + TOGETHER);
        }
    }
    Ok((messages, last))
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
async fn next(stream: &mut (impl Events + Unpin), end: Instant) -> Result<Option<Event>, Status> {
    loop {
        let Ok(next) = timeout_at(end, stream.next()).await else {
            return Ok(None);
        };
        match next.transpose()? {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn message(cursor: &str, text: &str) -> Event {
        Event {
            cursor: cursor.to_owned(),
            kind: Some(Kind::MessageReceived(MessageReceived {
                text: text.to_owned(),
                ..MessageReceived::default()
            })),
            ..Event::default()
        }
    }

    /// Collects from these events and a stream that fails after them.
    async fn collected(events: Vec<Event>) -> Result<(Vec<String>, Option<String>), Status> {
        let events = events.into_iter().map(|event| {
            Ok(SubscribeResponse {
                event: Some(event),
                ..SubscribeResponse::default()
            })
        });
        let failure = Err(Status::unavailable("the daemon was killed"));
        let mut stream = tokio_stream::iter(events.chain([failure]));
        let end = Instant::now() + TOGETHER;
        let (messages, last) = collect(&mut stream, end).await?;
        Ok((messages.into_iter().map(|it| it.text).collect(), last))
    }

    #[tokio::test]
    async fn messages_are_not_lost_with_their_stream() {
        let events = vec![message("1", "one"), message("2", "two")];
        let (texts, last) = collected(events).await.unwrap();
        assert_eq!(texts, ["one", "two"]);
        assert_eq!(last.as_deref(), Some("2"));
    }

    #[tokio::test]
    async fn a_stream_that_fails_before_a_message_is_an_error() {
        assert!(collected(Vec::new()).await.is_err());
        let other = Event {
            cursor: "1".to_owned(),
            ..Event::default()
        };
        assert!(collected(vec![other]).await.is_err());
    }
}
