//! With `privacy.padding = "full"`, an observer of the wire cannot see how long messages are
//! (docs/spec/obfuscation.md#what-an-observer-still-sees): every datagram that carries data is as long
//! as the path allows.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, provider};
use m2_proto::api::v1::MessageState;
use m2_tests::harness::{Captured, Daemon, Setup, Wire};
use m2_tests::hostile::{identity, public_id};
use m2_tests::scenario::{Api, Trio, befriend, eventually};
use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};

/// The smallest MTU with which QUIC works. The datagrams of a handshake are no shorter either.
const SHORTEST: usize = 1_200;
/// The minimum number of distinct sizes that messages of all lengths have without padding.
const MANY: usize = 15;

#[tokio::test(flavor = "multi_thread")]
async fn full_padding_gives_every_datagram_of_a_session_one_size() {
    let talk = Talk::start("padding = \"full\"").await;
    // Not at once: the path is measured first. On a busy machine, lost data is requested again in short
    // datagrams, which reveal only that.
    eventually("a talk in datagrams of one size", async || {
        let sizes = talk.sizes().await;
        Ok((sizes.len() == 1 && sizes.first() >= Some(&SHORTEST)).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_padding_datagram_sizes_reveal_message_lengths() {
    let talk = Talk::start("padding = \"none\"").await;
    let sizes = talk.sizes().await;
    assert!(sizes.len() >= MANY, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_deposited_in_padded_datagrams() {
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

/// Alice, who sends to bob while he is offline, with a wire in front of carol, who has his box.
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

    /// Deposits a message. Returns the length of the shortest datagram between alice and carol
    /// meanwhile.
    async fn shortest(&self) -> usize {
        let alice = Api::of(&self.trio.alice).await.unwrap();
        self.wire.clear();
        let sent = alice.send("bob", "hello").await.unwrap();
        let deposited = alice.await_message(&sent, MessageState::Deposited);
        deposited.await.unwrap();
        data_sizes(&self.wire, "carol").min().unwrap()
    }
}

/// The sizes of the captured datagrams, except those of handshakes, which carry no data.
/// `dialled` is the daemon behind the wire.
fn data_sizes(wire: &Wire, dialled: &str) -> impl Iterator<Item = usize> + use<> {
    let dialled = public_id(&identity(dialled).unwrap());
    let obfuscator = Obfuscator::of_responder(&Circle::public(), &dialled, provider::default());
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

/// Alice and bob, connected through a wire.
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

    /// Sends messages of many lengths in both directions, in sequence. Returns the sizes of all
    /// datagrams.
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
        data_sizes(&self.wire, "alice").collect()
    }
}
