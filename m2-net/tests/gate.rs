//! The gate, datagram by datagram (docs/spec/obfuscation.md#the-gate).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_crypto::initial::{InitialKeys, QUIC_VERSION, stamp_day};
use m2_crypto::{Circle, PeerId, Secret, provider};
use m2_net::clock::Clock;
use m2_net::connection_id::ConnectionIds;
use m2_net::counters::Counter;
use m2_net::gate::Gate;
use rand_core::UnwrapErr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const TODAY: u32 = 20_700;
const OWN: PeerId = PeerId::from_bytes([0x22; 32]);

const SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4433);

struct Door {
    gate: Gate,
    ids: ConnectionIds,
}

fn door() -> Door {
    let clock = Clock::new(|| u64::from(TODAY) * 86_400_000 + 1);
    let ids = ConnectionIds::random(&mut UnwrapErr(getrandom::SysRng), clock.clone());
    let gate = Gate::new(
        *Circle::public().id(),
        OWN,
        provider::default(),
        ids.clone(),
        clock,
    );
    Door { gate, ids }
}

fn long(first: u8, version: u32, dcid: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    packet.extend_from_slice(&version.to_be_bytes());
    packet.push(dcid.len() as u8);
    packet.extend_from_slice(dcid);
    packet.extend_from_slice(&[4, 1, 2, 3, 4]);
    packet
}

fn first_packet(circle: &Circle, responder: &PeerId, day: u32, dcid: &[u8]) -> Vec<u8> {
    let keys = InitialKeys::derive(circle.id(), dcid, responder, day, provider::default());
    let mut packet = long(0xc0, QUIC_VERSION, dcid);
    packet.push(0);
    let mut payload = vec![0; 1200 - packet.len() - 3 - 16];
    let length = (1 + payload.len() + 16) as u16;
    packet.extend_from_slice(&(0x4000 | length).to_be_bytes());
    let number_at = packet.len();
    packet.push(0);
    let tag = keys.client.packet.seal(0, &packet, &mut payload);
    packet.extend_from_slice(&payload);
    packet.extend_from_slice(&tag);
    keys.client.header.protect(number_at, &mut packet);
    packet
}

fn dcid(day: u32) -> [u8; 20] {
    let mut id = [0x77; 20];
    stamp_day(&mut id, day);
    id
}

#[test]
fn a_first_packet_passes_on_three_days() {
    let door = door();
    for day in [TODAY - 1, TODAY, TODAY + 1] {
        let call = first_packet(&Circle::public(), &OWN, day, &dcid(day));
        assert_eq!(door.gate.check(&call, SOURCE), Ok(()));
    }
    let call = first_packet(&Circle::public(), &OWN, TODAY - 3, &dcid(TODAY - 3));
    assert_eq!(
        door.gate.check(&call, SOURCE),
        Err(Counter::DatagramNotForUs)
    );
    let call = first_packet(&Circle::public(), &OWN, TODAY + 2, &dcid(TODAY + 2));
    assert_eq!(
        door.gate.check(&call, SOURCE),
        Err(Counter::DatagramNotForUs)
    );
}

#[test]
fn a_first_packet_to_another_peer_or_circle_does_not_pass() {
    let door = door();
    let other = PeerId::from_bytes([0x23; 32]);
    let call = first_packet(&Circle::public(), &other, TODAY, &dcid(TODAY));
    assert_eq!(
        door.gate.check(&call, SOURCE),
        Err(Counter::DatagramNotForUs)
    );
    let private = Circle::private("public", &Secret::new([0; 32]));
    let call = first_packet(&private, &OWN, TODAY, &dcid(TODAY));
    assert_eq!(
        door.gate.check(&call, SOURCE),
        Err(Counter::DatagramNotForUs)
    );
}

#[test]
fn a_first_packet_with_another_destination_length_does_not_pass() {
    let door = door();
    for length in 1..20 {
        let mut id = vec![0x77; length];
        stamp_day(&mut id, TODAY);
        let call = first_packet(&Circle::public(), &OWN, TODAY, &id);
        assert_eq!(
            door.gate.check(&call, SOURCE),
            Err(Counter::DatagramForeignId)
        );
    }
}

