//! The bridge to MQTT with real daemons, with a real mosquitto, and with a broker that lies.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod bridge;
mod crashes;
mod devices;
mod liar;
mod lies;
mod listener;
mod tls;

use bridge::Bridge;
use listener::Listener;
use m2_proto::api::v1::{AccessScope, CreateTokenRequest};
use m2_tests::mosquitto::Mosquitto;
use m2_tests::scenario::{Api, Pair, eventually};
use serde_json::Value;

/// Two daemons, the bridge of alice, a broker, and a program that listens there.
struct Home {
    pair: Pair,
    alice: Api,
    bob: Api,
    broker: Mosquitto,
    bridge: Bridge,
    listener: Listener,
}

impl Home {
    /// Starts all; `None` if mosquitto is not installed.
    async fn start() -> Option<Self> {
        let broker = Mosquitto::start("allow_anonymous true\n").await?;
        let pair = Pair::start().await.unwrap();
        let (alice, bob) = pair.apis().await.unwrap();
        let token = token(&alice, &[AccessScope::Events, AccessScope::Send]).await;
        let bridge = Bridge::start(&pair.alice, &broker.url(), &token, &[]);
        let listener = Listener::start(broker.port());
        let home = Self {
            pair,
            alice,
            bob,
            broker,
            bridge,
            listener,
        };
        home.listener.await_value("m2/daemon", "online").await;
        Some(home)
    }

    /// Waits for the device of bob. Returns its id in topics and its discovery message.
    async fn device(&self) -> (String, Value) {
        device(&self.listener, "bob").await
    }

    async fn command_topic(&self) -> String {
        let (_, config) = self.device().await;
        let topic = &config["components"]["notify"]["command_topic"];
        topic.as_str().unwrap().to_owned()
    }

    /// Waits until alice's bridge has published a text of bob as an event.
    async fn await_event(&self, text: &str) {
        eventually(&format!("the event {text}"), async || {
            Ok(self.events(text).first().map(|_| ()))
        })
        .await
        .unwrap();
    }

    /// Returns the events with a text.
    fn events(&self, text: &str) -> Vec<Value> {
        let all = self.listener.all().into_iter();
        let events = all.filter(|it| it.topic.ends_with("/event"));
        let events = events.map(|it| serde_json::from_slice(&it.payload).unwrap());
        events.filter(|json: &Value| json["text"] == text).collect()
    }
}

/// Waits for the device of a contact. Returns its id in topics and its discovery message.
async fn device(listener: &Listener, name: &str) -> (String, Value) {
    eventually(&format!("the device of {name}"), async || {
        let configs = listener.all().into_iter().rev();
        let mut configs = configs.filter_map(|it| {
            let id = it.topic.strip_prefix("homeassistant/device/m2_")?;
            let id = id.strip_suffix("/config")?.to_owned();
            let config: Value = serde_json::from_slice(&it.payload).ok()?;
            (config["device"]["name"] == name).then_some((id, config))
        });
        Ok(configs.next())
    })
    .await
    .unwrap()
}

/// Creates a token. Returns its text.
async fn token(api: &Api, scopes: &[AccessScope]) -> String {
    let request = CreateTokenRequest {
        name: "mqtt".to_owned(),
        scopes: scopes.iter().map(|&scope| scope.into()).collect(),
        ..CreateTokenRequest::default()
    };
    let answer = api.client().access().create_token(request).await.unwrap();
    answer.into_inner().token
}
