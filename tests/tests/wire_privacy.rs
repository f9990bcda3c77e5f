//! An observer of the wire between two real daemons cannot distinguish its bytes from random ones
//! (docs/spec/obfuscation.md#hiding-a-datagram).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_crypto::initial::{LongHeader, QUIC_VERSION};
use m2_crypto::invitation::Invitation;
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, Identity, Secret, provider};
use m2_proto::api::v1::{ContactState, MessageState};
use m2_tests::harness::{Captured, Daemon, Direction, Setup, Wire};
use m2_tests::hostile::{Noise, Skew, echoes, identity, public_id, repeated, skewed};
use m2_tests::scenario::{Api, eventually};
use std::collections::{BTreeMap, HashSet};

const ALICE: &str = "Alice Liddell of Wonderland";
const BOB: &str = "Robert Bobbington the Builder";
const PHRASE: &str = "the quick brown fox jumps over the lazy dog; ";
/// A length, in bytes, at which no string repeats by chance.
const WINDOW: usize = 16;
/// How often one of the daemons is killed and restarted.
const REDIALS: usize = 12;
/// The datagrams needed to test an offset, and needed in each direction.
const ENOUGH: usize = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn bytes_on_the_wire_are_indistinguishable_from_random() {
    let mut conversation = Conversation::start().await;
    for round in 0..REDIALS {
        conversation.talk(round).await;
        conversation.call_again(round).await;
    }
    conversation.talk(REDIALS).await;
    conversation.fill().await;

    let captured = conversation.wire.captured();
    let all: Vec<&[u8]> = captured.iter().map(|one| one.bytes.as_slice()).collect();
    let [to, back] = [Direction::ToTarget, Direction::ToCaller].map(|way| in_way(&captured, way));
    println!("{} datagrams there, {} back", to.len(), back.len());
    assert!(to.len() >= ENOUGH && back.len() >= ENOUGH);
    let sizes: HashSet<usize> = all.iter().map(|bytes| bytes.len()).collect();
    assert!(sizes.len() > 100, "only {} sizes", sizes.len());

    for look in [&all, &to, &back] {
        assert_none(&skewed(look, ENOUGH));
    }
    // The circle's key does not help without the id of the dialled peer.
    for wrong in [under_key_of_carol(), under_circle_key()] {
        let guessed: Vec<Vec<u8>> = all.iter().map(|bytes| revealed(bytes, &wrong)).collect();
        let guessed: Vec<&[u8]> = guessed.iter().map(Vec::as_slice).collect();
        assert_none(&skewed(&guessed, ENOUGH));
        assert_eq!(echoes(&guessed), []);
    }
    // Control: the same test of the datagrams without obfuscation must find QUIC's headers.
    let alices = of_responder("alice");
    let revealed: Vec<Vec<u8>> = all.iter().map(|bytes| revealed(bytes, &alices)).collect();
    let plain: Vec<&[u8]> = revealed.iter().map(Vec::as_slice).collect();
    let found = skewed(&plain, ENOUGH);
    assert!(found.iter().any(|skew| skew.place == 0 && !skew.from_end));
    assert!(found.iter().any(|skew| skew.what.starts_with("chi-square")));

    // No datagram reveals that it answers or follows another.
    assert_eq!(echoes(&all), []);
    let ways: Vec<Direction> = captured.iter().map(|one| one.direction).collect();
    let found = echoes(&plain);
    println!("{} echoes under the obfuscation", found.len());
    let answers = |(earlier, later): &(usize, usize)| ways[*earlier] != ways[*later];
    let follows = |pair: &(usize, usize)| !answers(pair);
    assert!(found.iter().any(answers) && found.iter().any(follows));

    // First packets, recognised by what only a party with the dialled peer's id can see.
    let firsts: Vec<usize> = (0..plain.len()).filter(|i| is_long(plain[*i])).collect();
    let hidden: Vec<&[u8]> = firsts.iter().map(|i| all[*i]).collect();
    let shown: Vec<&[u8]> = firsts.iter().map(|i| plain[*i]).collect();
    println!("{} datagrams of handshakes", firsts.len());
    assert!(firsts.len() >= 3 * REDIALS, "{}", firsts.len());
    assert_none(&repeated(&hidden));
    assert!(!repeated(&shown).is_empty());
    assert_no_typical_size(&hidden, &shown);

    for datagram in all.iter().chain(&plain) {
        let shown = conversation.secrets.shown_in(datagram);
        assert_eq!(shown, None, "in clear");
    }
}

