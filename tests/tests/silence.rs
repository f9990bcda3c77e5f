//! A daemon sends no byte to a party that does not know its circle and peer id
//! (docs/spec/obfuscation.md#the-gate).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_crypto::initial::QUIC_VERSION;
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, PeerId, Secret, provider};
use m2_net::dial_error::DialError;
use m2_proto::api::v1::MessageState;
use m2_tests::harness::{Captured, Daemon, Direction, Fate, Setup, Wire};
use m2_tests::hostile::{Caller, Noise, answers, identity, public_id};
use m2_tests::scenario::{Api, Pair, befriend, counted, eventually};
use std::collections::BTreeSet;
use std::time::Duration;

/// Hostile datagrams of one run: a warm-up, then two halves.
const DATAGRAMS: [usize; 3] = [20_000, 40_000, 40_000];
/// How far the memory may grow after the warm-up.
const GROWTH_KIB: u64 = 8 << 10;
/// The timeout of a dial that gets no answer.
const IN_VAIN: Duration = Duration::from_millis(2_500);
/// The timeout of a dial that is answered, on a loaded machine.
const ANSWERED: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_hostile_datagrams_get_no_answer() {
    noise_gets_nothing(&Circle::public(), "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_datagrams_get_no_answer_in_a_private_circle() {
    let files = tempfile::tempdir().unwrap();
    let secret = [0x5a; 32];
    let circle = Circle::private("home", &Secret::new(secret));
    noise_gets_nothing(&circle, &home(&files, &secret)).await;
}

/// Sends noise and recorded datagrams to one of two contacts, in the circle of these tables.
async fn noise_gets_nothing(circle: &Circle, tables: &str) {
    let (wire, mut pair) = recorded_pair(circle, tables).await;
    let target = pair.alice.udp_address().await.unwrap();
    let recorded: Vec<Vec<u8>> = to_target(&wire);
    assert!(recorded.len() >= 50, "{}", recorded.len());
    let mut noise = Noise::new(3);
    let mut memory = Vec::new();
    for count in DATAGRAMS {
        let hostile: Vec<_> = (0..count).map(|_| hostile(&mut noise, &recorded)).collect();
        assert_eq!(answers(target, hostile).await.unwrap(), 0);
        memory.push(pair.alice.rss_kib().unwrap());
    }
    println!("resident after each part: {memory:?} KiB");
    assert!(memory[1] <= memory[0] + GROWTH_KIB, "{memory:?}");
    assert!(memory[2] <= memory[0] + GROWTH_KIB, "{memory:?}");
    let dropped = dropped(&pair.alice).await;
    println!("{dropped} datagrams were counted");
    // Datagrams to connection ids of the open session reach its keys and fail there, uncounted.
    assert!(dropped >= 50_000, "{dropped}");

    // The session is unharmed, and a new one can be established.
    talk(&pair, "after the noise").await;
    pair.bob.kill9().await.unwrap();
    pair.bob.restart().await.unwrap();
    talk(&pair, "in a new session").await;
    assert!(!pair.alice.log().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_packet_is_answered_only_once() {
    let public = Circle::public();
    let (wire, mut pair) = recorded_pair(&public, "").await;
    let target = pair.alice.udp_address().await.unwrap();
    let recorded = to_target(&wire);
    let firsts = recorded.iter().filter(|d| dialled(d, &public).is_some());
    let firsts: Vec<Vec<u8>> = firsts.cloned().collect();
    assert!(!firsts.is_empty());
    let again = || {
        firsts
            .iter()
            .flat_map(|first| [first.clone(), first.clone()])
    };
    assert_eq!(answers(target, again()).await.unwrap(), 0, "at once");

    // Control: a first packet that never arrived is answered.
    let withheld = withheld_first_packet(&pair.alice).await;
    let answer = answers(target, [withheld.clone()]).await.unwrap();
    assert!(answer > 0, "a fresh first packet gets an answer");
    assert_eq!(answers(target, [withheld.clone()]).await.unwrap(), 0);

    pair.bob.kill9().await.unwrap();
    assert_eq!(answers(target, again()).await.unwrap(), 0, "after it ended");
    assert_eq!(answers(target, recorded.clone()).await.unwrap(), 0);

    pair.alice.kill9().await.unwrap();
    pair.alice.restart().await.unwrap();
    let target = pair.alice.udp_address().await.unwrap();
    keys_ready(&pair.alice).await;
    let all = again().chain([withheld]).chain(recorded);
    assert_eq!(answers(target, all).await.unwrap(), 0, "after a restart");
    assert!(counter(&pair.alice, "DIAL_REPLAYED").await >= 1);
    wire.aim(target);
    pair.bob.restart().await.unwrap();
    talk(&pair, "after all this").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_differs_in_one_bit_is_another_circle() {
    let files = tempfile::tempdir().unwrap();
    let mut secret = [0x5a; 32];
    let setup = Setup::new()
        .identity("alice")
        .tables(&home(&files, &secret));
    let alice = Daemon::start(setup).await.unwrap();
    let home = Circle::private("home", &Secret::new(secret));
    let alices_id = identity("alice").unwrap().peer_id(home.id());
    assert_eq!(alice.status().await.unwrap().peer_id, alices_id.to_string());
    for bit in [0, 77, 255] {
        secret[bit / 8] ^= 1 << (bit % 8);
        let near = Circle::private("home", &Secret::new(secret));
        secret[bit / 8] ^= 1 << (bit % 8);
        dial_from(&alice, near, alices_id).await;
    }
    let name = Circle::private("Home", &Secret::new(secret));
    dial_from(&alice, name, alices_id).await;
    dial_from(&alice, Circle::public(), alices_id).await;
    assert!(counter(&alice, "SESSION_ACCEPTED").await == 0);
    // A member that dials her with another peer's id, or with her id in another circle, gets no answer
    // either.
    let carols_id = identity("carol").unwrap().peer_id(home.id());
    let elsewhere = public_id(&identity("alice").unwrap());
    for wrong in [carols_id, elsewhere] {
        dial_from(&alice, home.clone(), wrong).await;
    }
    reach(&alice, home, alices_id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialer_without_the_peer_id_gets_no_answer() {
    let alice = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    for name in ["bob", "carol"] {
        let id = public_id(&identity(name).unwrap());
        dial_from(&alice, Circle::public(), id).await;
    }
    // Two packets of two dials. Under alice's key they are noise.
    let counted = dropped(&alice).await;
    assert!(counted >= 4, "{counted}");
    let id = public_id(&identity("alice").unwrap());
    reach(&alice, Circle::public(), id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_no_daemon_sends_get_no_answer() {
    let alice = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let target = alice.udp_address().await.unwrap();
    let mut noise = Noise::new(5);
    let mut made = Vec::new();
    for _ in 0..500 {
        for version in [
            0,
            1,
            0x6b33_43cf,
            0x0a0a_0a0a,
            QUIC_VERSION ^ 1,
            QUIC_VERSION,
        ] {
            for first in [0xc0, 0xd0, 0xe0, 0xf0] {
                made.push(long_header(&mut noise, first, version));
            }
        }
        let mut short = noise.bytes(60);
        short[0] = 0x40 | (short[0] & 0x3f);
        made.push(short);
    }
    // A party that knows the circle but not her peer id can only guess her key.
    let [alice_id, carol_id] = ["alice", "carol"].map(|name| public_id(&identity(name).unwrap()));
    let under = |peer: PeerId, plain: &[Vec<u8>]| obfuscated(plain, &Circle::public(), &peer);
    let guessed = under(carol_id, &made);
    assert_eq!(answers(target, guessed).await.unwrap(), 0);
    let before = dropped(&alice).await;
    assert_eq!(answers(target, under(alice_id, &made)).await.unwrap(), 0);
    assert!(before >= made.len() as u64 / 2, "{before}");
    for name in [
        "DATAGRAM_VERSION",
        "DATAGRAM_FOREIGN_ID",
        "DATAGRAM_NOT_FOR_US",
    ] {
        let counted = counter(&alice, name).await;
        assert!(counted >= 400, "{name}: {counted}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_with_another_key_is_reported_as_wrong_key() {
    let wire = Wire::new().await.unwrap();
    let alice = Setup::new().identity("alice").announce(wire.address());
    let bob = Setup::new().identity("bob");
    let (alice, bob) = tokio::try_join!(Daemon::start(alice), Daemon::start(bob)).unwrap();
    let alices_id = public_id(&identity("alice").unwrap());
    let impostor = Caller::adjusted(identity("carol").unwrap(), |config| {
        config.impersonating = Some(alices_id);
    })
    .unwrap();
    wire.aim(impostor.endpoint().local_addrs()[0]);
    let (a, b) = (Api::of(&alice).await.unwrap(), Api::of(&bob).await.unwrap());
    let uri = a.invite(false, "bob").await.unwrap();
    b.add(&uri, "alice").await.unwrap();
    let named = eventually("the reason", async || {
        let failure = b.contact("alice").await?.last_failure;
        Ok(Some(failure).filter(|failure| failure == "WRONG_KEY"))
    });
    named.await.unwrap();
    assert!(!b.contact("alice").await.unwrap().online);

    wire.aim(alice.udp_address().await.unwrap());
    eventually("the real alice to be online", async || {
        Ok(b.contact("alice").await?.online.then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(b.contact("alice").await.unwrap().last_failure, "");
}

/// Two contacts that have exchanged messages over a wire, which recorded them.
///
/// Alice accepted every dial of the recording. A dial that a loaded machine made her ignore would still be
/// answered once (docs/spec/obfuscation.md#calls-that-were-accepted-are-remembered), so a recording with
/// such a dial is made again.
async fn recorded_pair(circle: &Circle, tables: &str) -> (Wire, Pair) {
    for _ in 0..5 {
        let (wire, pair) = record(tables).await;
        let recorded = to_target(&wire);
        let dials: BTreeSet<_> = recorded.iter().filter_map(|d| dialled(d, circle)).collect();
        let accepted = accepted_dials(&pair.alice);
        println!("{} dials, {accepted} of them accepted", dials.len());
        if dials.len() == accepted {
            return (wire, pair);
        }
    }
    panic!("a dial was ignored in each recording");
}

/// Returns the number of dials that a daemon has accepted since its first start.
fn accepted_dials(daemon: &Daemon) -> usize {
    const HEADER: u64 = 40;
    const RECORD: u64 = 24;
    let log = std::fs::metadata(daemon.data().join("replay.log")).unwrap();
    usize::try_from((log.len() - HEADER) / RECORD).unwrap()
}

async fn record(tables: &str) -> (Wire, Pair) {
    let wire = Wire::new().await.unwrap();
    let setup = |name| Setup::new().identity(name).tables(tables);
    let alice = setup("alice").announce(wire.address());
    let alice = Daemon::start(alice).await.unwrap();
    wire.aim(alice.udp_address().await.unwrap());
    keys_ready(&alice).await;
    let bob = Daemon::start(setup("bob")).await.unwrap();
    befriend((&alice, "alice"), (&bob, "bob")).await.unwrap();
    let pair = Pair { alice, bob };
    for number in 0..20 {
        talk(
            &pair,
            &format!("{number} {}", "for the record ".repeat(50 * number)),
        )
        .await;
    }
    (wire, pair)
}

/// Sends a message each way and waits for delivery.
async fn talk(pair: &Pair, text: &str) {
    let (alice, bob) = pair.apis().await.unwrap();
    let there = bob.send("alice", text).await.unwrap();
    let back = alice.send("bob", text).await.unwrap();
    bob.await_message(&there, MessageState::Delivered)
        .await
        .unwrap();
    alice
        .await_message(&back, MessageState::Delivered)
        .await
        .unwrap();
}

fn to_target(wire: &Wire) -> Vec<Vec<u8>> {
    let captured = wire.captured().into_iter();
    let to_target = captured.filter(|one| one.direction == Direction::ToTarget);
    to_target.map(|one| one.bytes).collect()
}

/// Noise, or a recorded datagram: unchanged, truncated, or with a bit flipped.
fn hostile(noise: &mut Noise, recorded: &[Vec<u8>]) -> Vec<u8> {
    let original = &recorded[noise.below(recorded.len())];
    match noise.below(8) {
        0 => original.clone(),
        1 | 2 => noise.cut(original),
        3 | 4 => noise.flipped(original),
        _ => {
            let length = noise.below(1_500);
            noise.bytes(length)
        }
    }
}

/// Returns the destination id of a datagram that begins with a first packet to alice, as a party that knows
/// her peer id sees it.
fn dialled(datagram: &[u8], circle: &Circle) -> Option<Vec<u8>> {
    let alice = identity("alice").unwrap().peer_id(circle.id());
    let mut revealed = datagram.to_vec();
    let obfuscator = Obfuscator::of_responder(circle, &alice, provider::default());
    obfuscator.apply(&mut revealed);
    // A long header of type Initial, to an id of 20 bytes, which only a dialer makes.
    let is_first = revealed[0] & 0xf0 == 0xc0 && revealed[5] == 20;
    is_first.then(|| revealed[6..26].to_vec())
}

/// Obfuscates datagrams for the sessions that a peer is dialled for.
fn obfuscated(plain: &[Vec<u8>], circle: &Circle, responder: &PeerId) -> Vec<Vec<u8>> {
    let obfuscator = Obfuscator::of_responder(circle, responder, provider::default());
    let mut datagrams = plain.to_vec();
    datagrams
        .iter_mut()
        .for_each(|datagram| obfuscator.apply(datagram));
    datagrams
}

fn long_header(noise: &mut Noise, first: u8, version: u32) -> Vec<u8> {
    let mut datagram = noise.bytes(1_200);
    datagram[0] = first | (datagram[0] & 0x0f);
    datagram[1..5].copy_from_slice(&version.to_be_bytes());
    datagram[5] = 20;
    datagram[26] = 16;
    // No token, and a length that fits.
    datagram[43] = 0;
    datagram[44..46].copy_from_slice(&(0x4000_u16 | 1_154).to_be_bytes());
    datagram
}

/// Captures a first packet to a daemon that never receives it.
async fn withheld_first_packet(daemon: &Daemon) -> Vec<u8> {
    let wire = Wire::new().await.unwrap();
    wire.aim(daemon.udp_address().await.unwrap());
    wire.decide(|_, _| Fate::lost());
    let caller = caller(Circle::public(), IN_VAIN);
    let to = public_id(&identity("alice").unwrap());
    caller.dial(wire.address(), to).await.unwrap_err();
    to_target(&wire)
        .into_iter()
        .find(|one| dialled(one, &Circle::public()).is_some())
        .unwrap()
}

/// Dials a daemon. Asserts that not one byte comes back.
async fn dial_from(daemon: &Daemon, circle: Circle, peer: PeerId) {
    let wire = Wire::new().await.unwrap();
    wire.aim(daemon.udp_address().await.unwrap());
    let result = caller(circle, IN_VAIN).dial(wire.address(), peer).await;
    assert_eq!(result.map(drop), Err(DialError::NoAnswer));
    let captured = wire.captured();
    assert!(!captured.is_empty());
    let silent = |one: &Captured| one.direction == Direction::ToTarget;
    assert!(captured.iter().all(silent), "an answer came back");
}

/// Dials a daemon. Asserts that it answers.
async fn reach(daemon: &Daemon, circle: Circle, peer: PeerId) {
    let address = daemon.udp_address().await.unwrap();
    let session = caller(circle, ANSWERED).dial(address, peer).await;
    session.unwrap();
}

fn caller(circle: Circle, limit: Duration) -> Caller {
    Caller::adjusted(identity("carol").unwrap(), |config| {
        config.circle = circle;
        config.limits.handshake = limit;
    })
    .unwrap()
}

async fn counter(daemon: &Daemon, name: &str) -> u64 {
    counted(&daemon.status().await.unwrap(), name)
}

async fn dropped(daemon: &Daemon) -> u64 {
    let refused = daemon.status().await.unwrap().refused;
    let dropped = refused
        .iter()
        .filter(|(name, _)| name.starts_with("DATAGRAM_"));
    dropped.map(|(_, count)| count).sum()
}

async fn keys_ready(daemon: &Daemon) {
    eventually("session keys", async || {
        let status = daemon.status().await?;
        Ok((status.session_keys_ready >= status.session_keys_wanted).then_some(()))
    })
    .await
    .unwrap();
}

/// The configuration of a circle with the name home and its secret in a file.
fn home(files: &tempfile::TempDir, secret: &[u8; 32]) -> String {
    let path = files.path().join("circle");
    std::fs::write(&path, data_encoding::HEXLOWER.encode(secret)).unwrap();
    owner_only(&path);
    format!("[circle]\nname = \"home\"\nsecret_file = {path:?}")
}

fn owner_only(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
