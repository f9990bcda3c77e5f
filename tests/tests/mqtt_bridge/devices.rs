//! What Home Assistant sees, and what it may publish.

use super::listener::with_property;
use super::{Home, token};
use crate::bridge::Bridge;
use m2_proto::api::v1::{AccessScope, RemoveContactRequest, RenameContactRequest};
use m2_tests::scenario::Pair;
use rumqttc::{PublishOptions, QoS};
use serde_json::{Value, json};

#[tokio::test]
async fn a_contact_is_a_device_with_its_messages_and_its_presence() {
    let Some(mut home) = Home::start().await else {
        return;
    };
    let (id, config) = home.device().await;
    assert_eq!(config["components"].as_object().unwrap().len(), 5);
    assert_eq!(config["availability"][0]["topic"], "m2/bridge");
    let topic = |level: &str| format!("m2/contacts/{id}/{level}");
    home.listener.await_value(&topic("online"), "ON").await;
    home.listener.await_value(&topic("path"), "direct").await;
    home.bob
        .send("alice", "{{ states('x') }}\nsecond line")
        .await
        .unwrap();
    home.await_event("{{ states('x') }}\nsecond line").await;
    let value = home.listener.value(&topic("message")).unwrap();
    let value: Value = serde_json::from_str(&value).unwrap();
    assert_eq!(value["state"], "{{ states('x') }} second line");
    home.pair.bob.kill9().await.unwrap();
    home.listener.await_value(&topic("online"), "OFF").await;
    home.listener.await_value(&topic("path"), "none").await;
    // No peer id leaves the daemon.
    let peer_id = home.alice.contact("bob").await.unwrap().peer_id;
    let all = home.listener.all();
    let tells = all
        .iter()
        .any(|it| String::from_utf8_lossy(&it.payload).contains(&peer_id));
    assert!(!tells);
}

#[tokio::test]
async fn a_device_follows_the_name_and_goes_with_the_contact() {
    let Some(mut home) = Home::start().await else {
        return;
    };
    let (id, _) = home.device().await;
    let request = RenameContactRequest {
        contact: "bob".to_owned(),
        name: "robert".to_owned(),
    };
    home.alice
        .client()
        .contacts()
        .rename_contact(request)
        .await
        .unwrap();
    home.bob.send("alice", "who is it?").await.unwrap();
    let (renamed, _) = super::device(&home.listener, "robert").await;
    assert_eq!(renamed, id, "the same device");
    // It is removed while no bridge runs.
    home.bridge.kill9().await;
    let request = RemoveContactRequest {
        contact: "robert".to_owned(),
        history: false,
    };
    home.alice
        .client()
        .contacts()
        .remove_contact(request)
        .await
        .unwrap();
    home.bridge.restart();
    let config = format!("homeassistant/device/m2_{id}/config");
    home.listener.await_value(&config, "").await;
    home.listener
        .await_value(&format!("m2/contacts/{id}/message"), "")
        .await;
}

#[tokio::test]
async fn what_is_published_is_sent_once_for_each_command() {
    let Some(home) = Home::start().await else {
        return;
    };
    let topic = home.command_topic().await;
    for _ in 0..2 {
        home.listener.notify(&topic, "the door is open").await;
    }
    for _ in 0..2 {
        home.listener
            .publish(&topic, "once", with_property("id", "42"))
            .await;
    }
    // These must not be sent.
    let retained = PublishOptions::new(QoS::AtLeastOnce).retained();
    home.listener.publish(&topic, "retained", retained).await;
    home.listener
        .publish(&topic, "loop", with_property("m2-mqtt", "1"))
        .await;
    let unknown = "m2/contacts/0123456789abcdef/send";
    home.listener.notify(unknown, "unknown").await;
    home.listener.notify(&topic, "the last one").await;
    home.bob.await_text("alice", "the last one").await.unwrap();
    let received = home.bob.received("alice").await.unwrap();
    let expected = [
        "the door is open",
        "the door is open",
        "once",
        "the last one",
    ];
    assert_eq!(received, expected);
    for text in ["retained message", "copies topics", "does not exist"] {
        home.bridge.await_log(text).await;
    }
    assert!(!home.bridge.log().contains("bob"), "{}", home.bridge.log());
}

#[tokio::test]
async fn devices_are_announced_again_when_home_assistant_starts() {
    let Some(home) = Home::start().await else {
        return;
    };
    let (id, _) = home.device().await;
    let config = format!("homeassistant/device/m2_{id}/config");
    let count = || {
        home.listener
            .all()
            .iter()
            .filter(|it| it.topic == config)
            .count()
    };
    let before = count();
    home.listener.notify("homeassistant/status", "online").await;
    let announced = m2_tests::scenario::eventually("an announcement", async || {
        Ok((count() > before).then_some(()))
    });
    announced.await.unwrap();
}

#[tokio::test]
async fn the_token_says_what_the_bridge_may_do() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let secret = token(&alice, &[AccessScope::Send]).await;
    let url = "mqtt://127.0.0.1:1";
    let mut bridge = Bridge::start(&pair.alice, url, &secret, &[]);
    assert_eq!(bridge.ended().await.code(), Some(2));
    bridge
        .await_log("m2 token create mqtt --scope events,send")
        .await;
    assert!(!bridge.log().contains(&secret));
    let mut bridge = Bridge::start(&pair.alice, url, "m2t_wrong", &[]);
    assert_eq!(bridge.ended().await.code(), Some(2));
}

#[tokio::test]
async fn without_the_scope_there_is_no_entity_that_sends() {
    let Some(mut home) = Home::start().await else {
        return;
    };
    let topic = home.command_topic().await;
    home.bridge.kill9().await;
    let request = m2_proto::api::v1::CreateTokenRequest {
        name: "reader".to_owned(),
        scopes: vec![AccessScope::Events.into()],
        ..Default::default()
    };
    let answer = home
        .alice
        .client()
        .access()
        .create_token(request)
        .await
        .unwrap();
    let secret = answer.into_inner().token;
    let arguments = ["--client", "reader"];
    let bridge = Bridge::start(&home.pair.alice, &home.broker.url(), &secret, &arguments);
    let removed = m2_tests::scenario::eventually("the removed entity", async || {
        let (_, config) = home.device().await;
        Ok((config["components"]["notify"] == json!({"platform": "notify"})).then_some(()))
    });
    removed.await.unwrap();
    home.listener.notify(&topic, "not permitted").await;
    bridge.await_log("lacks the scope").await;
    assert_eq!(home.bob.received("alice").await.unwrap().len(), 0);
}
