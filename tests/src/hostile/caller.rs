//! A peer that speaks M2's sessions and keeps none of its rules.

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

/// Session keys that a caller holds ready.
const KEYS: usize = 4;

/// A caller with an endpoint of its own, in this process.
#[derive(Debug)]
pub struct Caller {
    endpoint: Endpoint,
    identity: Arc<Identity>,
}

impl Caller {
    /// A caller in the public circle.
    ///
    /// Errors: no socket.
    pub fn new(identity: Arc<Identity>) -> std::io::Result<Self> {
        Self::adjusted(identity, |_| {})
    }

    /// A caller whose endpoint is not as it should be.
    ///
    /// Errors: no socket.
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

    /// Calls a peer.
    ///
    /// Errors: as [`Endpoint::dial`].
    pub async fn dial(&self, address: SocketAddr, peer: PeerId) -> Result<Session, DialError> {
        let credential = Credential::Identity(Arc::clone(&self.identity));
        self.dial_as(credential, address, peer).await
    }

    /// Calls a peer as somebody else, or as nobody.
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

    /// The caller's endpoint.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Who calls.
    pub const fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }
}

/// One of the committed test identities (alice, bob, carol).
///
/// Errors: it can't be read.
pub fn identity(name: &str) -> anyhow::Result<Arc<Identity>> {
    let path = workspace::root()?.join(format!("tests/vectors/identities/{name}.pem"));
    let pem = std::fs::read_to_string(path)?;
    Ok(Arc::new(Identity::from_pem(
        &pem,
        None,
        provider::default(),
    )?))
}

/// Its peer id in the public circle.
pub fn public_id(identity: &Identity) -> PeerId {
    identity.peer_id(Circle::public().id())
}

/// What a contact states first in a session: nothing is followed, and whatever `incarnation` brings
/// is the beginning.
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
