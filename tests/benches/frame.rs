//! The frame codec with an envelope of 1 KiB.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use m2_net::frame::{FrameDecoder, encode};
use m2_net::wire::{Envelope, Hello, Message};

const SEALED: usize = 1024;

fn frames(criterion: &mut Criterion) {
    let message = Message::Envelope(Envelope {
        grant: Bytes::new(),
        sealed: vec![7; SEALED].into(),
    });
    let frame = encode(message.clone()).unwrap();
    let mut decoder = greeted();
    let mut group = criterion.benchmark_group("frame/1 KiB");
    group.throughput(Throughput::Bytes(SEALED as u64));
    group.bench_function("encode", |bencher| {
        bencher.iter(|| encode(message.clone()).unwrap());
    });
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            decoder.push(&frame);
            decoder.next_message().unwrap().unwrap()
        });
    });
}

/// Returns a decoder that has already read the Hello.
fn greeted() -> FrameDecoder {
    let hello = Hello {
        unix_ms: 1,
        version: "bench".into(),
        purpose: m2_net::wire::Purpose::Peer,
    };
    let mut decoder = FrameDecoder::default();
    decoder.push(&encode(Message::Hello(hello)).unwrap());
    decoder.next_message().unwrap().unwrap();
    decoder
}

criterion_group!(benches, frames);
criterion_main!(benches);
