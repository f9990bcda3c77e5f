//! One connection to the broker. It is not reopened: the driver opens another one.
//!
//! The library keeps nothing across connections. The bridge publishes again what the broker has not acknowledged, and the
//! broker repeats what the bridge has not acknowledged.

use crate::bridge::{Input, Message, Outcome};
use crate::settings::Broker;
use crate::topics::{OFFLINE, Topics};
use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{FuturesUnordered, StreamExt as _};
use rumqttc::{
    AckMode, AsyncClient, ConnAck, ConnectionError, DisconnectReasonCode, Event, EventLoop,
    LastWill, ManualAck, MqttOptions, Packet, PersistedAckMode, PersistedSession, PubAck,
    PubAckReason, PublishNotice, PublishNoticeError, PublishOptions, PublishProperties,
    PublishResult, QoS, RetainForwardRule, SessionMode, SessionStore, SessionStoreError,
    SessionStoreKey, StateError, SubscribeFilterInput, SubscribeReasonCode, mqttbytes,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The publications that wait for the broker's answer, at most; the bridge has fewer.
const WINDOW: u16 = 64;
/// The commands that the broker may have unacknowledged. The bridge has room for twice as many.
const RECEIVE_MAXIMUM: u16 = 32;
/// The largest packet that the broker may send: a message with its topic and properties.
const MAX_PACKET: u32 = 64 * 1024;
/// How long the broker keeps what was sent to the bridge while that does not run.
const SESSION_EXPIRY_S: u32 = 30 * 24 * 60 * 60;
const KEEP_ALIVE_S: u16 = 30;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What the broker may take at the end.
const DRAIN: Duration = Duration::from_secs(2);
/// The answers from the broker that wait for the driver. When it is full, nothing is read from the broker.
const QUEUE: usize = 16;
/// The user property of everything that a bridge publishes.
const MARK: &str = "m2-mqtt";
/// The user property with which a publisher states what identifies a command.
const STATED_ID: &str = "id";
/// The longest such statement, in bytes.
const MAX_STATED_ID: usize = 1_024;

/// What the broker says.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "few exist at a time")]
pub(crate) enum FromBroker {
    /// An input of the bridge.
    Input(Input),
    /// The connection ended, for this reason.
    Down { too_large: bool, reason: String },
}

/// A connection. Dropping it closes it.
pub(crate) struct Connection {
    client: AsyncClient,
    task: JoinHandle<()>,
    from: mpsc::Receiver<FromBroker>,
    notices: FuturesUnordered<BoxFuture<'static, Input>>,
    status: String,
}

impl Connection {
    /// Begins to connect. Errors: the settings are inconsistent.
    pub(crate) fn open(
        broker: &Broker,
        topics: &Topics,
    ) -> Result<Self, rumqttc::ClientBuildError> {
        let options = options(broker, topics);
        let capacity = usize::from(WINDOW) * 2;
        let (client, eventloop) = AsyncClient::builder(options)
            .capacity(capacity)
            .try_build()?;
        let (to, from) = mpsc::channel(QUEUE);
        let task = tokio::spawn(poll(eventloop, client.clone(), topics.clone(), to));
        Ok(Self {
            client,
            task,
            from,
            notices: FuturesUnordered::new(),
            status: topics.bridge_status(),
        })
    }

    /// Returns what the broker says next. Cancel-safe.
    pub(crate) async fn next(&mut self) -> FromBroker {
        tokio::select! {
            biased;
            Some(input) = self.notices.next(), if !self.notices.is_empty() => FromBroker::Input(input),
            from = self.from.recv() => from.unwrap_or_else(|| FromBroker::Down {
                too_large: false,
                reason: "the connection to the broker ended".to_owned(),
            }),
        }
    }

    /// Publishes with QoS 1.
    pub(crate) fn publish(&mut self, token: u64, topic: String, payload: String, retain: bool) {
        let notice = self
            .client
            .try_publish_tracked(topic, payload, publish_options(retain));
        let answer = async move {
            let outcome = match notice {
                Ok(notice) => outcome(notice).await,
                Err(_) => Outcome::NotSent,
            };
            Input::Published { token, outcome }
        };
        self.notices.push(answer.boxed());
    }

    /// Acknowledges a message. Returns false if the queue is full: the connection must then be closed, so that the broker
    /// repeats the message.
    pub(crate) fn confirm(&self, packet: u16, refused: bool) -> bool {
        let mut ack = PubAck::new(packet, None);
        if refused {
            ack.reason = PubAckReason::ImplementationSpecificError;
        }
        let ack = ManualAck::PubAck(ack);
        self.client.try_manual_ack(ack).is_ok()
    }

    /// Says that the bridge ends, and closes the connection.
    pub(crate) async fn close(mut self) {
        let offline = publish_options(true);
        let _ = self
            .client
            .try_publish(self.status.clone(), OFFLINE, offline);
        let _ = self.client.try_disconnect_with_timeout(DRAIN);
        let ended = async {
            while !matches!(self.from.recv().await, None | Some(FromBroker::Down { .. })) {}
        };
        let _ = tokio::time::timeout(DRAIN, ended).await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn publish_options(retain: bool) -> PublishOptions {
    let properties = PublishProperties {
        payload_format_indicator: Some(1),
        user_properties: vec![(MARK.to_owned(), "1".to_owned())],
        ..PublishProperties::default()
    };
    PublishOptions::new(QoS::AtLeastOnce)
        .retain(retain)
        .properties(properties)
}

async fn outcome(notice: PublishNotice) -> Outcome {
    let reason = match notice.wait_async().await {
        Ok(PublishResult::Qos1(ack)) => ack.reason,
        Ok(_) => PubAckReason::Success,
        Err(PublishNoticeError::V5PubAck(reason)) => reason,
        Err(PublishNoticeError::RetainNotSupported) => return Outcome::Refused,
        // The connection has ended, which is reported with its reason.
        Err(_) => return std::future::pending().await,
    };
    match reason {
        PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Outcome::Acknowledged,
        PubAckReason::PayloadFormatInvalid => Outcome::BadContent,
        _ => Outcome::Refused,
    }
}

fn options(broker: &Broker, topics: &Topics) -> MqttOptions {
    let address = (broker.host.as_str(), broker.port);
    let mut options = MqttOptions::new(broker.client_id.clone(), address);
    let will = LastWill::new(
        topics.bridge_status(),
        OFFLINE,
        QoS::AtLeastOnce,
        true,
        None,
    );
    options
        .set_transport(broker.transport.clone())
        .set_keep_alive(KEEP_ALIVE_S)
        .set_session_mode(SessionMode::Persistent)
        .set_session_expiry_interval(Some(SESSION_EXPIRY_S))
        .set_receive_maximum(Some(RECEIVE_MAXIMUM))
        .set_max_packet_size(Some(MAX_PACKET))
        .set_ack_mode(AckMode::Manual)
        .set_connect_timeout(CONNECT_TIMEOUT)
        .set_outgoing_inflight_upper_limit(WINDOW)
        .set_last_will(will)
        .set_session_store_arc(Arc::new(NothingInFlight));
    match (&broker.user, &broker.password) {
        (Some(user), Some(password)) => {
            options.set_credentials(user.clone(), password.as_bytes().to_vec());
        }
        (Some(user), None) => {
            options.set_username(user.clone());
        }
        _ => {}
    }
    options
}

/// The state of the session at the start of each connection: nothing is on its way, as the bridge itself publishes again
/// what was not acknowledged. Without such a state, the library would refuse to publish in a session that the broker kept.
#[derive(Debug)]
struct NothingInFlight;

type SessionStoreFuture<'a, T> = BoxFuture<'a, Result<T, SessionStoreError>>;

impl SessionStore for NothingInFlight {
    fn load<'a>(
        &'a self,
        key: &'a SessionStoreKey,
    ) -> SessionStoreFuture<'a, Option<PersistedSession>> {
        let session = PersistedSession {
            format_version: 1,
            client_id: key.client_id().to_owned(),
            clean_start: false,
            session_expiry_interval: Some(SESSION_EXPIRY_S),
            outgoing_inflight_upper_limit: Some(WINDOW),
            ack_mode: PersistedAckMode::Manual,
            last_pkid: 0,
            last_puback: 0,
            replay: Vec::new(),
            incoming_qos2: Vec::new(),
        };
        Box::pin(async move { Ok(Some(session)) })
    }

    fn save<'a>(
        &'a self,
        _: &'a SessionStoreKey,
        _: &'a PersistedSession,
    ) -> SessionStoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn clear<'a>(&'a self, _: &'a SessionStoreKey) -> SessionStoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Drives a connection until it ends.
async fn poll(
    mut eventloop: EventLoop,
    client: AsyncClient,
    topics: Topics,
    to: mpsc::Sender<FromBroker>,
) {
    loop {
        let from = match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(answer))) => {
                subscribe(&client, &topics);
                Some(FromBroker::Input(up(&answer)))
            }
            Ok(Event::Incoming(packet)) => incoming(packet).map(FromBroker::Input),
            Ok(_) => None,
            Err(error) => Some(FromBroker::Down {
                too_large: is_too_large(&error),
                reason: describe(&error),
            }),
        };
        let Some(from) = from else {
            continue;
        };
        let is_down = matches!(from, FromBroker::Down { .. });
        // Without a driver, the bridge ends.
        if to.send(from).await.is_err() || is_down {
            return;
        }
    }
}

