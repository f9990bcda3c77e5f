//! The provider under test, and sessions with it.

use super::super::{net, pair};
use super::loader;
use crate::harness::{Daemon, Setup};
use anyhow::Context as _;
use m2_crypto::handshake::Credential;
use m2_crypto::{Circle, Identity, PeerId};
use m2_mailbox::store::{EmbeddedStore, Limits};
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::session::Session;
use m2_net::wire::Purpose;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Timeout of a dial.
const DIAL: Duration = Duration::from_secs(30);
/// Number of session keys that both sides keep ready before a measurement.
const KEYS: usize = 8;

/// A daemon that serves mailboxes.
pub(super) struct Provider {
    pub(super) daemon: Daemon,
    identity: Arc<Identity>,
    address: Option<SocketAddr>,
}

impl Provider {
    /// Creates a provider without starting it; `lines` are added to its `[mailbox]` table.
    pub(super) fn prepare(lines: &str) -> anyhow::Result<Self> {
        let setup = Setup::new()
            .identity("alice")
            .network(&format!("session_keys = {KEYS}"))
            .tables(&format!("[mailbox]\nserve = true\n{lines}"));
        Ok(Self {
            daemon: Daemon::prepare(setup)?,
            identity: net::identity("alice")?,
            address: None,
        })
    }

    /// Opens the provider's embedded store in this process, while the daemon is not running.
    pub(super) fn open_store(&self, limits: Limits) -> anyhow::Result<EmbeddedStore> {
        let key = self.identity.mailbox_key();
        Ok(EmbeddedStore::open(&self.daemon.data(), Some(key), limits)?)
    }

    /// Starts or restarts the daemon, and waits until its pool of session keys is full.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        loader::closed(&self.daemon.data()).await?;
        if self.daemon.pid().is_some() {
            self.daemon.stop().await?;
        }
        self.daemon.restart().await?;
        self.address = Some(self.daemon.udp_address().await?);
        pair::keys_full(&self.daemon.client().await?).await
    }

    /// Opens a mailbox session as a box owner.
    pub(super) async fn dial_owner(
        &self,
        endpoint: &Endpoint,
        owner: &Arc<Identity>,
    ) -> anyhow::Result<Session> {
        let credential = Credential::Identity(Arc::clone(owner));
        self.dial(endpoint, credential, Purpose::Mailbox).await
    }

    /// Opens an anonymous session, for deposits.
    pub(super) async fn dial_nobody(&self, endpoint: &Endpoint) -> anyhow::Result<Session> {
        let credential = Credential::Anonymous;
        self.dial(endpoint, credential, Purpose::Peer).await
    }

    async fn dial(
        &self,
        endpoint: &Endpoint,
        credential: Credential,
        purpose: Purpose,
    ) -> anyhow::Result<Session> {
        let address = self.address.context("the provider is not running")?;
        let peer = peer_id(&self.identity);
        let session = endpoint.dial_for(address, peer, credential, purpose, DIAL);
        Ok(session.await?)
    }
}

/// Creates an outbound-only endpoint like the one from which a daemon deposits, with session keys
/// ready.
pub(super) async fn endpoint() -> anyhow::Result<Endpoint> {
    let mut config = EndpointConfig::new(Circle::public(), net::identity("carol")?);
    config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.key_pool_size = KEYS;
    config.dials_only = true;
    let endpoint = Endpoint::bind(config)?;
    net::keys_full(&endpoint).await;
    Ok(endpoint)
}

/// Returns the peer id of an identity in the public circle.
pub(super) fn peer_id(identity: &Identity) -> PeerId {
    identity.peer_id(Circle::public().id())
}
