//! The cost of the gate's decision for each class of datagram. A sender that does not know the
//! circle's packet key cannot construct the last three.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use criterion::{Criterion, criterion_group, criterion_main};
use m2_crypto::initial::{InitialKeys, MAX_CID_LEN, QUIC_VERSION, stamp_day};
use m2_crypto::packet::TAG_LEN;
use m2_crypto::{Circle, PeerId, provider};
use m2_net::clock::Clock;
use m2_net::connection_id::ConnectionIds;
use m2_net::counters::Counter;
use m2_net::gate::Gate;
use rand_core::UnwrapErr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const OWN: PeerId = PeerId::from_bytes([1; 32]);
const STRANGER: PeerId = PeerId::from_bytes([2; 32]);
const TODAY: u32 = 20_000;
/// Length in bytes of every datagram except the short one.
const LENGTH: usize = 1200;

const SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4433);

type Class = (&'static str, Vec<u8>, Result<(), Counter>);

fn decisions(criterion: &mut Criterion) {
    let clock = Clock::new(|| u64::from(TODAY) * 86_400_000);
    let ids = ConnectionIds::random(&mut UnwrapErr(getrandom::SysRng), clock.clone());
    let circle = *Circle::public().id();
    let gate = Gate::new(circle, OWN, provider::default(), ids.clone(), clock);
    let mut group = criterion.benchmark_group("gate");
    for (name, datagram, verdict) in classes(&ids) {
        assert_eq!(gate.check(&datagram, SOURCE), verdict, "{name}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| gate.check(&datagram, SOURCE))
        });
    }
}

fn classes(ids: &ConnectionIds) -> Vec<Class> {
    let mut no_fixed_bit = short(&ids.issue());
    no_fixed_bit[0] = 0;
    let cut = short(&ids.issue())[..30].to_vec();
    vec![
        ("too short", cut, Err(Counter::DatagramTooShort)),
        (
            "no fixed bit",
            no_fixed_bit,
            Err(Counter::DatagramMalformed),
        ),
        (
            "other version",
            other_version(),
            Err(Counter::DatagramVersion),
        ),
        (
            "foreign id",
            short(&[9; 16]),
            Err(Counter::DatagramForeignId),
        ),
        ("of a session", short(&ids.issue()), Ok(())),
        (
            "first packet from two days ago",
            first(&OWN, TODAY - 2),
            Err(Counter::DatagramNotForUs),
        ),
        (
            "first packet for another peer",
            first(&STRANGER, TODAY),
            Err(Counter::DatagramNotForUs),
        ),
        ("first packet for us", first(&OWN, TODAY), Ok(())),
    ]
}

/// Builds a packet of a session, addressed to the connection id `id`.
fn short(id: &[u8; 16]) -> Vec<u8> {
    let mut packet = [&[0x41][..], id].concat();
    packet.resize(LENGTH, 7);
    packet
}

fn other_version() -> Vec<u8> {
    let mut packet = first(&OWN, TODAY);
    packet[1..5].copy_from_slice(&1_u32.to_be_bytes());
    packet
}

/// Builds the first packet of a dial, as QUIC does.
fn first(called: &PeerId, day: u32) -> Vec<u8> {
    let mut id = [0x41; MAX_CID_LEN];
    stamp_day(&mut id, day);
    let circle = Circle::public();
    let keys = InitialKeys::derive(circle.id(), &id, called, day, provider::default()).client;
    let mut packet = vec![0xc1];
    packet.extend_from_slice(&QUIC_VERSION.to_be_bytes());
    packet.push(MAX_CID_LEN as u8);
    packet.extend_from_slice(&id);
    // An empty source connection id, and no token.
    packet.extend_from_slice(&[0, 0]);
    let mut payload = vec![0; LENGTH - packet.len() - 4 - TAG_LEN];
    let length = 2 + payload.len() + TAG_LEN;
    packet.extend_from_slice(&(0x4000 | length as u16).to_be_bytes());
    let number_at = packet.len();
    packet.extend_from_slice(&[0, 5]);
    let tag = keys.packet.seal(5, &packet, &mut payload);
    packet.extend_from_slice(&payload);
    packet.extend_from_slice(&tag);
    keys.header.protect(number_at, &mut packet);
    packet
}

criterion_group!(benches, decisions);
criterion_main!(benches);
