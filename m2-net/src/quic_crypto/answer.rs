//! The configuration of the accepting side.

use super::CryptoContext;
use super::session::{HandshakeSession, Unused};
use m2_crypto::initial::{QUIC_VERSION, retry_tag};
use m2_crypto::session_key::SessionKeyPair;
use m2_crypto::{Identity, PeerId};
use quinn_proto::crypto::{Keys, ServerConfig, Session, UnsupportedVersion};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// A source of session key pairs. It never generates one while a handshake waits.
pub trait SessionKeys: Send + Sync {
    /// Returns a key pair that was generated ahead of time, if one is left for this caller.
    fn take(&self) -> Option<SessionKeyPair>;
}

/// The crypto configuration of the accepting side. Without a session key it can do everything
/// before accepting; with one it is good for one accepted connection.
pub struct AnswerCrypto {
    context: Arc<CryptoContext>,
    identity: Arc<Identity>,
    id: PeerId,
    key: Mutex<Option<SessionKeyPair>>,
    unread: Option<Unused>,
}

impl AnswerCrypto {
    /// Returns the configuration of an endpoint that answers as `identity`, without a session key.
    pub fn new(context: Arc<CryptoContext>, identity: Arc<Identity>) -> Arc<Self> {
        let id = identity.peer_id(&context.circle);
        Self::impersonating(id, context, identity)
    }

    /// Returns the configuration of an impostor for tests, which answers attempts to `id` with
    /// another identity.
    #[doc(hidden)]
    pub fn impersonating(
        id: PeerId,
        context: Arc<CryptoContext>,
        identity: Arc<Identity>,
    ) -> Arc<Self> {
        Arc::new(Self {
            context,
            identity,
            id,
            key: Mutex::new(None),
            unread: None,
        })
    }

    /// Returns a copy for one accepted connection, with a session key from `keys`. `None` if there
    /// is no key: the attempt must then be ignored.
    pub fn reserve(&self, keys: &dyn SessionKeys) -> Option<Arc<Self>> {
        keys.take().map(|key| self.copy_with(key, None))
    }

    /// Returns a copy for one accepted connection, with this session key. If no whole Hello arrives,
    /// `unread` gets the key back.
    pub fn with_key(&self, key: SessionKeyPair, unread: Unused) -> Arc<Self> {
        self.copy_with(key, Some(unread))
    }

    fn copy_with(&self, key: SessionKeyPair, unread: Option<Unused>) -> Arc<Self> {
        Arc::new(Self {
            context: self.context.clone(),
            identity: self.identity.clone(),
            id: self.id,
            key: Mutex::new(Some(key)),
            unread,
        })
    }

    /// Returns the endpoint's configuration with this crypto, for `Incoming::accept_with`. Cheap.
    pub fn accept_config(
        self: Arc<Self>,
        endpoint: &quinn::ServerConfig,
    ) -> Arc<quinn::ServerConfig> {
        let mut config = endpoint.clone();
        config.crypto = self;
        Arc::new(config)
    }

    fn take_key(&self) -> Option<SessionKeyPair> {
        self.key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl ServerConfig for AnswerCrypto {
    /// Refuses other versions, and connection ids whose day is not today or adjacent: quinn then
    /// ignores the packet.
    fn initial_keys(&self, version: u32, dcid: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        if version != QUIC_VERSION {
            return Err(UnsupportedVersion);
        }
        let day = self.context.day_of(dcid).ok_or(UnsupportedVersion)?;
        Ok(self.context.initial_keys(dcid, &self.id, day, Side::Server))
    }

    fn retry_tag(&self, _version: u32, original_dcid: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        retry_tag(&self.context.circle, &self.id, original_dcid, packet)
    }

    fn start_session(
        self: Arc<Self>,
        _version: u32,
        params: &TransportParameters,
    ) -> Box<dyn Session> {
        let key = self.take_key();
        let context = self.context.clone();
        let identity = self.identity.clone();
        let mut session = HandshakeSession::answer(context, self.id, identity, key, params);
        session.return_unread(self.unread.clone());
        Box::new(session)
    }
}

impl Drop for AnswerCrypto {
    /// Passes on a key for which QUIC started no session.
    fn drop(&mut self) {
        if let (Some(key), Some(unread)) = (self.take_key(), &self.unread) {
            unread(key);
        }
    }
}

impl fmt::Debug for AnswerCrypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerCrypto(..)")
    }
}
