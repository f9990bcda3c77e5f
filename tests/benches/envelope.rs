//! Envelopes: opening an epoch on both sides, and sealing and opening a message of 1 KiB in an open
//! epoch.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use m2_crypto::envelope::{EpochHeader, ReceiveEpoch, SendEpoch};
use m2_tests::sim::{ALICE, BOB};
use rand_core::UnwrapErr;

const ID: [u8; 16] = [9; 16];
const MESSAGE: [u8; 1024] = [7; 1024];
const NOW_S: u64 = 1_800_000_000;

fn messages(criterion: &mut Criterion) {
    let sender = open();
    let receiver = accept(&sender);
    let (at_sender, at_receiver) = (sender.to_bytes(), receiver.to_bytes());
    let sealed = SendEpoch::from_bytes(&at_sender).unwrap();
    let sealed = { sealed }.seal(&ID, &MESSAGE).unwrap();
    let mut group = criterion.benchmark_group("envelope/1 KiB");
    group.throughput(Throughput::Bytes(MESSAGE.len() as u64));
    group.bench_function("seal", |bencher| {
        bencher.iter_batched_ref(
            || SendEpoch::from_bytes(&at_sender).unwrap(),
            |epoch| epoch.seal(&ID, &MESSAGE).unwrap(),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("open", |bencher| {
        bencher.iter_batched_ref(
            || ReceiveEpoch::from_bytes(&at_receiver).unwrap(),
            |epoch| epoch.open(&sealed).unwrap(),
            BatchSize::SmallInput,
        );
    });
}

fn epochs(criterion: &mut Criterion) {
    let sender = open();
    criterion.bench_function("epoch/open", |bencher| bencher.iter(open));
    criterion.bench_function("epoch/accept", |bencher| bencher.iter(|| accept(&sender)));
}

fn open() -> SendEpoch {
    let header = EpochHeader {
        sender: ALICE.id,
        receiver: BOB.id,
        incarnation: 1,
        epoch: 1,
        created_s: NOW_S,
    };
    let receiver = BOB.identity.certificate();
    SendEpoch::open(&mut rng(), &ALICE.identity, receiver, header).unwrap()
}

fn accept(sender: &SendEpoch) -> ReceiveEpoch {
    ReceiveEpoch::accept(
        &mut rng(),
        &BOB.identity,
        &BOB.id,
        ALICE.identity.certificate(),
        &ALICE.id,
        sender.grant(),
        NOW_S,
    )
    .unwrap()
}

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

criterion_group!(benches, messages, epochs);
criterion_main!(benches);
