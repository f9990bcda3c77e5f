//! A provider that records everything links two letters of one sender no better than chance.
//!
//! The provider sees of each deposit the address, the time, the token and the letter, and it sees the
//! owner's sessions. The linker scores pairs of letters by each of these. The scores of pairs of one
//! sender must not differ from the others by more than random assignments of senders do.
//!
//! The long form, with 25 contacts and 4,000 letters, 160 of each contact: an owner gives a contact at most 256 tokens in a
//! day, unused ones included:
//!
//! `M2_LINKING=25,160 cargo test --release -p m2-tests --test mailbox -- --ignored linking`
//!
//! Verified by mutation: with one endpoint for all deposits of a daemon (in `Depositor::deposit`), ports are
//! used again; with tokens in the order of their nonces (in `Store::use_token`), the numbers of nonces link.

use crate::provider::{Provider, Seen};
use m2_crypto::deposit::{BoxKey, DepositNonce, Period};
use m2_crypto::{PeerId, Secret};
use m2_net::wire::mailbox::Deposit;
use m2_store::StoreFile;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::hostile::identity;
use m2_tests::scenario::{Api, befriend, eventually, set_policy};
use rand::RngExt as _;
use rand::seq::SliceRandom as _;
use std::collections::HashSet;
use std::env;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Letters are deposited after a second, and a random time of up to three.
const SOON: &str = "[mailbox]\nafter_s = 1\ndelay_s = 3\n";
/// The pause between two messages, whoever sends them, in milliseconds at most, for each contact. Each letter costs the
/// machine two session keys. At a third of this pause the provider has none left: deposits fail, and the last letters of a
/// round are tried again after many minutes.
const PAUSE_MS: u64 = 16;
/// Random assignments of senders to which the real one is compared.
const ASSIGNMENTS: usize = 200;
/// The deviation from them, in standard deviations, that chance does not explain.
const DEVIATION: f64 = 5.0;
/// Letters of a contact in a round: no more than its tokens.
const IN_ROUND: usize = 14;

struct Scene {
    provider: Provider,
    bob: Daemon,
    senders: Vec<Daemon>,
}

impl Scene {
    async fn start(count: usize) -> Self {
        let provider = Provider::start();
        let bob = Daemon::start(Setup::new().identity("bob").tables(SOON));
        let bob = bob.await.unwrap();
        provider.register(&bob).await;
        let mut scene = Self {
            provider,
            bob,
            senders: Vec::new(),
        };
        for _ in 0..count {
            scene.add_sender().await;
        }
        scene
    }

    /// Adds a contact of bob that may deposit letters.
    async fn add_sender(&mut self) {
        let sender = Daemon::start(Setup::new().tables(SOON)).await.unwrap();
        let name = format!("sender {}", self.senders.len());
        befriend((&sender, &name), (&self.bob, "bob"))
            .await
            .unwrap();
        let bob = Api::of(&self.bob).await.unwrap();
        set_policy(&bob, &name, Some(true), None).await.unwrap();
        let api = Api::of(&sender).await.unwrap();
        set_policy(&api, "bob", None, Some(true)).await.unwrap();
        self.senders.push(sender);
        self.tokens(self.senders.len() - 1).await;
    }

