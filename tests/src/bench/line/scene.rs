//! Relays, parties, and the sessions between them.

use super::super::{net, pair};
use crate::harness::{Daemon, Setup};
use anyhow::Context as _;
use m2_crypto::handshake::Credential;
use m2_crypto::line::LineSecret;
use m2_crypto::{Circle, Identity, PeerId, Secret};
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::line::{Carrier, Hop};
use m2_net::session::Session;
use std::net::SocketAddr;
use std::sync::Arc;

/// Number of session keys that each relay and each party keeps ready.
const KEYS: usize = 8;

/// A relay daemon with all limits raised far above what the benchmarks need.
pub(super) struct Relay {
    pub(super) daemon: Daemon,
    id: PeerId,
    address: SocketAddr,
}

impl Relay {
    pub(super) async fn start(name: &str) -> anyhow::Result<Self> {
        let table = "[relay]\nserve = true\nextend_to_private = true\nmax_sessions = 20000\n\
                     max_lines = 100000\nsplice_bytes_per_second = 100000000000\n\
                     bytes_per_second = 100000000000\nidle_seconds = 3600\n";
        let setup = Setup::new()
            .identity(name)
            .network(&format!("session_keys = {KEYS}"))
            .tables(table);
        let daemon = Daemon::start(setup).await?;
        pair::keys_full(&daemon.client().await?).await?;
        Ok(Self {
            id: peer_id(&*net::identity(name)?),
            address: daemon.udp_address().await?,
            daemon,
        })
    }

    pub(super) fn hop(&self) -> Hop {
        Hop {
            relay: self.id,
            addresses: vec![self.address],
        }
    }
}

/// Both ends of a session, and the parties that own their endpoints.
pub(super) struct Way {
    pub(super) near: Session,
    pub(super) far: Session,
    _ends: (Party, Party),
}

impl Way {
    pub(super) async fn bulk(&self, bytes: usize) -> anyhow::Result<f64> {
        super::bulk(&self.near, &self.far, bytes).await
    }
}

/// A party: an outbound-only endpoint for sessions with relays, and an endpoint for the sessions
/// carried over them.
pub(super) struct Party {
    pub(super) outside: Endpoint,
    pub(super) inside: Endpoint,
    identity: Arc<Identity>,
}

impl Party {
    pub(super) async fn new(name: &str) -> anyhow::Result<Self> {
        let identity = net::identity(name)?;
        let mut outside = config(&identity);
        outside.dials_only = true;
        let party = Self {
            outside: Endpoint::bind(outside)?,
            inside: Endpoint::bind(config(&identity))?,
            identity,
        };
        net::keys_full(&party.outside).await;
        net::keys_full(&party.inside).await;
        Ok(party)
    }

    pub(super) async fn carrier(&self, hops: &[Hop]) -> anyhow::Result<Carrier> {
        let session = self.outside.dial_relay(hops).await?;
        Ok(self.inside.attach(session)?)
    }

    /// Dials another party, which accepts. Returns both ends of the session.
    pub(super) async fn dial(
        &self,
        other: &Self,
        at: SocketAddr,
    ) -> anyhow::Result<(Session, Session)> {
        let credential = Credential::Identity(Arc::clone(&self.identity));
        let dial = self.inside.dial(at, peer_id(&other.identity), credential);
        let dialled = async { anyhow::Ok(dial.await?) };
        let accepted = async {
            other
                .inside
                .accept()
                .await
                .context("no session was accepted")
        };
        let sessions = tokio::try_join!(dialled, accepted)?;
        // Waits until the session keys used by the handshakes are replaced: generating them would
        // take CPU time from the measurement.
        for endpoint in [&self.outside, &self.inside, &other.outside, &other.inside] {
            net::keys_full(endpoint).await;
        }
        Ok(sessions)
    }
}

/// Opens a direct session.
pub(super) async fn direct() -> anyhow::Result<Way> {
    let ends = (Party::new("alice").await?, Party::new("bob").await?);
    let address = *ends.1.inside.local_addrs().first().context("no address")?;
    let (near, far) = ends.0.dial(&ends.1, address).await?;
    Ok(Way {
        near,
        far,
        _ends: ends,
    })
}

/// Opens a session over relays: `callers` are the dialling party's hops, `listeners` the listening
/// party's.
pub(super) async fn over(callers: &[Hop], listeners: &[Hop]) -> anyhow::Result<Way> {
    let ends = (Party::new("alice").await?, Party::new("bob").await?);
    let listening = ends.1.carrier(listeners).await?;
    listening.open(&[secret(1)]).await?;
    let calling = ends.0.carrier(callers).await?;
    let address = calling.join(secret(1).join_token()).await?;
    let (near, far) = ends.0.dial(&ends.1, address).await?;
    Ok(Way {
        near,
        far,
        _ends: ends,
    })
}

/// Returns the secret of line number `number`.
pub(super) fn secret(number: u64) -> LineSecret {
    let mut bytes = [0; 32];
    bytes
        .iter_mut()
        .zip(number.to_be_bytes())
        .for_each(|(to, from)| *to = from);
    LineSecret::new(Secret::new(bytes))
}

fn config(identity: &Arc<Identity>) -> EndpointConfig {
    let mut config = EndpointConfig::new(Circle::public(), Arc::clone(identity));
    config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.key_pool_size = KEYS;
    config
}

fn peer_id(identity: &Identity) -> PeerId {
    identity.peer_id(Circle::public().id())
}