fn up(answer: &ConnAck) -> Input {
    let properties = answer.properties.as_ref();
    let max_packet = properties.and_then(|properties| properties.max_packet_size);
    Input::BrokerUp {
        session_present: answer.session_present,
        max_packet: max_packet.map_or(usize::MAX, |bytes| {
            usize::try_from(bytes).unwrap_or(usize::MAX)
        }),
    }
}

fn subscribe(client: &AsyncClient, topics: &Topics) {
    let filter = |filter: String, rule| {
        SubscribeFilterInput::new(filter, QoS::AtLeastOnce)
            .no_local(true)
            .preserve_retain(true)
            .retain_forward_rule(rule)
    };
    let mut filters = vec![
        filter(topics.commands(), RetainForwardRule::OnEverySubscribe),
        filter(topics.presences(), RetainForwardRule::OnEverySubscribe),
    ];
    filters.extend(
        topics
            .home_assistant()
            .map(|topic| filter(topic, RetainForwardRule::Never)),
    );
    // The queue of a new connection has room.
    let _ = client.try_subscribe_many(filters);
}

fn incoming(packet: Packet) -> Option<Input> {
    match packet {
        Packet::Publish(publish) => Some(Input::Message(message(publish))),
        Packet::PingResp => Some(Input::Pong),
        Packet::SubAck(answer) => {
            let taken =
                |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
            if !answer.return_codes.iter().all(taken) {
                tracing::error!(
                    "the broker refuses a subscription: let the bridge's user read its topics and Home Assistant's status"
                );
            }
            None
        }
        _ => None,
    }
}