#[test]
fn truncated_or_altered_first_packets_do_not_pass() {
    let door = door();
    let call = first_packet(&Circle::public(), &OWN, TODAY, &dcid(TODAY));
    for length in 0..call.len() {
        assert!(
            door.gate.check(&call[..length], SOURCE).is_err(),
            "length {length}"
        );
    }
    for bit in (0..8 * 60).chain(8 * 1180..8 * 1200) {
        let mut flipped = call.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(door.gate.check(&flipped, SOURCE).is_err(), "bit {bit}");
    }
}

#[test]
fn other_versions_do_not_pass_even_to_local_ids() {
    let door = door();
    let own = door.ids.issue();
    for version in [0, 1, QUIC_VERSION ^ 1, 0x0a1a_2a3a] {
        let mut packet = long(0xc0, version, &own);
        packet.resize(1200, 0);
        assert_eq!(
            door.gate.check(&packet, SOURCE),
            Err(Counter::DatagramVersion)
        );
    }
}

#[test]
fn long_headers_pass_to_local_ids_only() {
    let door = door();
    // 0-RTT, Handshake, Retry.
    for first in [0xd0, 0xe0, 0xf0] {
        let mut ours = long(first, QUIC_VERSION, &door.ids.issue());
        ours.resize(200, 0);
        assert_eq!(door.gate.check(&ours, SOURCE), Ok(()));
        let mut foreign = long(first, QUIC_VERSION, &[9; 16]);
        foreign.resize(1200, 0);
        let result = door.gate.check(&foreign, SOURCE);
        assert_eq!(result, Err(Counter::DatagramForeignId));
    }
}

#[test]
fn initials_to_local_ids_pass_during_their_handshake() {
    let door = door();
    let own = door.ids.issue();
    let mut unopened = long(0xc0, QUIC_VERSION, &own);
    unopened.resize(1200, 0);
    let opened = first_packet(&Circle::public(), &OWN, TODAY, &own);
    for packet in [&unopened, &opened] {
        let result = door.gate.check(packet, SOURCE);
        assert_eq!(result, Err(Counter::DatagramForeignId));
    }
    let mut sent = vec![0xc0];
    sent.extend_from_slice(&QUIC_VERSION.to_be_bytes());
    sent.extend_from_slice(&[4, 1, 2, 3, 4, 16]);
    sent.extend_from_slice(&own);
    // A Retry names an id that has no handshake yet.
    let mut retry = sent.clone();
    retry[0] = 0xf0;
    door.gate.note_sent(&retry);
    let result = door.gate.check(&unopened, SOURCE);
    assert_eq!(result, Err(Counter::DatagramForeignId));
    door.gate.note_sent(&sent);
    assert_eq!(door.gate.check(&unopened, SOURCE), Ok(()));
}

#[test]
fn short_headers_pass_to_local_ids_only() {
    let door = door();
    let mut packet = vec![0x41];
    packet.extend_from_slice(&door.ids.issue());
    packet.resize(60, 0);
    assert_eq!(door.gate.check(&packet, SOURCE), Ok(()));
    assert_eq!(
        door.gate.check(&packet[..36], SOURCE),
        Err(Counter::DatagramTooShort)
    );
    packet[0] = 0x01;
    assert_eq!(
        door.gate.check(&packet, SOURCE),
        Err(Counter::DatagramMalformed)
    );
    packet[0] = 0x41;
    packet[9] ^= 0x10;
    assert_eq!(
        door.gate.check(&packet, SOURCE),
        Err(Counter::DatagramForeignId)
    );
    assert_eq!(door.gate.check(&[], SOURCE), Err(Counter::DatagramTooShort));
}

#[test]
fn a_closing_gate_rejects_first_packets_but_keeps_sessions() {
    let door = door();
    door.gate.close_to_callers();
    let call = first_packet(&Circle::public(), &OWN, TODAY, &dcid(TODAY));
    assert_eq!(
        door.gate.check(&call, SOURCE),
        Err(Counter::DatagramClosing)
    );
    let after_retry = first_packet(&Circle::public(), &OWN, TODAY, &door.ids.issue());
    assert_eq!(
        door.gate.check(&after_retry, SOURCE),
        Err(Counter::DatagramClosing)
    );
    let mut packet = vec![0x41];
    packet.extend_from_slice(&door.ids.issue());
    packet.resize(60, 0);
    assert_eq!(door.gate.check(&packet, SOURCE), Ok(()));
}
