//! With `privacy.padding = "full"` who watches the wire does not see how long messages are
//! (spec §7): every datagram that carries data is as long as the path takes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, provider};
use m2_proto::api::v1::MessageState;
use m2_tests::harness::{Captured, Daemon, Setup, Wire};
use m2_tests::scenario::{Api, Trio, befriend, eventually};
use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};

/// The shortest path that QUIC takes; a handshake's datagrams are no shorter either.
const SHORTEST: usize = 1_200;
/// Sizes that messages of all lengths have at the least when nothing hides them.
const MANY: usize = 15;

#[tokio::test(flavor = "multi_thread")]
async fn every_datagram_of_a_session_has_one_size() {
    let talk = Talk::start("padding = \"full\"").await;
    // Not at once: first the path is measured. And what is lost on a busy machine is asked for
    // again in short datagrams, which tell no more than that.
    eventually("a talk in datagrams of one size", async || {
        let sizes = talk.sizes().await;
        Ok((sizes.len() == 1 && sizes.first() >= Some(&SHORTEST)).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_padding_sizes_tell() {
    let talk = Talk::start("padding = \"none\"").await;
    let sizes = talk.sizes().await;
    assert!(sizes.len() >= MANY, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_deposited_in_full_datagrams() {
    let padded = Deposits::start("padding = \"full\"").await;
    eventually("a deposit in full datagrams", async || {
        Ok((padded.shortest().await >= SHORTEST).then_some(()))
    })
    .await
    .unwrap();
    drop(padded);
    let bare = Deposits::start("padding = \"none\"").await;
    assert!(bare.shortest().await < SHORTEST / 2);
}

/// Alice, who writes to bob while he is away, with a wire in front of carol, who has his box.
struct Deposits {
    trio: Trio,
    wire: Wire,
}

impl Deposits {
    async fn start(padding: &str) -> Self {
        let (wire, address) = (Wire::new().await.unwrap(), free_address());
        wire.aim(address);
        let adjust = |name: &str, setup: Setup| match name {
            "carol" => setup
                .privacy(padding)
                .announce(wire.address())
                .network(&format!("listen = [\"{address}\"]")),
            _ => setup.privacy(padding),
        };
        let mut trio = Trio::start_as(adjust).await.unwrap();
        trio.consent().await.unwrap();
        trio.bob.stop().await.unwrap();
        Self { trio, wire }
    }

    /// The shortest datagram between alice and carol while a message is deposited.
    async fn shortest(&self) -> usize {
        let alice = Api::of(&self.trio.alice).await.unwrap();
        self.wire.clear();
        let sent = alice.send("bob", "hello").await.unwrap();
        let deposited = alice.await_message(&sent, MessageState::Deposited);
        deposited.await.unwrap();
        data_sizes(&self.wire).min().unwrap()
    }
}

/// The sizes of the datagrams that passed, but for those of handshakes, which carry no data.
fn data_sizes(wire: &Wire) -> impl Iterator<Item = usize> {
    let obfuscator = Obfuscator::new(Circle::public().packet_key(), provider::default());
    let is_data = move |one: &Captured| {
        let mut shown = one.bytes.clone();
        obfuscator.apply(&mut shown);
        shown[0] & 0x80 == 0
    };
    let captured = wire.captured().into_iter();
    captured.filter(is_data).map(|one| one.bytes.len())
}

/// A free address of the loopback interface.
fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

/// Alice and bob with a wire between them.
struct Talk {
    alice: Daemon,
    bob: Daemon,
    wire: Wire,
}

impl Talk {
    async fn start(padding: &str) -> Self {
        let wire = Wire::new().await.unwrap();
        let setup = |name| Setup::new().identity(name).privacy(padding);
        let alice = setup("alice").announce(wire.address());
        let started = tokio::try_join!(Daemon::start(alice), Daemon::start(setup("bob")));
        let (alice, bob) = started.unwrap();
        wire.aim(alice.udp_address().await.unwrap());
        befriend((&alice, "alice"), (&bob, "bob")).await.unwrap();
        Self { alice, bob, wire }
    }

    /// The sizes of all datagrams while messages of many lengths are sent, both ways, one after
    /// the other.
    async fn sizes(&self) -> BTreeSet<usize> {
        let (alice, bob) = tokio::try_join!(Api::of(&self.alice), Api::of(&self.bob)).unwrap();
        self.wire.clear();
        for length in (0..20).map(|step| 1 + step * 45) {
            let text = "x".repeat(length);
            for (from, to) in [(&alice, "bob"), (&bob, "alice")] {
                let sent = from.send(to, &text).await.unwrap();
                let delivered = from.await_message(&sent, MessageState::Delivered);
                delivered.await.unwrap();
            }
        }
        data_sizes(&self.wire).collect()
    }
}
