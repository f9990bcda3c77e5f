//! A peer that establishes sessions with M2 daemons and may then violate the protocol.

use crate::workspace;
use bytes::Bytes;
use m2_crypto::handshake::Credential;
use m2_crypto::{Circle, Identity, PeerId, provider};
use m2_net::dial_error::DialError;
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::session::Session;
use m2_net::wire::{Message, Places};
use std::net::SocketAddr;
use std::sync::Arc;

/// Number of session keys that a caller keeps ready.
const KEYS: usize = 4;

/// A dialling peer with its own endpoint, in the test's process.
#[derive(Debug)]
pub struct Caller {
    endpoint: Endpoint,
    identity: Arc<Identity>,
}

impl Caller {
    /// Creates a caller in the public circle.
    ///
    /// Errors: no socket can be bound.
    pub fn new(identity: Arc<Identity>) -> std::io::Result<Self> {
        Self::adjusted(identity, |_| {})
    }

    /// Creates a caller whose endpoint configuration is modified by `adjust`.
    ///
    /// Errors: no socket can be bound.
    pub fn adjusted(
        identity: Arc<Identity>,
        adjust: impl FnOnce(&mut EndpointConfig),
    ) -> std::io::Result<Self> {
        let mut config = EndpointConfig::new(Circle::public(), Arc::clone(&identity));
        config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        config.key_pool_size = KEYS;
        adjust(&mut config);
        let endpoint = Endpoint::bind(config)?;
        Ok(Self { endpoint, identity })
    }

    /// Waits until all session keys of the caller are generated.
    pub async fn keys_ready(&self) {
        let is_full = || {
            let stats = self.endpoint.stats();
            stats.keys_ready >= stats.keys_wanted
        };
        while !is_full() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Dials a peer with the caller's identity.
    ///
    /// Errors: as [`Endpoint::dial`].
    pub async fn dial(&self, address: SocketAddr, peer: PeerId) -> Result<Session, DialError> {
        let credential = Credential::Identity(Arc::clone(&self.identity));
        self.dial_as(credential, address, peer).await
    }

    /// Dials a peer with another credential: another identity, or anonymously.
    ///
    /// Errors: as [`Endpoint::dial`].
    pub async fn dial_as(
        &self,
        credential: Credential,
        address: SocketAddr,
        peer: PeerId,
    ) -> Result<Session, DialError> {
        self.endpoint.dial(address, peer, credential).await
    }

    /// Returns the caller's endpoint.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Returns the caller's identity.
    pub const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }
}

/// Reads one of the committed test identities (alice, bob, carol).
///
/// Errors: the file cannot be read.
pub fn identity(name: &str) -> anyhow::Result<Arc<Identity>> {
    let path = workspace::root()?.join(format!("tests/vectors/identities/{name}.pem"));
    let pem = std::fs::read_to_string(path)?;
    Ok(Arc::new(Identity::from_pem(
        &pem,
        None,
        provider::default(),
    )?))
}

/// Returns an identity's peer id in the public circle.
pub fn public_id(identity: &Identity) -> PeerId {
    identity.peer_id(Circle::public().id())
}

/// Returns the first statement of a contact that follows no incarnation yet, with places that allow
/// any message of `incarnation`.
pub fn places(incarnation: u64) -> Message {
    Message::Places(Box::new(Places {
        following: 0,
        following_epoch: 0,
        expected: 0,
        newest_grant: Bytes::new(),
        incarnation,
        epoch: i64::MAX as u64,
        oldest: 1,
        next: i64::MAX as u64,
        settled: Vec::new(),
    }))
}
