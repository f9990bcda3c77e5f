//! Letters that hold a message of 1 KiB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use criterion::{Criterion, criterion_group, criterion_main};
use m2_crypto::envelope::{EpochHeader, Letter};
use m2_tests::sim::{ALICE, BOB};
use rand_core::UnwrapErr;

const ID: [u8; 16] = [9; 16];
const MESSAGE: [u8; 1024] = [7; 1024];
const NOW_S: u64 = 1_800_000_000;

fn letters(criterion: &mut Criterion) {
    let sealed = seal();
    let letter = unwrap(&sealed);
    let mut group = criterion.benchmark_group("letter/1 KiB");
    group.bench_function("seal", |bencher| bencher.iter(seal));
    group.bench_function("unwrap", |bencher| bencher.iter(|| unwrap(&sealed)));
    group.bench_function("open", |bencher| {
        let sender = ALICE.identity.certificate();
        bencher.iter(|| {
            letter
                .open(&mut rng(), &BOB.identity, sender, NOW_S)
                .unwrap()
        });
    });
}

fn seal() -> Vec<u8> {
    let header = EpochHeader {
        sender: ALICE.id,
        receiver: BOB.id,
        incarnation: 1,
        epoch: 1,
        created_s: NOW_S,
    };
    let receiver = BOB.identity.certificate();
    Letter::seal(&mut rng(), &ALICE.identity, receiver, header, &ID, &MESSAGE).unwrap()
}

fn unwrap(sealed: &[u8]) -> Letter {
    Letter::unwrap(&mut rng(), &BOB.identity, &BOB.id, sealed).unwrap()
}

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

criterion_group!(benches, letters);
criterion_main!(benches);
