//! The JSON names and forms on which scripts rely (proto3 JSON mapping).
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use m2_proto::api::v1::{
    Contact, ContactAdded, ContactRequested, ContactState, CreateInvitationResponse, Event,
    GetIdentityResponse, GetStatusResponse, Message, MessageReceived, MessageState,
    MessageStateChanged, SendMessageResponse, UnlockRequest, WatchMessageResponse, event::Kind,
};
use m2_proto::wkt::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

#[test]
fn messages_have_the_fields_that_scripts_rely_on() {
    let status = json_of(&GetStatusResponse::default());
    for field in ["state", "version", "peerId"] {
        assert!(status.get(field).is_some(), "{field}");
    }
    assert!(json_of(&GetIdentityResponse::default())["peerId"].is_string());
    assert!(json_of(&CreateInvitationResponse::default())["uri"].is_string());
    let contact = json_of(&Contact::default());
    for field in ["peerId", "name", "state", "verified"] {
        assert!(contact.get(field).is_some(), "{field}");
    }
    for field in ["messageId", "state"] {
        assert!(
            json_of(&SendMessageResponse::default())
                .get(field)
                .is_some()
        );
        assert!(
            json_of(&WatchMessageResponse::default())
                .get(field)
                .is_some()
        );
    }
    for field in [
        "messageId",
        "peerId",
        "direction",
        "state",
        "text",
        "cursor",
    ] {
        assert!(json_of(&Message::default()).get(field).is_some());
    }
}

#[test]
fn an_event_names_its_kind() {
    let event = event_of(Kind::MessageReceived(MessageReceived {
        message_id: "ab".into(),
        peer_id: "m2x".into(),
        text: "hello".into(),
        ..Default::default()
    }));
    assert_eq!(event["cursor"], "7");
    assert_eq!(event["time"], "1970-01-01T00:00:01Z");
    assert_eq!(event["messageReceived"]["messageId"], "ab");
    assert_eq!(event["messageReceived"]["peerId"], "m2x");
    assert_eq!(event["messageReceived"]["text"], "hello");
    assert!(event.get("contactAdded").is_none());

    let event = event_of(Kind::MessageState(MessageStateChanged {
        state: MessageState::Delivered.into(),
        ..Default::default()
    }));
    assert_eq!(event["messageState"]["state"], "MESSAGE_STATE_DELIVERED");
    let event = event_of(Kind::ContactRequest(ContactRequested::default()));
    assert!(event["contactRequest"]["peerId"].is_string());
    let event = event_of(Kind::ContactAdded(ContactAdded::default()));
    assert!(event["contactAdded"]["name"].is_string());
}

#[test]
fn false_and_zero_fields_are_present() {
    let contact = json_of(&Contact::default());
    assert_eq!(contact["verified"], json!(false));
    assert_eq!(contact["state"], "CONTACT_STATE_UNSPECIFIED");
    // 64-bit numbers are strings in the mapping.
    assert_eq!(contact["queuedMessages"], "0");
    assert_eq!(contact["lastSeen"], Value::Null);
}

#[test]
fn json_round_trips() {
    let contact = Contact {
        peer_id: "m2x".into(),
        state: ContactState::Contact.into(),
        created: Some(Timestamp::from_unix_millis(1_500)),
        ..Default::default()
    };
    let json = serde_json::to_string(&contact).unwrap();
    assert_eq!(serde_json::from_str::<Contact>(&json).unwrap(), contact);
}

#[test]
fn unknown_fields_are_ignored() {
    let contact: Contact = serde_json::from_str(r#"{"peerId":"m2x","shoeSize":44}"#).unwrap();
    assert_eq!(contact.peer_id, "m2x");
}

#[test]
fn debug_output_contains_no_passphrase() {
    let request = UnlockRequest {
        passphrase: "correct horse".into(),
    };
    assert!(!format!("{request:?}").contains("horse"));
}

fn event_of(kind: Kind) -> Value {
    json_of(&Event {
        cursor: "7".into(),
        time: Some(Timestamp::from_unix_millis(1_000)),
        kind: Some(kind),
        contact_name: "ann".into(),
    })
}

fn json_of(message: &impl Serialize) -> Value {
    serde_json::to_value(message).unwrap()
}
