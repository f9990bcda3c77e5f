//! The configuration of the dialling side.

use super::CryptoContext;
use super::session::{Attachments, HandshakeSession, Outcome};
use m2_crypto::PeerId;
use m2_crypto::handshake::{Call, Credential};
use m2_crypto::initial::QUIC_VERSION;
use m2_crypto::session_key::SessionKeyPair;
use quinn_proto::ConnectError;
use quinn_proto::crypto::{ClientConfig, Session};
use quinn_proto::transport_parameters::TransportParameters;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The crypto configuration of one dial: it holds the session key pair and is good for one
/// `connect_with`, with the text of the dialled peer id as server name.
pub struct DialCrypto {
    context: Arc<CryptoContext>,
    credential: Credential,
    key: Mutex<Option<SessionKeyPair>>,
    outcome: Option<Outcome>,
    attachments: Attachments,
}

impl DialCrypto {
    /// Creates the configuration of a dial as `credential` with a fresh `key`.
    pub fn new(
        context: Arc<CryptoContext>,
        credential: Credential,
        key: SessionKeyPair,
    ) -> Arc<Self> {
        Arc::new(Self::once(context, credential, key))
    }

    fn once(context: Arc<CryptoContext>, credential: Credential, key: SessionKeyPair) -> Self {
        Self {
            context,
            credential,
            key: Mutex::new(Some(key)),
            outcome: None,
            attachments: Attachments::default(),
        }
    }

    /// Creates a configuration like [`Self::new`] that reports the outcome of the dial to
    /// `outcome`, for a connection with these attachments.
    pub(crate) fn telling(
        context: Arc<CryptoContext>,
        credential: Credential,
        key: SessionKeyPair,
        outcome: Option<Outcome>,
        attachments: Attachments,
    ) -> Arc<Self> {
        Arc::new(Self {
            outcome,
            attachments,
            ..Self::once(context, credential, key)
        })
    }

    fn take_key(&self) -> Option<SessionKeyPair> {
        self.key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl ClientConfig for DialCrypto {
    /// Errors: `InvalidServerName` if the name is not a peer id, `UnsupportedVersion`, and
    /// `EndpointStopping` if this configuration was used before.
    fn start_session(
        self: Arc<Self>,
        version: u32,
        server_name: &str,
        params: &TransportParameters,
    ) -> Result<Box<dyn Session>, ConnectError> {
        if version != QUIC_VERSION {
            return Err(ConnectError::UnsupportedVersion);
        }
        // The name is left out of the error, which may be logged.
        let responder: PeerId = server_name
            .parse()
            .map_err(|_| ConnectError::InvalidServerName("not a peer id".into()))?;
        let key = self.take_key().ok_or(ConnectError::EndpointStopping)?;
        let call = Call {
            circle: self.context.circle,
            responder,
            credential: self.credential.clone(),
        };
        let (context, outcome) = (self.context.clone(), self.outcome.clone());
        let mut session = HandshakeSession::dial(context, call, key, params, outcome)
            .map_err(|_| ConnectError::EndpointStopping)?;
        session.attach(self.attachments.clone());
        Ok(Box::new(session))
    }
}

impl fmt::Debug for DialCrypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DialCrypto(..)")
    }
}