    /// Waits until a sender has tokens for a round.
    async fn tokens(&self, sender: usize) {
        let api = Api::of(&self.senders[sender]).await.unwrap();
        eventually("tokens", async || {
            let tokens = api.contact("bob").await?.mailbox_tokens as usize;
            Ok((tokens >= IN_ROUND).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Lets all senders write, in random order and at random times, while bob is away. Returns the
    /// deposits of this round, each with the row of its sender.
    async fn round(&mut self, letters: usize) -> Vec<(Seen, i64)> {
        let before = self.provider.seen().len();
        self.bob.stop().await.unwrap();
        let mut turns: Vec<usize> = (0..self.senders.len() * letters)
            .map(|turn| turn % self.senders.len())
            .collect();
        turns.shuffle(&mut rand::rng());
        for (number, sender) in turns.iter().enumerate() {
            let api = Api::of(&self.senders[*sender]).await.unwrap();
            api.send("bob", &format!("letter {number}")).await.unwrap();
            let pause = rand::rng().random_range(0..PAUSE_MS * self.senders.len() as u64);
            sleep(Duration::from_millis(pause)).await;
        }
        let seen = self.provider.deposits(before + turns.len()).await;
        let told = self.with_senders(&seen[before..]);
        self.bob.restart().await.unwrap();
        self.provider.is_open(&self.bob).await;
        for sender in &self.senders {
            let api = Api::of(sender).await.unwrap();
            api.await_empty_outbox().await.unwrap();
        }
        told
    }

    /// Finds the senders in the store of bob, who is stopped.
    fn with_senders(&self, seen: &[Seen]) -> Vec<(Seen, i64)> {
        let key = identity("bob").unwrap().store_key();
        let store = StoreFile::new(&self.bob.data(), key).open().unwrap();
        let of = |seen: &Seen| {
            let issued = store.issued(seen.deposit.token.nonce()).unwrap().unwrap();
            (seen.clone(), issued.contact.number())
        };
        seen.iter().map(of).collect()
    }
}

/// A score of a pair of letters: high for pairs that look as if one sender had made them.
type Score = fn(&Seen, &Seen) -> f64;

const SCORES: [(&str, Score); 7] = [
    ("port", |one, other| {
        -f64::from(one.from.port().abs_diff(other.from.port()))
    }),
    ("time", |one, other| {
        let (early, late) = (one.at.min(other.at), one.at.max(other.at));
        -(late - early).as_secs_f64()
    }),
    ("nonce", |one, other| {
        let of = |seen: &Seen| seen.deposit.token.nonce().as_bytes().to_vec();
        alike(&of(one), &of(other))
    }),
    ("token", |one, other| {
        let of = |seen: &Seen| seen.deposit.token.to_bytes().to_vec();
        alike(&of(one), &of(other))
    }),
    ("number", |one, other| -(number(one) - number(other)).abs()),
    ("order", |one, other| {
        let later_is_larger = (one.at < other.at) == (number(one) < number(other));
        f64::from(u8::from(later_is_larger))
    }),
    ("letter", |one, other| {
        alike(&one.deposit.sealed[..2_048], &other.deposit.sealed[..2_048])
    }),
];

/// The beginning of the nonce, as a number.
fn number(seen: &Seen) -> f64 {
    let first = *seen.deposit.token.nonce().as_bytes().first_chunk().unwrap();
    f64::from(u32::from_be_bytes(first))
}

/// The number of bits in which two byte strings agree.
fn alike(one: &[u8], other: &[u8]) -> f64 {
    let pairs = one.iter().zip(other);
    f64::from(
        pairs
            .map(|(one, other)| (one ^ other).count_zeros())
            .sum::<u32>(),
    )
}

/// The mean rank of the pairs of one sender among all pairs, by a score: one half if it links nothing.
fn mean_rank(ranks: &[Vec<f64>], senders: &[i64]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for (one, row) in ranks.iter().enumerate() {
        for (other, rank) in row.iter().enumerate() {
            if senders[one] == senders[other] {
                sum += rank;
                count += 1.0;
            }
        }
    }
    sum / count
}

/// The rank of each pair of a letter with an earlier one, from 0 to 1.
fn ranks(letters: &[(Seen, i64)], score: Score) -> Vec<Vec<f64>> {
    let mut pairs = Vec::new();
    for one in 0..letters.len() {
        for other in 0..one {
            let score = score(&letters[one].0, &letters[other].0);
            pairs.push((score, one, other));
        }
    }
    pairs.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut ranks: Vec<Vec<f64>> = (0..letters.len()).map(|count| vec![0.5; count]).collect();
    let all = pairs.len() as f64;
    let mut first = 0;
    while let Some((score, ..)) = pairs.get(first).copied() {
        let equal = pairs[first..].iter().take_while(|pair| pair.0 == score);
        let last = first + equal.count();
        // Equal scores have one rank.
        let rank = (first + last) as f64 / 2.0 / all;
        for (_, one, other) in &pairs[first..last] {
            ranks[*one][*other] = rank;
        }
        first = last;
    }
    ranks
}

/// How far the mean rank of the pairs of one sender is from that of random senders, in standard
/// deviations. The random senders are assigned within each round, given by its number of letters: each contact writes
/// equally often in a round because the test wants it, and that alone would show.
fn deviation(letters: &[(Seen, i64)], rounds: &[usize], score: Score) -> f64 {
    let ranks = ranks(letters, score);
    let mut senders: Vec<i64> = letters.iter().map(|(_, sender)| *sender).collect();
    let real = mean_rank(&ranks, &senders);
    let random: Vec<f64> = (0..ASSIGNMENTS)
        .map(|_| {
            let mut rest = senders.as_mut_slice();
            for count in rounds {
                let (round, later) = rest.split_at_mut(*count);
                round.shuffle(&mut rand::rng());
                rest = later;
            }
            mean_rank(&ranks, &senders)
        })
        .collect();
    assert_eq!(rounds.iter().sum::<usize>(), letters.len());
    let mean = random.iter().sum::<f64>() / random.len() as f64;
    let variance = random.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / random.len() as f64;
    if variance == 0.0 {
        // Only a score that is the same for all pairs, or one sender.
        assert!(ranks.iter().flatten().all(|rank| *rank == ranks[1][0]));
        return 0.0;
    }
    (real - mean) / variance.sqrt()
}

/// Looks for links between letters of `senders` contacts, in rounds between which contacts come, lose
/// consent and get it again.
async fn look_for_links(senders: usize, letters: usize) {
    let mut scene = Scene::start(senders - 1).await;
    let mut all = Vec::new();
    let (mut sent, mut rounds) = (0, Vec::new());
    while sent < letters {
        let count = IN_ROUND.min(letters - sent);
        let round = scene.round(count).await;
        let one = format!("sender {}", rounds.len() % scene.senders.len());
        rounds.push(round.len());
        all.extend(round);
        sent += count;
        if scene.senders.len() < senders {
            scene.add_sender().await;
        }
        let bob = Api::of(&scene.bob).await.unwrap();
        for allowed in [false, true] {
            set_policy(&bob, &one, Some(allowed), None).await.unwrap();
        }
        for sender in 0..scene.senders.len() {
            scene.tokens(sender).await;
        }
    }
    let ports: HashSet<u16> = all.iter().map(|(seen, _)| seen.from.port()).collect();
    assert!(ports.len() * 10 > all.len() * 9, "ports are used again");
    let found = SCORES.map(|(what, score)| (what, deviation(&all, &rounds, score)));
    println!("deviations over {} letters: {found:.1?}", all.len());
    for (what, deviation) in found {
        assert!(deviation.abs() < DEVIATION, "{what} links letters");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_of_one_sender_are_not_linked() {
    Box::pin(look_for_links(5, 2 * IN_ROUND)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "many minutes; see the head of this file"]
async fn thousands_of_letters_are_not_linked() {
    let sizes = env::var("M2_LINKING").unwrap_or_else(|_| "25,160".to_owned());
    let (senders, letters) = sizes.split_once(',').unwrap();
    Box::pin(look_for_links(
        senders.parse().unwrap(),
        letters.parse().unwrap(),
    ))
    .await;
}

/// Control: a score that knows the senders links letters, also one that knows them of half of the letters. One that knows
/// nothing does not.
#[test]
fn a_score_that_links_is_noticed() {
    const SENDERS: u16 = 4;
    let mut all = Vec::new();
    for round in 0..3 {
        let mut senders: Vec<u16> = (0..60).map(|letter| letter % SENDERS).collect();
        senders.shuffle(&mut rand::rng());
        // The port of half of the letters is that of the sender.
        let letters = senders.iter().enumerate().map(|(number, sender)| {
            let known = number % 2 == round % 2;
            (
                made(if known { *sender } else { 9 }, number as u16),
                i64::from(*sender),
            )
        });
        all.extend(letters);
    }
    let rounds = [60; 3];
    let of_half: Score = |one, other| {
        let (one, other) = (one.from.port(), other.from.port());
        f64::from(u8::from(one == other && one < SENDERS))
    };
    let of_number: Score = |one, other| (number(one) - number(other)).abs();
    assert!(deviation(&all, &rounds, of_half) > DEVIATION);
    assert!(deviation(&all, &rounds, of_number).abs() < DEVIATION);
}

/// Returns a deposit from a port, whose nonce begins with a number.
fn made(port: u16, number: u16) -> Seen {
    let mut nonce = [0; 16];
    nonce[..2].copy_from_slice(&number.to_be_bytes());
    let owner = PeerId::from_bytes([1; 32]);
    let period = Period::at(m2_net::clock::Clock::system().unix_s());
    let token =
        BoxKey::new(Secret::new([2; 32])).token(&owner, DepositNonce::from_bytes(nonce), period);
    Seen {
        at: Instant::now(),
        from: ([127, 0, 0, 1], port).into(),
        deposit: Deposit {
            owner,
            token,
            sealed: Vec::new().into(),
        },
    }
}