fn message(publish: rumqttc::Publish) -> Message {
    let properties = publish.properties.unwrap_or_default();
    let property = |name: &str| {
        let mut properties = properties.user_properties.iter();
        properties.find(|(key, _)| key == name)
    };
    let stated = property(STATED_ID).map(|(_, value)| value.clone().into_bytes());
    let stated = stated.or_else(|| {
        properties
            .correlation_data
            .as_ref()
            .map(|data| data.to_vec())
    });
    let mut random = [0; 16];
    if getrandom::fill(&mut random).is_err() {
        tracing::error!("the system has no random numbers");
    }
    Message {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload.to_vec(),
        retain: publish.retain,
        dup: publish.dup,
        packet: (publish.qos != QoS::AtMostOnce).then_some(publish.pkid),
        stated_id: stated.filter(|id| !id.is_empty() && id.len() <= MAX_STATED_ID),
        marked: property(MARK).is_some(),
        random,
    }
}

fn is_too_large(error: &ConnectionError) -> bool {
    let ConnectionError::MqttState(error) = error else {
        return false;
    };
    match error {
        StateError::ServerDisconnect { reason_code, .. } => {
            *reason_code == DisconnectReasonCode::PacketTooLarge
        }
        // Some brokers say so in an acknowledgement, where it is not defined.
        StateError::Deserialization(mqttbytes::Error::InvalidConnectReturnCode(reason)) => {
            *reason == 0x95
        }
        StateError::OutgoingPacketTooLarge { .. } => true,
        _ => false,
    }
}

fn describe(error: &ConnectionError) -> String {
    use rumqttc::ConnectReturnCode::{BadUserNamePassword, Banned, NotAuthorized};
    match error {
        ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized | Banned) => {
            "the broker refuses the user: check --user and --password-file".to_owned()
        }
        ConnectionError::Tls(error) => {
            format!("TLS with the broker failed: check --url and --ca-file ({error})")
        }
        ConnectionError::Timeout(_) => "the broker does not answer".to_owned(),
        ConnectionError::Io(error) => format!("the broker can't be reached ({error})"),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code: DisconnectReasonCode::SessionTakenOver,
            ..
        }) => {
            "another bridge uses the same client id: choose another name with --client".to_owned()
        }
        error => format!("the connection to the broker ended ({error})"),
    }
}
