//! Packet protection of 1,350 bytes with each provider, and header protection.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use m2_crypto::packet::DirectionKeys;
use m2_crypto::{Secret, provider};

/// Length in bytes of a packet's payload.
const PAYLOAD: usize = 1350;
/// A short header: first byte, connection id, packet number.
const HEADER: [u8; 19] = [0x41; 19];

fn packets(criterion: &mut Criterion) {
    for provider in provider::all() {
        let keys = DirectionKeys::derive(&Secret::new([7; 32]), *provider);
        let mut payload = vec![7; PAYLOAD];
        let mut sealed = payload.clone();
        let tag = keys.packet.seal(1, &HEADER, &mut sealed);
        sealed.extend_from_slice(&tag);
        let mut group = criterion.benchmark_group(format!("packet/{}", provider.name()));
        group.throughput(Throughput::Bytes(PAYLOAD as u64));
        group.bench_function("seal", |bencher| {
            bencher.iter(|| keys.packet.seal(1, &HEADER, &mut payload));
        });
        group.bench_function("open", |bencher| {
            bencher.iter_batched_ref(
                || sealed.clone(),
                |sealed| keys.packet.open(1, &HEADER, sealed).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
}

fn header(criterion: &mut Criterion) {
    let keys = DirectionKeys::derive(&Secret::new([7; 32]), provider::default());
    let mut packet = vec![0x41; PAYLOAD];
    criterion.bench_function("packet/header protection", |bencher| {
        bencher.iter(|| keys.header.protect(HEADER.len() - 2, &mut packet));
    });
}

criterion_group!(benches, packets, header);
criterion_main!(benches);
