//! To the provider, two letters of one sender look like letters of two senders: in its store, and in
//! the sessions that deposited them.
//!
//! Verified by mutation: with 8 bytes of the contact's peer id at the beginning of the nonces that it is
//! given (in `token_giving::issue`) the test fails with "nonce and nonce".

use crate::disk::Disk;
use crate::first_packet::FirstPackets;
use m2_crypto::PeerId;
use m2_proto::api::v1::MessageState;
use m2_tests::harness::{Daemon, Direction, Setup, Wire};
use m2_tests::hostile::{identity, public_id};
use m2_tests::scenario::{Api, SOON, Trio, befriend, eventually, set_policy};
use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};

/// A length, in bytes, at which no string repeats by chance in some kilobytes.
const WINDOW: usize = 8;

/// All documented columns (`docs/spec/mailbox-store.md`).
const COLUMNS: [&str; 15] = [
    "boxes.key",
    "boxes.number",
    "boxes.owner",
    "letters.expiry",
    "letters.key",
    "letters.letter",
    "letters.mark",
    "letters.nonce",
    "letters.period",
    "marks.key",
    "marks.mark",
    "marks.nonce",
    "marks.period",
    "settings.name",
    "settings.value",
];

/// The data that a provider can record of one deposit.
struct Seen {
    nonce: Vec<u8>,
    letter: Vec<u8>,
    mark: Vec<u8>,
    period: i64,
    session: FirstPackets,
}

impl Seen {
    /// The parts that differ from deposit to deposit.
    fn varying(&self) -> Vec<(&'static str, &[u8])> {
        let mut all = vec![
            ("nonce", &self.nonce[..]),
            ("letter", &self.letter[..]),
            ("mark", &self.mark[..]),
        ];
        all.extend(self.session.varying());
        all
    }
}

/// Returns whether two byte strings have [`WINDOW`] consecutive bytes in common.
fn shares(one: &[u8], other: &[u8]) -> bool {
    let windows: HashSet<&[u8]> = one.windows(WINDOW).collect();
    other.windows(WINDOW).any(|window| windows.contains(window))
}

/// The proportion of bits in which two byte strings of equal length differ, in standard deviations from
/// one half.
fn skew(one: &[u8], other: &[u8]) -> f64 {
    let differing: u32 = one
        .iter()
        .zip(other)
        .map(|(a, b)| (a ^ b).count_ones())
        .sum();
    let bits = 8.0 * one.len() as f64;
    (f64::from(differing) - bits / 2.0) / (bits / 4.0).sqrt()
}

/// Alice and dave, who deposit letters for bob at carol, with a wire in front of her.
struct Scene {
    trio: Trio,
    dave: Daemon,
    wire: Wire,
    disk: Disk,
    provider: PeerId,
}

impl Scene {
    async fn start() -> Self {
        let (wire, address) = (Wire::new().await.unwrap(), free_address());
        wire.aim(address);
        let adjust = |name: &str, setup: Setup| match name {
            "carol" => setup
                .announce(wire.address())
                .network(&format!("listen = [\"{address}\"]")),
            _ => setup,
        };
        let dave = Daemon::start(Setup::new().tables(SOON));
        let (trio, dave) = tokio::try_join!(Trio::start_as(adjust), dave).unwrap();
        trio.consent().await.unwrap();
        befriend((&trio.bob, "bob"), (&dave, "dave")).await.unwrap();
        let (api, bob) = (
            Api::of(&dave).await.unwrap(),
            Api::of(&trio.bob).await.unwrap(),
        );
        set_policy(&bob, "dave", Some(true), None).await.unwrap();
        set_policy(&api, "bob", None, Some(true)).await.unwrap();
        eventually("an offer", async || {
            let tokens = api.contact("bob").await?.mailbox_tokens;
            Ok((tokens > 0).then_some(()))
        })
        .await
        .unwrap();
        let disk = Disk::of(&trio.carol);
        let provider = public_id(&identity("carol").unwrap());
        Self {
            trio,
            dave,
            wire,
            disk,
            provider,
        }
    }

