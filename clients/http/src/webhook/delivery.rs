//! The request for an event.

use super::settings::Webhook;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use m2_proto::api::v1::Event;
use m2_proto::api::v1::event::Kind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// An event as its receiver gets it. A repetition has the same id and the same bytes.
#[derive(Debug)]
pub(super) struct Delivery {
    id: String,
    body: Bytes,
}

impl Delivery {
    pub(super) fn new(event: &Event) -> Self {
        let json = serde_json::to_vec(event);
        Self {
            id: id(event),
            // Every event has a JSON form.
            body: json.unwrap_or_default().into(),
        }
    }

    /// Returns the signed request at a time.
    pub(super) fn request(
        &self,
        webhook: &Webhook,
        now: SystemTime,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let since = now.duration_since(UNIX_EPOCH);
        let seconds = since.unwrap_or(Duration::ZERO).as_secs();
        let signature = webhook.secrets.sign(&self.id, seconds, &self.body);
        Request::post(&webhook.url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("m2-http/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(Full::new(self.body.clone()))
    }
}

/// Returns the id of an event. The cursor of `events_dropped` is that of the last event that was deleted, which may have
/// been posted before.
fn id(event: &Event) -> String {
    match event.kind {
        Some(Kind::EventsDropped(_)) => format!("{}-dropped", event.cursor),
        _ => event.cursor.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_proto::api::v1::{EventsDropped, MessageReceived};

    #[test]
    fn the_id_is_that_of_the_event() {
        let received = Event {
            cursor: "00ab-7".to_owned(),
            kind: Some(Kind::MessageReceived(MessageReceived {
                text: "hello".to_owned(),
                ..MessageReceived::default()
            })),
            ..Event::default()
        };
        let dropped = Event {
            kind: Some(Kind::EventsDropped(EventsDropped { count: 3 })),
            ..received.clone()
        };
        assert_eq!(Delivery::new(&received).id, "00ab-7");
        assert_eq!(Delivery::new(&dropped).id, "00ab-7-dropped");
        let body = Delivery::new(&received).body;
        let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(json["messageReceived"]["text"], "hello");
    }
}
