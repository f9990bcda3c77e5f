//! The bridge to MQTT: its process, and a program at the broker that publishes commands and hears the events.

use crate::scene::{PAUSE, Phase, Scene};
use anyhow::Context as _;
use m2_tests::harness::Binaries;
use m2_tests::mosquitto::Mosquitto;
use m2_tests::scenario::Api;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, PublishOptions, PublishProperties,
    QoS, SessionMode,
};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

const NAME: &str = "mqtt";
/// In the long run, the bridge accepts one command per second and contact.
const INTERVAL: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(200);

/// Runs the bridge, one process after another.
pub(crate) async fn keep(
    scene: Arc<Scene>,
    kill: Arc<Notify>,
    broker: Mosquitto,
    token: String,
) -> anyhow::Result<()> {
    let state = tempfile::tempdir()?;
    let program = Binaries::beside("m2-mqtt")?;
    let bridge = || {
        let mut command = Command::new(&program);
        command.args(["--url", &broker.url(), "--client", NAME]);
        command.arg("--socket").arg(&scene.alice);
        command.arg("--state-dir").arg(state.path());
        command.env("M2_TOKEN", &token);
        Ok(command)
    };
    scene.keep("m2-mqtt", &kill, bridge).await
}

/// A program at the broker, such as Home Assistant.
pub(crate) struct Home {
    client: AsyncClient,
    /// The topic for commands to bob, once his device is known.
    topic: Topic,
}

/// Receives the topic for commands.
type Topic = watch::Receiver<Option<String>>;
/// Publishes that topic.
type Topics = watch::Sender<Option<String>>;

impl Home {
    pub(crate) fn new(port: u16) -> (Self, EventLoop, Topics) {
        let mut options = MqttOptions::new("home", ("127.0.0.1", port));
        options.set_session_mode(SessionMode::Persistent);
        let (client, events) = AsyncClient::builder(options).capacity(1_000).build();
        client.try_subscribe("#", QoS::AtLeastOnce).unwrap();
        let (topics, topic) = watch::channel(None);
        (Self { client, topic }, events, topics)
    }

    /// Publishes numbered commands, each again with the same id until the broker has it. Ends when bob has the last one.
    pub(crate) async fn send(mut self, scene: Arc<Scene>) -> anyhow::Result<()> {
        scene.reached(Phase::Load).await;
        let topic = self.topic.wait_for(Option::is_some).await?.clone();
        let topic = topic.context("no topic")?;
        let mut number = 0;
        while !scene.has_reached(Phase::Drain) {
            if let Err(error) = self.publish(&topic, number).await {
                scene.problem("mqtt send", error);
                sleep(PAUSE).await;
                continue;
            }
            number += 1;
            scene.sent(NAME, number);
            sleep(INTERVAL).await;
        }
        if let Some(last) = number.checked_sub(1) {
            let last = format!("{NAME} {last}");
            let bob = Api::at(&scene.bob).await?;
            while !bob.received("alice").await?.contains(&last) {
                sleep(POLL).await;
            }
        }
        scene.complete(NAME);
        // Without its client, the connection would end.
        scene.reached(Phase::Over).await;
        Ok(())
    }

    async fn publish(&self, topic: &str, number: u64) -> anyhow::Result<()> {
        let properties = PublishProperties {
            user_properties: vec![("id".to_owned(), format!("mqtt-{number}"))],
            ..PublishProperties::default()
        };
        let options = PublishOptions::new(QoS::AtLeastOnce).properties(properties);
        let text = format!("{NAME} {number}");
        let published = self.client.publish_tracked(topic, text, options).await?;
        Ok(published.wait_completion_async().await?)
    }
}

/// Hears what the bridge publishes, until the run is over.
pub(crate) async fn hear(
    scene: Arc<Scene>,
    mut events: EventLoop,
    topics: Topics,
) -> anyhow::Result<()> {
    loop {
        let event = tokio::select! {
            event = events.poll() => event,
            () = scene.reached(Phase::Over) => return Ok(()),
        };
        match event {
            Ok(Event::Incoming(Packet::Publish(publish))) => take(&scene, &publish, &topics)?,
            Ok(_) => {}
            Err(error) => {
                scene.problem("mqtt events", error);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Takes one publication of the bridge: the device of bob, or an event.
fn take(scene: &Scene, publish: &Publish, topics: &Topics) -> anyhow::Result<()> {
    let topic = std::str::from_utf8(&publish.topic)?;
    if topic.starts_with("homeassistant/device/") && !publish.payload.is_empty() {
        let config: Value = serde_json::from_slice(&publish.payload)?;
        let topic = config["components"]["notify"]["command_topic"].as_str();
        topics.send_replace(topic.map(str::to_owned));
    } else if topic.ends_with("/event") {
        let event: Value = serde_json::from_slice(&publish.payload)?;
        if event["event_type"] == "message" {
            scene.hear(NAME, event["text"].as_str().context("no text")?);
        }
    }
    Ok(())
}