/// Two daemons connected through a wire, and the secrets that must not show on it.
struct Conversation {
    wire: Wire,
    alice: Daemon,
    bob: Daemon,
    noise: Noise,
    secrets: Secrets,
}

impl Conversation {
    async fn start() -> Self {
        let wire = Wire::new().await.unwrap();
        let alice = Setup::new().identity("alice").announce(wire.address());
        let bob = Setup::new().identity("bob");
        let (alice, bob) = tokio::try_join!(Daemon::start(alice), Daemon::start(bob)).unwrap();
        wire.aim(alice.udp_address().await.unwrap());
        let (a, b) = (Api::of(&alice).await.unwrap(), Api::of(&bob).await.unwrap());
        let uri = a.invite(false, BOB).await.unwrap();
        b.add(&uri, ALICE).await.unwrap();
        a.await_state(BOB, ContactState::Contact).await.unwrap();
        b.await_state(ALICE, ContactState::Contact).await.unwrap();
        Self {
            wire,
            alice,
            bob,
            noise: Noise::new(2),
            secrets: Secrets::of(&uri),
        }
    }

    /// Sends some messages of varied length each way, in sequence, so that they do not share datagrams.
    async fn talk(&mut self, round: usize) {
        let a = Api::of(&self.alice).await.unwrap();
        let b = Api::of(&self.bob).await.unwrap();
        for number in 0..10 {
            let length = self.noise.below(900);
            let there = b.send(ALICE, &text(round, number, length)).await.unwrap();
            let back = a.send(BOB, &text(round, number, length / 2)).await.unwrap();
            b.await_message(&there, MessageState::Delivered)
                .await
                .unwrap();
            a.await_message(&back, MessageState::Delivered)
                .await
                .unwrap();
        }
    }

    /// Kills and restarts one daemon, and waits until both have a session again.
    async fn call_again(&mut self, round: usize) {
        let daemon = if round.is_multiple_of(4) {
            &mut self.alice
        } else {
            &mut self.bob
        };
        daemon.kill9().await.unwrap();
        daemon.restart().await.unwrap();
        self.wire.aim(self.alice.udp_address().await.unwrap());
        let b = Api::of(&self.bob).await.unwrap();
        eventually("a new session", async || {
            Ok(b.contact(ALICE).await?.online.then_some(()))
        })
        .await
        .unwrap();
    }

    /// Sends messages until there are enough datagrams to test.
    async fn fill(&mut self) {
        for round in 100.. {
            let captured = self.wire.captured();
            let enough = |way| in_way(&captured, way).len() >= 2 * ENOUGH;
            if enough(Direction::ToTarget) && enough(Direction::ToCaller) {
                return;
            }
            let a = Api::of(&self.alice).await.unwrap();
            let b = Api::of(&self.bob).await.unwrap();
            let long = self.noise.below(40_000);
            b.send(ALICE, &text(round, 0, long)).await.unwrap();
            a.send(BOB, &text(round, 0, long)).await.unwrap();
            self.talk(round).await;
        }
    }
}

/// Data that only the two daemons may know.
struct Secrets {
    windows: HashSet<[u8; WINDOW]>,
}

impl Secrets {
    fn of(uri: &str) -> Self {
        let mut secrets = Self {
            windows: HashSet::new(),
        };
        let invitation: Invitation = uri.parse().unwrap();
        secrets.add(invitation.token().expose());
        secrets.add(invitation.record_key());
        for text in [uri, ALICE, BOB, PHRASE] {
            secrets.add(text.as_bytes());
        }
        for name in ["alice", "bob"] {
            secrets.add_identity(&identity(name).unwrap());
        }
        secrets
    }

