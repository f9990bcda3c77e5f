//! A provider under test.

use crate::people::{Depositor, Owner};
use m2_crypto::PeerId;
use m2_crypto::handshake::Credential;
use m2_crypto::invitation::Invitation;
use m2_net::dial_error::DialError;
use m2_net::session::Session;
use m2_net::wire::Purpose;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::hostile::{Caller, identity, public_id};
use m2_tests::scenario::{Api, eventually};
use std::net::SocketAddr;
use std::time::Duration;

/// A long timeout: the provider may have no session key ready.
const DIAL: Duration = Duration::from_secs(30);

/// A provider, by default with alice's identity.
pub struct Scene {
    name: &'static str,
    pub alice: Daemon,
    pub api: Api,
    pub address: SocketAddr,
}

impl Scene {
    /// Starts a provider with the default limits.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// Starts a provider with more lines in `[mailbox]`.
    pub async fn with(lines: &str) -> Self {
        Self::of(&format!("[mailbox]\nserve = true\n{lines}\n")).await
    }

    /// Starts a daemon with these tables.
    pub async fn of(tables: &str) -> Self {
        Self::named("alice", tables).await
    }

    /// Starts a daemon with another identity.
    pub async fn named(name: &'static str, tables: &str) -> Self {
        let setup = Setup::new()
            .identity(name)
            .network("session_keys = 32")
            .tables(tables);
        Self::set_up(name, setup).await
    }

    /// Starts a daemon with `setup`, which must use the identity `name`.
    pub async fn set_up(name: &'static str, setup: Setup) -> Self {
        let alice = Daemon::start(setup).await.unwrap();
        let api = Api::of(&alice).await.unwrap();
        let address = alice.udp_address().await.unwrap();
        Self {
            name,
            alice,
            api,
            address,
        }
    }

    /// Kills the provider and starts it again.
    pub async fn kill_and_restart(&mut self) {
        self.alice.kill9().await.unwrap();
        self.alice.restart().await.unwrap();
        self.api = Api::of(&self.alice).await.unwrap();
        self.address = self.alice.udp_address().await.unwrap();
    }

    pub fn alices_id(&self) -> PeerId {
        public_id(&identity(self.name).unwrap())
    }

    /// Makes an invitation of the provider.
    pub async fn invite(&self, reusable: bool) -> Invitation {
        let uri = self.api.invite(reusable, "").await.unwrap();
        uri.parse().unwrap()
    }

    /// Dials for an owner's session.
    pub async fn dial_owner(&self, caller: &Caller) -> Result<Session, DialError> {
        let credential = Credential::Identity(caller.identity().clone());
        self.dial(caller, credential, Purpose::Mailbox).await
    }

    /// Dials for an anonymous session.
    pub async fn dial_anonymous(&self, caller: &Caller) -> Result<Session, DialError> {
        self.dial(caller, Credential::Anonymous, Purpose::Peer)
            .await
    }

    async fn dial(
        &self,
        caller: &Caller,
        credential: Credential,
        purpose: Purpose,
    ) -> Result<Session, DialError> {
        let endpoint = caller.endpoint();
        let peer = self.alices_id();
        endpoint
            .dial_for(self.address, peer, credential, purpose, DIAL)
            .await
    }

    /// An owner with an open box.
    pub async fn owner(&self, caller: &Caller) -> Owner {
        let mut owner = self.guest(caller).await;
        let invitation = self.invite(false).await;
        assert!(owner.register(&invitation).await.open);
        assert!(owner.open().await.open);
        owner
    }

    /// A peer in an owner's session.
    pub async fn guest(&self, caller: &Caller) -> Owner {
        Owner::new(self.dial_owner(caller).await.unwrap())
    }

    pub async fn depositor(&self, caller: &Caller) -> Depositor {
        Depositor::new(self.dial_anonymous(caller).await.unwrap())
    }

    pub async fn count(&self, reason: &str) -> u64 {
        let refused = self.api.status().await.unwrap().refused;
        refused.get(reason).copied().unwrap_or(0)
    }

    /// Waits until the counter of `reason` is at least `least`.
    pub async fn counted(&self, reason: &str, least: u64) {
        let what = format!("{reason} at {least}");
        let counted = eventually(&what, async || {
            Ok((self.count(reason).await >= least).then_some(()))
        });
        counted.await.unwrap();
    }
}

/// A caller with bob's identity.
pub fn bob() -> Caller {
    Caller::new(identity("bob").unwrap()).unwrap()
}

/// A caller with carol's identity, also used for anonymous sessions.
pub fn carol() -> Caller {
    Caller::new(identity("carol").unwrap()).unwrap()
}
