//! The gate's check of one datagram: it never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::{Circle, PeerId, provider};
use m2_fuzz::{DAY, NOW_S, rng};
use m2_net::clock::Clock;
use m2_net::connection_id::ConnectionIds;
use m2_net::gate::Gate;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::LazyLock;

/// The source address of every datagram.
const FROM: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4_000));

static GATE: LazyLock<Gate> = LazyLock::new(|| {
    let clock = Clock::new(|| NOW_S * 1000);
    assert_eq!(clock.day(), DAY);
    let ids = ConnectionIds::random(&mut rng(), clock.clone());
    let own_id = PeerId::from_bytes([7; 32]);
    Gate::new(
        *Circle::public().id(),
        own_id,
        provider::default(),
        ids,
        clock,
    )
});

fuzz_target!(|datagram: &[u8]| {
    let _ = GATE.check(datagram, FROM);
});
