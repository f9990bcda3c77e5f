//! What Home Assistant is told about a contact: one device with five entities.

use crate::contact_id::ContactId;
use crate::text;
use crate::topics::{OFFLINE, ONLINE, Topics};
use serde_json::{Value, json};

/// The types of events that the bridge publishes.
const EVENT_TYPES: [&str; 9] = [
    "message",
    "edited",
    "retracted",
    "reaction",
    "delivered",
    "read",
    "failed",
    "expired",
    "missing",
];

/// The paths of sessions, as the bridge publishes them.
const PATHS: [&str; 3] = ["none", "direct", "line"];
/// The most characters of the name of a device. The name of a contact has at most 64 bytes.
const MAX_NAME: usize = 64;

/// Returns the payload of a contact's discovery topic. Without `can_send`, there is no entity that sends.
#[must_use]
pub(crate) fn device(topics: &Topics, id: &ContactId, name: &str, can_send: bool) -> String {
    let device = topics.device(id);
    let payload = json!({
        "device": {
            "identifiers": [device],
            "name": text::line(name, MAX_NAME),
            "manufacturer": "M2",
            "model": "Contact",
        },
        "origin": {"name": "m2-mqtt", "sw_version": env!("CARGO_PKG_VERSION")},
        "availability": [
            {"topic": topics.bridge_status()},
            {"topic": topics.daemon_status()},
        ],
        "availability_mode": "all",
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "qos": 1,
        "components": {
            "message": message(topics, id),
            "event": event(topics, id),
            "online": online(topics, id),
            "path": path(topics, id),
            "notify": notify(topics, id, can_send),
        },
    });
    payload.to_string()
}

fn message(topics: &Topics, id: &ContactId) -> Value {
    json!({
        "platform": "sensor",
        "unique_id": format!("{}_message", topics.device(id)),
        "name": "Last message",
        "icon": "mdi:message-text",
        "state_topic": topics.message(id),
        "value_template": "{{ value_json.state }}",
        "json_attributes_topic": topics.message(id),
    })
}

fn event(topics: &Topics, id: &ContactId) -> Value {
    json!({
        "platform": "event",
        "unique_id": format!("{}_event", topics.device(id)),
        "name": "Messages",
        "icon": "mdi:message-badge",
        "state_topic": topics.event(id),
        "event_types": EVENT_TYPES,
    })
}

fn online(topics: &Topics, id: &ContactId) -> Value {
    json!({
        "platform": "binary_sensor",
        "unique_id": format!("{}_online", topics.device(id)),
        "name": "Online",
        "device_class": "connectivity",
        "state_topic": topics.online(id),
    })
}

fn path(topics: &Topics, id: &ContactId) -> Value {
    json!({
        "platform": "sensor",
        "unique_id": format!("{}_path", topics.device(id)),
        "name": "Path",
        "device_class": "enum",
        "options": PATHS,
        "entity_category": "diagnostic",
        "state_topic": topics.path(id),
    })
}

/// Returns the entity that sends. One with a platform alone is removed.
fn notify(topics: &Topics, id: &ContactId, can_send: bool) -> Value {
    if !can_send {
        return json!({"platform": "notify"});
    }
    json!({
        "platform": "notify",
        "unique_id": format!("{}_notify", topics.device(id)),
        "name": "Send message",
        "command_topic": topics.command(id),
        "qos": 1,
        "retain": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(can_send: bool) -> Value {
        let topics = Topics::new("m2", "homeassistant");
        let id = ContactId::of("m2", "m21abc");
        let json = device(&topics, &id, "ann\u{202e}\"x", can_send);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn each_component_has_a_platform_and_a_unique_id() {
        let config = config(true);
        let components = config["components"].as_object().unwrap();
        assert_eq!(components.len(), 5);
        let mut ids: Vec<_> = components
            .values()
            .map(|it| it["unique_id"].as_str().unwrap())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 5);
        assert!(components.values().all(|it| it["platform"].is_string()));
        assert_eq!(config["device"]["name"], "ann \"x");
        assert_eq!(config["origin"]["name"], "m2-mqtt");
    }

    #[test]
    fn without_the_scope_the_entity_that_sends_is_removed() {
        assert_eq!(
            config(false)["components"]["notify"],
            json!({"platform": "notify"})
        );
    }
}
