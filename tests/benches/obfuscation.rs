//! Level 3 with each provider: one datagram, and a batch as handed over for segmentation offload.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, PeerId, provider};

/// Length in bytes of a bulk datagram on most paths.
const DATAGRAM: usize = 1452;
/// Length in bytes of a full batch.
const BATCH: usize = 64 << 10;

fn obfuscation(criterion: &mut Criterion) {
    for provider in provider::all() {
        let obfuscator =
            Obfuscator::of_responder(&Circle::public(), &PeerId::from_bytes([1; 32]), *provider);
        let mut group = criterion.benchmark_group(format!("obfuscation/{}", provider.name()));
        for (name, length) in [("1,452 bytes", DATAGRAM), ("64 KiB batch", BATCH)] {
            let mut batch = vec![7; length];
            group.throughput(Throughput::Bytes(length as u64));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    for datagram in batch.chunks_mut(DATAGRAM) {
                        obfuscator.apply(datagram);
                    }
                });
            });
        }
    }
}

criterion_group!(benches, obfuscation);
criterion_main!(benches);
