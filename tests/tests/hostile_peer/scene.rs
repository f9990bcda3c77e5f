//! A daemon under attack, with an honest contact.

use m2_crypto::PeerId;
use m2_proto::api::v1::{ContactState, MessageState};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::hostile::{identity, public_id};
use m2_tests::scenario::{Api, Pair, counted, eventually};
use std::net::SocketAddr;

/// How far one peer may increase the daemon's memory.
const GROWTH_KIB: u64 = 24 << 10;

/// Alice is attacked; bob is her contact.
pub struct Scene {
    pub pair: Pair,
    pub alice: Api,
    pub bob: Api,
    pub address: SocketAddr,
    memory: u64,
}

impl Scene {
    pub async fn start() -> Self {
        Self::start_with(Setup::new().identity("alice")).await
    }

    /// Starts alice with another setup.
    pub async fn start_with(alice: Setup) -> Self {
        let bob = Setup::new().identity("bob");
        let pair = Pair::start_as(alice, bob).await.unwrap();
        let (alice, bob) = pair.apis().await.unwrap();
        let address = pair.alice.udp_address().await.unwrap();
        let scene = Self {
            memory: pair.alice.rss_kib().unwrap(),
            pair,
            alice,
            bob,
            address,
        };
        scene.round_trip("before").await;
        scene
    }

    pub fn alices_id(&self) -> PeerId {
        public_id(&identity("alice").unwrap())
    }

    pub async fn count(&self, reason: &str) -> u64 {
        counted(&self.alice.status().await.unwrap(), reason)
    }

    /// Waits until the counter of `reason` is at least `least`.
    pub async fn counted(&self, reason: &str, least: u64) {
        let what = format!("{reason} at {least}");
        let counted = eventually(&what, async || {
            Ok((self.count(reason).await >= least).then_some(()))
        });
        if let Err(error) = counted.await {
            let refused = self.alice.status().await.unwrap().refused;
            let some: Vec<_> = refused.iter().filter(|(_, count)| **count > 0).collect();
            panic!("{error}: {some:?}");
        }
    }

    /// Waits until alice has all her session keys, as long as she generates more of them: how long one takes
    /// depends on the machine.
    pub async fn keys_ready(&self) {
        let mut ready = None;
        loop {
            let more = eventually("another session key", async || {
                let status = self.alice.status().await?;
                let (now, wanted) = (status.session_keys_ready, status.session_keys_wanted);
                Ok((now > ready || now >= wanted).then_some((now, now >= wanted)))
            });
            let (now, is_full) = more.await.unwrap();
            if is_full {
                return;
            }
            ready = now;
        }
    }

    /// Waits until `count` contact requests are pending.
    pub async fn requests(&self, count: usize) {
        self.in_state(ContactState::Request, count).await;
    }

    /// Waits until there are `count` contacts.
    pub async fn contacts(&self, count: usize) {
        self.in_state(ContactState::Contact, count).await;
    }

    async fn in_state(&self, state: ContactState, count: usize) {
        let what = format!("{count} {state:?}");
        let there = eventually(&what, async || {
            let there = self.alice.contacts(state).await?.len();
            Ok((there == count).then_some(()))
        });
        there.await.unwrap();
    }

    /// Sends a message each way between alice and her honest contact, and waits for delivery.
    pub async fn round_trip(&self, text: &str) {
        let there = self.bob.send("alice", text).await.unwrap();
        self.bob
            .await_message(&there, MessageState::Delivered)
            .await
            .unwrap();
        let back = self.alice.send("bob", text).await.unwrap();
        self.alice
            .await_message(&back, MessageState::Delivered)
            .await
            .unwrap();
    }

    /// The total size of all files in alice's data directory.
    pub fn stored(&self) -> u64 {
        let files = std::fs::read_dir(self.pair.alice.data()).unwrap();
        let sizes = files.map(|file| file.unwrap().metadata().unwrap().len());
        sizes.sum()
    }

    /// Asserts that the honest contact is still served, that nothing panicked, and that the memory is
    /// bounded.
    pub async fn holds(&self) {
        self.round_trip("after").await;
        let daemon: &Daemon = &self.pair.alice;
        assert!(!daemon.log().contains("panicked"));
        let memory = daemon.rss_kib().unwrap();
        println!("resident: {} KiB, then {memory} KiB", self.memory);
        assert!(
            memory <= self.memory + GROWTH_KIB,
            "{} KiB, then {memory} KiB",
            self.memory
        );
    }
}
