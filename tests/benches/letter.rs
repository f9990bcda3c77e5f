//! Letters that hold a message of 1 KiB, and the one-time keys under which they are sealed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use criterion::{Criterion, criterion_group, criterion_main};
use m2_crypto::deposit::DepositNonce;
use m2_crypto::letter::{LetterHeader, LetterSecret, OpenedLetter, Opener, Recipient};
use m2_crypto::one_time_key::{OneTimeKey, OneTimeSeed};
use m2_crypto::{Secret, provider};
use m2_tests::sim::{ALICE, BOB};
use rand_core::UnwrapErr;

const NONCE: DepositNonce = DepositNonce::from_bytes([8; 16]);
const MESSAGE: [u8; 1024] = [7; 1024];
const NOW_S: u64 = 1_800_000_000;

fn letters(criterion: &mut Criterion) {
    let (key, secret) = (
        one_time_key(),
        LetterSecret::new([1; 8], Secret::new([2; 32])),
    );
    let sealed = seal(&key, &secret);
    let mut group = criterion.benchmark_group("letter/1 KiB");
    group.bench_function("one-time key", |bencher| bencher.iter(one_time_key));
    group.bench_function("seal", |bencher| bencher.iter(|| seal(&key, &secret)));
    group.bench_function("open", |bencher| {
        bencher.iter(|| open(&key, &secret, &sealed));
    });
}

fn one_time_key() -> OneTimeKey {
    let seed = OneTimeSeed::random(&mut rng());
    seed.key(provider::default()).unwrap()
}

fn seal(key: &OneTimeKey, secret: &LetterSecret) -> Vec<u8> {
    let recipient = Recipient {
        certificate: BOB.identity.certificate(),
        peer_id: &BOB.id,
        nonce: &NONCE,
        key: key.public(),
        secret,
    };
    let header = LetterHeader {
        sender: ALICE.id,
        incarnation: 1,
        created_s: NOW_S,
        oldest: 1,
        message_id: [9; 16],
    };
    recipient
        .seal(&mut rng(), &ALICE.identity, &header, &MESSAGE)
        .unwrap()
}

fn open(key: &OneTimeKey, secret: &LetterSecret, sealed: &[u8]) -> OpenedLetter {
    let opener = Opener {
        identity: &BOB.identity,
        peer_id: &BOB.id,
        nonce: &NONCE,
        key,
        secrets: &[secret],
        sender: &ALICE.id,
        certificate: ALICE.identity.certificate(),
    };
    opener.open(&mut rng(), sealed).unwrap()
}

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

criterion_group!(benches, letters);
criterion_main!(benches);