    fn add_identity(&mut self, identity: &Identity) {
        let id = public_id(identity);
        let hex = data_encoding::HEXLOWER.encode(id.as_bytes());
        self.add(id.as_bytes());
        self.add(id.to_string().as_bytes());
        self.add(hex.as_bytes());
        self.add(hex.to_uppercase().as_bytes());
        self.add(identity.certificate().spki_der());
    }

    /// Adds every part of [`WINDOW`] bytes of a secret.
    fn add(&mut self, secret: &[u8]) {
        assert!(secret.len() >= WINDOW);
        let windows = secret.windows(WINDOW);
        self.windows
            .extend(windows.map(|window| <[u8; WINDOW]>::try_from(window).unwrap()));
    }

    /// Returns the first part of a secret that a datagram contains.
    fn shown_in<'a>(&self, datagram: &'a [u8]) -> Option<&'a [u8]> {
        let mut windows = datagram.windows(WINDOW);
        windows.find(|window| self.windows.contains(*window))
    }
}

#[test]
fn a_secret_in_the_clear_is_detected() {
    let identity = identity("alice").unwrap();
    let mut secrets = Secrets {
        windows: HashSet::new(),
    };
    secrets.add_identity(&identity);
    let datagram = [&[7; 40], &identity.certificate().spki_der()[200..217]].concat();
    assert!(secrets.shown_in(&datagram).is_some());
    assert!(secrets.shown_in(&[7; 1200]).is_none());
}

fn text(round: usize, number: usize, length: usize) -> String {
    let mut text = format!("{PHRASE}{round} {number} ");
    text.push_str(&PHRASE.repeat(length / PHRASE.len()));
    text
}

fn in_way(captured: &[Captured], way: Direction) -> Vec<&[u8]> {
    let in_way = captured.iter().filter(|one| one.direction == way);
    in_way.map(|one| one.bytes.as_slice()).collect()
}

/// Asserts that no size has more than its share among the datagrams of handshakes to which random bytes
/// may be added.
fn assert_no_typical_size(hidden: &[&[u8]], shown: &[&[u8]]) {
    let mut counts = BTreeMap::<usize, usize>::new();
    for (datagram, _) in hidden
        .iter()
        .zip(shown)
        .filter(|(_, one)| is_long_to_its_end(one))
    {
        *counts.entry(datagram.len()).or_default() += 1;
    }
    let all: usize = counts.values().sum();
    let (size, most) = counts.iter().max_by_key(|(_, count)| **count).unwrap();
    println!(
        "{all} of them in {} sizes, {most} of {size} bytes",
        counts.len()
    );
    assert!(all >= 3 * REDIALS, "{all}");
    // With 130 sizes or more, a size that is not typical occurs this often with a probability of less
    // than one in a million.
    assert!(*most <= 8 + all / 12, "{most} of {all} have {size} bytes");
}

/// Returns whether the last packet of a datagram has a long header, disregarding what follows it.
fn is_long_to_its_end(shown: &[u8]) -> bool {
    let mut rest = shown;
    while let Some(following) = LongHeader::parse(rest).and_then(|header| header.following()) {
        rest = following;
    }
    // Random bytes begin with a clear fixed bit, packets do not.
    rest.first().is_none_or(|first| first & 0x40 == 0)
}

/// Returns the obfuscator of the sessions that a daemon is dialled for.
fn of_responder(name: &str) -> Obfuscator {
    let id = public_id(&identity(name).unwrap());
    Obfuscator::of_responder(&Circle::public(), &id, provider::default())
}

fn under_key_of_carol() -> Obfuscator {
    of_responder("carol")
}

fn under_circle_key() -> Obfuscator {
    let key = Secret::from_slice(&Circle::public().key().expose()[..16]).unwrap();
    Obfuscator::new(&key, provider::default())
}

fn revealed(datagram: &[u8], obfuscator: &Obfuscator) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    obfuscator.apply(&mut bytes);
    bytes
}

/// Returns whether a datagram begins with a long header of M2, and so belongs to a handshake.
fn is_long(revealed: &[u8]) -> bool {
    LongHeader::parse(revealed).is_some_and(|header| header.version == QUIC_VERSION)
}

fn assert_none(found: &[Skew]) {
    let lines: Vec<String> = found.iter().map(Skew::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}
