//! The dialling half of an endpoint.

use super::kept_keys::KeptKeys;
use crate::callers::Callers;
use crate::clock::Clock;
use crate::connection_id::first_destination;
use crate::counters::Counters;
use crate::crossing::{Crossing, Dialling};
use crate::dial_error::DialError;
use crate::quic_crypto::{Attachments, CryptoContext, DialCrypto, Outcome};
use crate::session::{HelloTemplate, Session};
use crate::transport::Transports;
use crate::wire::Purpose;
use bytes::Bytes;
use m2_crypto::PeerId;
use m2_crypto::handshake::Credential;
use m2_crypto::initial::QUIC_VERSION;
use m2_crypto::session_key::SessionKeyPair;
use quinn::{ClientConfig, TokenStore};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The state shared by all dials of an endpoint.
pub(super) struct Caller {
    pub(super) crypto: Arc<CryptoContext>,
    pub(super) clock: Clock,
    pub(super) transports: Transports,
    pub(super) callers: Arc<Callers>,
    pub(super) crossing: Arc<Crossing>,
    pub(super) kept: Arc<KeptKeys>,
    pub(super) greeting: HelloTemplate,
    pub(super) limit: Duration,
    pub(super) counters: Arc<Counters>,
}

impl Caller {
    /// Returns the QUIC configuration of one dial to a peer. `dialling` is set if the dial may
    /// cross one of the peer's.
    pub(super) fn config(
        &self,
        peer: PeerId,
        dialling: Option<&Dialling>,
        credential: Credential,
        key: SessionKeyPair,
        purpose: Purpose,
        attachments: Attachments,
    ) -> ClientConfig {
        let id = first_destination(self.clock.day());
        let context = Arc::clone(&self.crypto);
        let (token, crypto) = match credential {
            Credential::Identity(_) => {
                let kept = Arc::downgrade(&self.kept);
                let unanswered = Arc::new(move |key| {
                    if let Some(kept) = kept.upgrade() {
                        kept.put(peer, key);
                    }
                });
                let outcome = Outcome {
                    answered: dialling.map_or_else(|| Arc::new(|| {}) as _, Dialling::on_answer),
                    unanswered,
                };
                let crypto =
                    DialCrypto::telling(context, credential, key, Some(outcome), attachments);
                let token = self.callers.token_for(&peer, &id, self.clock.unix_s());
                (token, crypto)
            }
            // A token would identify the caller.
            Credential::Anonymous => {
                let crypto = DialCrypto::telling(context, credential, key, None, attachments);
                (None, crypto)
            }
        };
        let mut config = ClientConfig::new(crypto);
        config
            .transport_config(self.transports.calling(purpose))
            .token_store(Arc::new(OneToken::new(token)))
            .initial_dst_cid_provider(Arc::new(move || id))
            .version(QUIC_VERSION);
        config
    }

    /// Completes a dial: waits for the handshake and exchanges the Hellos.
    pub(super) async fn complete(
        &self,
        connecting: quinn::Connecting,
        purpose: Purpose,
        anonymous: bool,
    ) -> Result<Session, DialError> {
        let connection = connecting
            .await
            .map_err(|error| DialError::from_connection(&error))?;
        let counters = Arc::clone(&self.counters);
        let first = if anonymous {
            HelloTemplate::anonymous_hello(purpose)
        } else {
            self.greeting.hello(purpose)
        };
        Session::open(connection.clone(), first, &self.greeting, counters)
            .await
            .map_err(|error| DialError::from_greeting(error, connection.close_reason().as_ref()))
    }
}

/// Passes the token of one dial to QUIC. Tokens issued by responders are not stored.
struct OneToken(Mutex<Option<Bytes>>);

impl OneToken {
    fn new(token: Option<Vec<u8>>) -> Self {
        Self(Mutex::new(token.map(Bytes::from)))
    }
}

impl TokenStore for OneToken {
    fn insert(&self, _: &str, _: Bytes) {}

    fn take(&self, _: &str) -> Option<Bytes> {
        let mut token = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        token.take()
    }
}
