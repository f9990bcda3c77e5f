//! The daemon that is measured, and sessions with it.

use super::super::{net, pair};
use super::loader;
use crate::harness::{Daemon, Setup};
use anyhow::Context as _;
use m2_crypto::handshake::Credential;
use m2_crypto::{Circle, Identity, PeerId};
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::session::Session;
use m2_net::wire::Purpose;
use m2d::mailbox::store::{EmbeddedStore, Limits};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a dial may take.
const DIAL: Duration = Duration::from_secs(30);
/// Session keys that are ready on either side before anything is measured.
const KEYS: usize = 8;

/// A daemon with the mailbox role.
pub(super) struct Provider {
    pub(super) daemon: Daemon,
    identity: Arc<Identity>,
    address: Option<SocketAddr>,
}

impl Provider {
    /// One that does not run yet, with these lines in `[mailbox]`.
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

    /// Opens its embedded store from outside, while it does not run.
    pub(super) fn open_store(&self, limits: Limits) -> anyhow::Result<EmbeddedStore> {
        let key = self.identity.mailbox_key();
        Ok(EmbeddedStore::open(&self.daemon.data(), Some(key), limits)?)
    }

    /// Starts it, or starts it again, and waits until its session keys are made.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        loader::closed(&self.daemon.data()).await?;
        if self.daemon.pid().is_some() {
            self.daemon.stop().await?;
        }
        self.daemon.restart().await?;
        self.address = Some(self.daemon.udp_address().await?);
        pair::keys_full(&self.daemon.client().await?).await
    }

    /// A session with the owner of a box.
    pub(super) async fn dial_owner(
        &self,
        endpoint: &Endpoint,
        owner: &Arc<Identity>,
    ) -> anyhow::Result<Session> {
        let credential = Credential::Identity(Arc::clone(owner));
        self.dial(endpoint, credential, Purpose::Mailbox).await
    }

    /// A session of nobody, for deposits.
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
        let address = self.address.context("the provider does not run")?;
        let peer = peer_id(&self.identity);
        let session = endpoint.dial_for(address, peer, credential, purpose, DIAL);
        Ok(session.await?)
    }
}

/// Sockets that call only, as a daemon deposits from, with session keys ready.
pub(super) async fn endpoint() -> anyhow::Result<Endpoint> {
    let mut config = EndpointConfig::new(Circle::public(), net::identity("carol")?);
    config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.key_pool_size = KEYS;
    config.dials_only = true;
    let endpoint = Endpoint::bind(config)?;
    net::keys_full(&endpoint).await;
    Ok(endpoint)
}

/// A peer id in the public circle.
pub(super) fn peer_id(identity: &Identity) -> PeerId {
    identity.peer_id(Circle::public().id())
}
