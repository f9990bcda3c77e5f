//! A program that listens at the broker and publishes, as Home Assistant does.

use m2_tests::scenario::eventually;
use rumqttc::{
    AsyncClient, Event, MqttOptions, Packet, Publish, PublishOptions, PublishProperties, QoS,
    SessionMode,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A received message.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

/// The listener. It reconnects.
pub(crate) struct Listener {
    client: AsyncClient,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Listener {
    pub(crate) fn start(port: u16) -> Self {
        let mut options = MqttOptions::new("listener", ("127.0.0.1", port));
        options
            .set_session_mode(SessionMode::Persistent)
            .set_keep_alive(5);
        let (client, mut eventloop) = AsyncClient::builder(options).capacity(1_000).build();
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (sink, subscriber) = (received.clone(), client.clone());
        let task = tokio::spawn(async move {
            loop {
                match eventloop.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(answer))) if !answer.session_present => {
                        subscriber.try_subscribe("#", QoS::AtLeastOnce).unwrap();
                    }
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        sink.lock().unwrap().push(of(publish))
                    }
                    Ok(_) => {}
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
        });
        Self {
            client,
            received,
            task,
        }
    }

    /// Waits until the listener receives what is published.
    pub(crate) async fn ready(&self) {
        let heard = eventually("the listener's own message", async || {
            self.notify("ready", "yes").await;
            Ok(self.value("ready").map(|_| ()))
        });
        heard.await.unwrap();
    }

    /// Returns everything that was received, oldest first.
    pub(crate) fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Returns the newest payload of a topic.
    pub(crate) fn value(&self, topic: &str) -> Option<String> {
        let all = self.all().into_iter().rev();
        let mut values = all.filter(|it| it.topic == topic);
        values
            .next()
            .map(|it| String::from_utf8(it.payload).unwrap())
    }

    /// Waits until the newest payload of a topic is this one.
    pub(crate) async fn await_value(&self, topic: &str, payload: &str) {
        let wanted = format!("{topic} to be {payload:?}");
        let waited = eventually(&wanted, async || {
            Ok((self.value(topic).as_deref() == Some(payload)).then_some(()))
        });
        waited
            .await
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.value(topic)));
    }

    pub(crate) async fn publish(&self, topic: &str, text: &str, options: PublishOptions) {
        self.client
            .publish(topic, text.to_owned(), options)
            .await
            .unwrap();
    }

    /// Publishes as Home Assistant's entity does.
    pub(crate) async fn notify(&self, topic: &str, text: &str) {
        self.publish(topic, text, PublishOptions::new(QoS::AtLeastOnce))
            .await;
    }
}

/// Returns options with one user property.
pub(crate) fn with_property(name: &str, value: &str) -> PublishOptions {
    let properties = PublishProperties {
        user_properties: vec![(name.to_owned(), value.to_owned())],
        ..PublishProperties::default()
    };
    PublishOptions::new(QoS::AtLeastOnce).properties(properties)
}

fn of(publish: Publish) -> Received {
    Received {
        topic: String::from_utf8(publish.topic.to_vec()).unwrap(),
        payload: publish.payload.to_vec(),
    }
}