    /// Deposits a message. Returns what carol can record of it.
    async fn deposit(&self, sender: &Daemon, text: &str) -> Seen {
        let before = self.nonces();
        self.wire.clear();
        let sender = Api::of(sender).await.unwrap();
        let id = sender.send("bob", text).await.unwrap();
        let deposited = MessageState::Deposited;
        sender.await_message(&id, deposited).await.unwrap();
        let mut came = self.disk.letters();
        came.retain(|(nonce, _)| !before.contains(nonce));
        let [(nonce, letter)] = <[_; 1]>::try_from(came).unwrap();
        let (mark, period) = self.mark(&nonce);
        let captured = self.wire.captured();
        let calls = captured
            .iter()
            .filter(|one| one.direction == Direction::ToTarget);
        let calls = calls.map(|one| one.bytes.as_slice());
        Seen {
            nonce: nonce.to_vec(),
            letter,
            mark,
            period,
            session: FirstPackets::read(calls, &self.provider).unwrap(),
        }
    }

    fn nonces(&self) -> HashSet<[u8; 16]> {
        let letters = self.disk.letters().into_iter();
        letters.map(|(nonce, _)| nonce).collect()
    }

    /// The mark of the letter with a nonce, and the period of its token.
    fn mark(&self, nonce: &[u8; 16]) -> (Vec<u8>, i64) {
        let file = self.disk.open();
        let query = "SELECT mark, period FROM letters WHERE nonce = ?1";
        let row = file.query_row(query, [nonce], |row| Ok((row.get(0)?, row.get(1)?)));
        row.unwrap()
    }

    fn columns(&self) -> Vec<String> {
        let file = self.disk.open();
        let query = "SELECT m.name || '.' || p.name FROM sqlite_master m, \
                     pragma_table_info(m.name) p WHERE m.type = 'table' ORDER BY 1";
        let mut statement = file.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn expiries(&self) -> Vec<i64> {
        let file = self.disk.open();
        let mut statement = file.prepare("SELECT expiry FROM letters").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

/// A loopback address that is free; no other process should take it before carol does.
fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_of_one_sender_look_like_letters_of_two() {
    let mut scene = Box::pin(Scene::start()).await;
    scene.trio.bob.stop().await.unwrap();
    let (alice, dave) = (&scene.trio.alice, &scene.dave);
    let mut seen = Vec::new();
    // The senders and texts. The first and the third letter have the same text.
    for (sender, text) in [(alice, "one"), (alice, "two"), (dave, "one"), (dave, "six")] {
        seen.push(scene.deposit(sender, text).await);
    }

    assert_eq!(scene.columns(), COLUMNS);
    let expiries = scene.expiries();
    let hour = |expiry: &i64| (1_700_000_000 / 3_600..4_000_000_000 / 3_600).contains(expiry);
    assert!(
        expiries.len() == 4 && expiries.iter().all(hour),
        "{expiries:?}"
    );
    for (number, one) in seen.iter().enumerate() {
        assert_eq!((one.nonce.len(), one.letter.len()), (16, 4_096));
        assert_eq!(one.period, seen[0].period);
        assert_eq!(one.session.shape, seen[0].session.shape);
        for other in &seen[..number] {
            assert_unlike(one, other);
        }
    }
}

/// Asserts that two deposits share no varying part, not even approximately.
fn assert_unlike(one: &Seen, other: &Seen) {
    for (what, bytes) in one.varying() {
        for (elsewhere, others) in other.varying() {
            assert!(!shares(bytes, others), "{what} and {elsewhere}");
            if what == elsewhere && what != "session key" {
                let skew = skew(bytes, others);
                assert!(skew.abs() < 6.0, "{what} differs by {skew} deviations");
            }
        }
    }
}

/// Control: a few common bytes, and bits that mostly agree, are detected.
#[test]
fn common_bytes_and_similar_bits_are_detected() {
    let one: Vec<u8> = (0..=255).collect();
    let mut other: Vec<u8> = one
        .iter()
        .map(|byte| byte.wrapping_mul(167) ^ 0x5a)
        .collect();
    assert!(!shares(&one, &other));
    other[100..108].copy_from_slice(&one[30..38]);
    assert!(shares(&one, &other));
    let nearly: Vec<u8> = one.iter().map(|byte| byte ^ 0x11).collect();
    assert!(skew(&one, &nearly) < -6.0);
}
