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

/// Generous: the provider may have no session key ready.
const DIAL: Duration = Duration::from_secs(30);

/// Alice is the provider, unless it is said otherwise.
pub struct Scene {
    name: &'static str,
    pub alice: Daemon,
    pub api: Api,
    pub address: SocketAddr,
}

impl Scene {
    /// With the role on.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// With more lines in `[mailbox]`.
    pub async fn with(lines: &str) -> Self {
        Self::of(&format!("[mailbox]\nserve = true\n{lines}\n")).await
    }

    /// With these tables.
    pub async fn of(tables: &str) -> Self {
        Self::named("alice", tables).await
    }

    /// By another name.
    pub async fn named(name: &'static str, tables: &str) -> Self {
        let setup = Setup::new()
            .identity(name)
            .network("session_keys = 32")
            .tables(tables);
        Self::set_up(name, setup).await
    }

    /// With everything in `setup`, which names the same identity.
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

    /// Ends the provider without a word and starts it again.
    pub async fn kill_and_restart(&mut self) {
        self.alice.kill9().await.unwrap();
        self.alice.restart().await.unwrap();
        self.api = Api::of(&self.alice).await.unwrap();
        self.address = self.alice.udp_address().await.unwrap();
    }

    pub fn alices_id(&self) -> PeerId {
        public_id(&identity(self.name).unwrap())
    }

    /// An invitation of the provider.
    pub async fn invite(&self, reusable: bool) -> Invitation {
        let uri = self.api.invite(reusable, "").await.unwrap();
        uri.parse().unwrap()
    }

    /// A session of somebody with its provider.
    pub async fn dial_owner(&self, caller: &Caller) -> Result<Session, DialError> {
        let credential = Credential::Identity(caller.identity().clone());
        self.dial(caller, credential, Purpose::Mailbox).await
    }

    /// A session of nobody.
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

    /// An owner with its box open.
    pub async fn owner(&self, caller: &Caller) -> Owner {
        let mut owner = self.guest(caller).await;
        let invitation = self.invite(false).await;
        assert!(owner.register(&invitation).await.open);
        assert!(owner.open().await.open);
        owner
    }

    /// Somebody in an owner's session.
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

    /// Waits until something was counted so often.
    pub async fn counted(&self, reason: &str, least: u64) {
        let what = format!("{reason} at {least}");
        let counted = eventually(&what, async || {
            Ok((self.count(reason).await >= least).then_some(()))
        });
        counted.await.unwrap();
    }
}

/// A caller who is bob.
pub fn bob() -> Caller {
    Caller::new(identity("bob").unwrap()).unwrap()
}

/// A caller who is carol, or nobody.
pub fn carol() -> Caller {
    Caller::new(identity("carol").unwrap()).unwrap()
}
