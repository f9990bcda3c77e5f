//! What is published about an event.

use super::input::{Content, Happening, Kind};
use crate::text;
use serde::Serialize;

/// The most bytes of a message's text that are published. The whole message stays in the daemon's history.
const MAX_TEXT_BYTES: usize = 16 * 1024;
/// The most bytes of the text among the attributes of the sensor for the last message.
const MAX_ATTRIBUTE_BYTES: usize = 1024;
/// The most characters of a state in Home Assistant.
pub(crate) const MAX_STATE_CHARACTERS: usize = 255;
/// The bytes to which a text is shortened if the broker refuses it, in this order.
const SHORTER: [usize; 3] = [4_096, 512, 0];

/// An event as it is published: a JSON object.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    event_type: &'static str,
    contact: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    message_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "String::is_empty")]
    time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reply_to: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    thread: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    failure: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<u64>,
}

impl Report {
    /// Returns what is published about an event; `None` if it concerns no conversation.
    pub(super) fn of(happening: &Happening) -> Option<Self> {
        let report = match &happening.kind {
            Kind::Message(content) => Self::content("message", content),
            Kind::Edited(content) => Self::content("edited", content),
            Kind::Retracted { id } => Self::about("retracted", id),
            Kind::Expired { id } => Self::about("expired", id),
            Kind::Reacted { id, text } => Self {
                text: Some(text::cut(text, MAX_TEXT_BYTES).to_owned()),
                ..Self::about("reaction", id)
            },
            Kind::State { id, state, failure } => Self {
                failure: failure.clone(),
                ..Self::about(state, id)
            },
            Kind::Missing { count } => Self {
                missing: Some(*count),
                ..Self::about("missing", "")
            },
            Kind::Added | Kind::Removed | Kind::Dropped { .. } | Kind::Passed => return None,
        };
        Some(Self {
            contact: happening.name.clone(),
            ..report
        })
    }

    /// Returns the size of the text in bytes.
    pub(super) fn size(&self) -> usize {
        self.text.as_ref().map_or(0, String::len)
    }

    /// Shortens the text. Returns false if there is none to shorten.
    pub(super) fn shrink(&mut self) -> bool {
        let size = self.size();
        let shorter = SHORTER.into_iter().find(|bytes| *bytes < size);
        if let (Some(bytes), Some(text)) = (shorter, &mut self.text) {
            *text = text::cut(text, bytes).to_owned();
            self.truncated = true;
        }
        shorter.is_some()
    }

    /// Returns the JSON object in at most `room` bytes, if that is possible with a shorter text.
    pub(super) fn to_json(&self, room: usize) -> String {
        let mut report = self.clone();
        loop {
            let json = serde_json::to_string(&report).unwrap_or_default();
            if json.len() <= room || report.size() == 0 {
                return json;
            }
            let half = report.size() / 2;
            let shorter = report.text.as_deref().map(|text| text::cut(text, half));
            report.text = shorter.map(str::to_owned);
            report.truncated = true;
        }
    }

    fn about(event_type: &'static str, id: &str) -> Self {
        Self {
            event_type,
            message_id: id.to_owned(),
            ..Self::default()
        }
    }

    fn content(event_type: &'static str, content: &Content) -> Self {
        let whole = content.text.as_deref().unwrap_or_default();
        let text = text::cut(whole, MAX_TEXT_BYTES);
        Self {
            text: content.text.is_some().then(|| text.to_owned()),
            truncated: text.len() < whole.len(),
            media_type: content.media_type.clone(),
            bytes: content.text.is_none().then_some(content.bytes),
            time: content.time.clone(),
            reply_to: content.reply_to.clone(),
            thread: content.thread.clone(),
            ..Self::about(event_type, &content.id)
        }
    }
}

/// Returns the value of the topic for the last message.
pub(super) fn last_message(content: &Content) -> String {
    let kind = format!("({}, {} bytes)", content.media_type, content.bytes);
    let whole = content.text.as_deref().unwrap_or(&kind);
    let value = serde_json::json!({
        "state": text::line(whole, MAX_STATE_CHARACTERS),
        "text": text::cut(whole, MAX_ATTRIBUTE_BYTES),
        "message_id": content.id,
        "time": content.time,
    });
    value.to_string()
}

/// Returns the value of the topic for the last message when that message is gone.
pub(super) fn no_message() -> String {
    serde_json::json!({"state": null}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn message(text: &str) -> Happening {
        Happening {
            cursor: "1".to_owned(),
            peer_id: "m21abc".to_owned(),
            name: "ann".to_owned(),
            kind: Kind::Message(Content {
                id: "00ff".to_owned(),
                text: Some(text.to_owned()),
                ..Content::default()
            }),
        }
    }

    fn parse(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_message_is_an_object_with_its_text() {
        let report = Report::of(&message("a \"b\"\n{{ now() }}")).unwrap();
        let json = parse(&report.to_json(1_000));
        assert_eq!(json["event_type"], "message");
        assert_eq!(json["text"], "a \"b\"\n{{ now() }}");
        assert_eq!(json["contact"], "ann");
        assert_eq!(json.get("truncated"), None);
    }

    #[test]
    fn a_text_fits_into_the_packets_of_the_broker() {
        let report = Report::of(&message(&"\u{1}".repeat(48 * 1024))).unwrap();
        for room in [200, 1_000, 10_000, 200_000] {
            let json = report.to_json(room);
            assert!(json.len() <= room, "{room}");
            assert_eq!(parse(&json)["truncated"], true);
        }
    }

    #[test]
    fn a_refused_text_gets_shorter_until_there_is_none() {
        let mut report = Report::of(&message(&"x".repeat(48 * 1024))).unwrap();
        let mut sizes = Vec::new();
        while report.shrink() {
            sizes.push(report.size());
        }
        assert_eq!(sizes, SHORTER);
    }

    #[test]
    fn a_state_is_one_line_of_at_most_255_characters() {
        let content = Content {
            text: Some("é\n".repeat(400)),
            ..Content::default()
        };
        let json = parse(&last_message(&content));
        let state = json["state"].as_str().unwrap();
        assert_eq!(state.chars().count(), MAX_STATE_CHARACTERS);
        assert!(!state.contains('\n'));
    }
}
