//! Envelopes: opening an epoch on both sides, and sealing and opening a message of 1 KiB in an open
//! epoch.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use m2_crypto::envelope::{Ends, EpochHeader, MAX_MESSAGES, ReceiveEpoch, SendEpoch};
use m2_tests::sim::{ALICE, BOB, epoch_secret};
use rand_core::UnwrapErr;
use std::time::{Duration, Instant};

const ID: [u8; 16] = [9; 16];
const MESSAGE: [u8; 1024] = [7; 1024];
const NOW_S: u64 = 1_800_000_000;

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("envelope/1 KiB");
    group.throughput(Throughput::Bytes(MESSAGE.len() as u64));
    // An epoch seals 1,024 messages. Opening another one is not part of the measurement.
    group.bench_function("seal", |bencher| {
        bencher.iter_custom(|count| {
            in_epochs(count, |sender, _, number| {
                let start = Instant::now();
                for _ in 0..number {
                    sender.seal(&ID, &MESSAGE).unwrap();
                }
                start.elapsed()
            })
        });
    });
    group.bench_function("open", |bencher| {
        bencher.iter_custom(|count| {
            in_epochs(count, |sender, receiver, number| {
                let sealed = (0..number).map(|_| sender.seal(&ID, &MESSAGE).unwrap());
                let sealed: Vec<_> = sealed.collect();
                let start = Instant::now();
                for message in &sealed {
                    receiver.open(message).unwrap();
                }
                start.elapsed()
            })
        });
    });
}

/// Measures `count` messages in as many epochs as they need.
fn in_epochs(
    count: u64,
    mut measure: impl FnMut(&mut SendEpoch, &mut ReceiveEpoch, u64) -> Duration,
) -> Duration {
    let most = u64::from(MAX_MESSAGES);
    let parts = (0..count.div_ceil(most)).map(|part| most.min(count - part * most));
    parts
        .map(|number| {
            let mut sender = open();
            let mut receiver = accept(&sender);
            measure(&mut sender, &mut receiver, number)
        })
        .sum()
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
    let share = epoch_secret(1, &ALICE).next_share();
    SendEpoch::open(&mut rng(), &ALICE.identity, receiver, header, &share).unwrap()
}

fn accept(sender: &SendEpoch) -> ReceiveEpoch {
    let ends = Ends {
        receiver: &BOB.identity,
        receiver_id: BOB.id,
        sender: ALICE.identity.certificate(),
        sender_id: ALICE.id,
    };
    let mut secret = epoch_secret(1, &ALICE);
    ReceiveEpoch::accept(&mut rng(), &ends, &mut secret, sender.grant(), NOW_S).unwrap()
}

fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

criterion_group!(benches, messages, epochs);
criterion_main!(benches);
