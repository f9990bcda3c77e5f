//! What is needed to call.

use super::kept_keys::KeptKeys;
use crate::clock::Clock;
use crate::connection_id::first_destination;
use crate::counters::Counters;
use crate::dial_error::DialError;
use crate::quic_crypto::{CryptoContext, DialCrypto, Unanswered};
use crate::sent::Sent;
use crate::session::{Greeting, Session};
use crate::transport::Transports;
use crate::wire::Purpose;
use m2_crypto::PeerId;
use m2_crypto::handshake::Credential;
use m2_crypto::initial::QUIC_VERSION;
use m2_crypto::session_key::SessionKeyPair;
use quinn::{ClientConfig, NoneTokenStore, TokenStore};
use std::sync::Arc;
use std::time::Duration;

/// What is needed to call.
pub(super) struct Caller {
    pub(super) crypto: Arc<CryptoContext>,
    pub(super) clock: Clock,
    pub(super) transports: Transports,
    pub(super) tokens: Arc<dyn TokenStore>,
    pub(super) kept: Arc<KeptKeys>,
    pub(super) greeting: Greeting,
    pub(super) limit: Duration,
    pub(super) counters: Arc<Counters>,
}

impl Caller {
    /// The settings of one call to a peer.
    pub(super) fn config(
        &self,
        peer: PeerId,
        credential: Credential,
        key: SessionKeyPair,
        purpose: Purpose,
        sent: Option<Arc<Sent>>,
    ) -> ClientConfig {
        // A token links the session that uses it to the one that it came from, so who calls as
        // nobody neither keeps nor shows any.
        let context = Arc::clone(&self.crypto);
        let (tokens, crypto): (Arc<dyn TokenStore>, _) = match credential {
            Credential::Identity(_) => {
                let kept = Arc::downgrade(&self.kept);
                let unanswered: Unanswered = Arc::new(move |key| {
                    if let Some(kept) = kept.upgrade() {
                        kept.put(peer, key);
                    }
                });
                let crypto = DialCrypto::observed(context, credential, key, Some(unanswered), sent);
                (Arc::clone(&self.tokens), crypto)
            }
            Credential::Anonymous => {
                let crypto = DialCrypto::observed(context, credential, key, None, sent);
                (Arc::new(NoneTokenStore), crypto)
            }
        };
        let day = self.clock.day();
        let mut config = ClientConfig::new(crypto);
        config
            .transport_config(self.transports.calling(purpose))
            .token_store(tokens)
            .initial_dst_cid_provider(Arc::new(move || first_destination(day)))
            .version(QUIC_VERSION);
        config
    }

    /// Brings a call to an end: the session, once both said Hello.
    pub(super) async fn complete(
        &self,
        connecting: quinn::Connecting,
        purpose: Purpose,
        as_nobody: bool,
    ) -> Result<Session, DialError> {
        let connection = connecting
            .await
            .map_err(|error| DialError::from_connection(&error))?;
        let counters = Arc::clone(&self.counters);
        let first = if as_nobody {
            Greeting::hello_of_nobody(purpose)
        } else {
            self.greeting.hello(purpose)
        };
        Session::open(connection.clone(), first, &self.greeting, counters)
            .await
            .map_err(|error| DialError::from_greeting(error, connection.close_reason().as_ref()))
    }
}
