//! A relay in this process, and parties that talk over it.

use super::{Tap, address, alice, bob, carol, config, id, keys_ready};
use bytes::Bytes;
use m2_crypto::Secret;
use m2_crypto::handshake::Credential;
use m2_crypto::line::LineSecret;
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::line::{Carrier, Hop};
use m2_net::session::Session;
use m2_net::wire::{Envelope, Message, Purpose};
use m2_relay::{Relay, RelayLimits};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// A relay on loopback, which serves until it is dropped.
pub struct TestRelay {
    pub endpoint: Arc<Endpoint>,
    pub relay: Arc<Relay>,
    task: tokio::task::JoinHandle<()>,
}

impl TestRelay {
    pub async fn start(limits: RelayLimits) -> Self {
        let mut config = config(carol());
        config.relay = true;
        config.key_pool_size = 8;
        let endpoint = Arc::new(Endpoint::bind(config).unwrap());
        keys_ready(&endpoint).await;
        let relay = Relay::new(limits, &endpoint);
        tokio::spawn(Arc::clone(&relay).run_maintenance());
        let (serving, accepting) = (Arc::clone(&relay), Arc::clone(&endpoint));
        let task = tokio::spawn(async move {
            while let Some(session) = accepting.accept().await {
                assert_eq!(session.purpose(), Purpose::Line);
                let relay = Arc::clone(&serving);
                tokio::spawn(async move { relay.serve(session).await });
            }
        });
        Self {
            endpoint,
            relay,
            task,
        }
    }

    pub fn hop(&self) -> Hop {
        Hop {
            relay: id(&carol()),
            addresses: vec![address(&self.endpoint)],
        }
    }

    /// Returns a path to the relay on which datagrams longer than `largest` are lost, and its hop.
    pub async fn by_path(&self, largest: usize) -> (Tap, Hop) {
        let tap = Tap::new(address(&self.endpoint)).await;
        tap.passes(move |length| length <= largest);
        let hop = Hop {
            addresses: vec![tap.address],
            ..self.hop()
        };
        (tap, hop)
    }

    pub async fn stop(self) {
        self.endpoint.close(Duration::from_secs(1)).await;
        self.task.abort();
    }
}

pub fn private() -> RelayLimits {
    RelayLimits {
        extend_to_private: true,
        splice_bytes_per_second: u64::MAX / 8,
        bytes_per_second: u64::MAX / 8,
        ..RelayLimits::default()
    }
}

/// A party: an endpoint that dials relays, and one that has no sockets except those of lines.
pub struct Party {
    pub outside: Endpoint,
    pub inside: Endpoint,
}

impl Party {
    pub fn new(identity: Arc<m2_crypto::Identity>) -> Self {
        let mut outside = config(Arc::clone(&identity));
        outside.dials_only = true;
        let inside = EndpointConfig {
            listen: Vec::new(),
            ..config(identity)
        };
        Self {
            outside: Endpoint::bind(outside).unwrap(),
            inside: Endpoint::bind(inside).unwrap(),
        }
    }

    pub async fn carrier(&self, hops: &[Hop]) -> Carrier {
        let session = self.outside.dial_relay(hops).await.unwrap();
        self.inside.attach(session).unwrap()
    }
}

pub fn secret(byte: u8) -> LineSecret {
    LineSecret::new(Secret::new([byte; 32]))
}

/// Dials Bob, who listens, as Alice; each over the given relays.
pub async fn meet(alices: &[Hop], bobs: &[Hop]) -> (Party, Party, [Carrier; 2], Session, Session) {
    let (caller, listener) = (Party::new(alice()), Party::new(bob()));
    keys_ready(&listener.inside).await;
    let listening = listener.carrier(bobs).await;
    assert_eq!(listening.open(&[secret(1), secret(2)]).await, Ok(2));
    let calling = caller.carrier(alices).await;
    let line = calling.join(secret(2).join_token()).await.unwrap();
    let credential = Credential::Identity(alice());
    let dial = caller.inside.dial(line, id(&bob()), credential);
    let (dialled, accepted) = tokio::join!(dial, listener.inside.accept());
    let carriers = [calling, listening];
    (
        caller,
        listener,
        carriers,
        dialled.unwrap(),
        accepted.unwrap(),
    )
}

pub fn envelope(byte: u8, length: usize) -> Message {
    Message::Envelope(Envelope {
        grant: Bytes::new(),
        sealed: vec![byte; length].into(),
    })
}

pub async fn talk(one: &mut Session, other: &mut Session) {
    for (byte, length) in [(1, 1), (2, 50_000)] {
        one.send_frame(envelope(byte, length)).await.unwrap();
        let got = timeout(PATIENCE, other.recv_frame()).await.unwrap();
        assert_eq!(got.unwrap(), envelope(byte, length));
        other.send_frame(envelope(byte, length)).await.unwrap();
        let got = timeout(PATIENCE, one.recv_frame()).await.unwrap();
        assert_eq!(got.unwrap(), envelope(byte, length));
    }
}
