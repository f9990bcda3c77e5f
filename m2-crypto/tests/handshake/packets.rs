//! `tests/vectors/packet.json` and `tests/vectors/initial.json` under every provider.

use crate::common::*;
use m2_crypto::initial::{
    InitialKeys, InitialSecrets, QUIC_VERSION, day_from_dcid, opens_initial, retry_tag, stamp_day,
    verify_retry_tag,
};
use m2_crypto::packet::DirectionKeys;
use m2_crypto::provider::{Provider, all, rustcrypto::RustCrypto};
use m2_crypto::{PeerId, Secret, label};
use serde_json::{Value, json};

/// Type, packet number, its bytes in the header, and the largest number that was received before.
type PacketCase = (Kind, u64, usize, Option<u64>);

#[derive(Clone, Copy)]
enum Kind {
    /// A short header with a destination id of 8 bytes.
    Short,
    Handshake,
}

const PACKETS: [PacketCase; 11] = [
    (Kind::Short, 0, 4, None),
    (Kind::Short, 1, 4, Some(0)),
    (Kind::Short, 0x1234_5678, 4, Some(0x1234_5600)),
    (Kind::Short, (1 << 62) - 1, 4, Some((1 << 62) - 2)),
    (Kind::Short, 0x1_0005, 1, Some(0xffff)),
    (Kind::Short, 0xa82f_9b32, 2, Some(0xa82f_30ea)),
    (Kind::Short, 0xac5c02, 3, Some(0xabe8b3)),
    (Kind::Handshake, 0, 1, None),
    (Kind::Handshake, 0x1fe, 2, Some(0x181)),
    (Kind::Handshake, 0xf_ffff, 3, Some(0xf_fff0)),
    (Kind::Handshake, 0xabcd_ef01, 4, Some(0xabcd_ef00)),
];

#[test]
fn packets() {
    let file = check_file(
        "packet.json",
        || json!({ "cases": PACKETS.map(packet_case) }),
    );
    for case in file["cases"].as_array().unwrap() {
        let secret = Secret::<32>::from_slice(&unhex(&case["secret"])).unwrap();
        for (field, purpose) in [
            ("key", "packet protection key"),
            ("headerKey", "header protection key"),
        ] {
            let key: Secret<16> = label::derive(secret.expose(), &[], purpose, &[]);
            assert_eq!(hex(key.expose()), case[field]);
        }
        for provider in all() {
            let number = case["number"].as_str().unwrap().parse().unwrap();
            let (header, payload) = (unhex(&case["header"]), unhex(&case["payload"]));
            let number_at = case["numberAt"].as_u64().unwrap() as usize;
            assert_eq!(expanded(case, &header[number_at..]), number);
            let sealed = seal(&secret, number, &header, &payload, number_at, *provider);
            assert_eq!(hex(&sealed), case["packet"]);

            let keys = DirectionKeys::derive(&secret, *provider);
            let mut packet = sealed;
            keys.header.unprotect(number_at, &mut packet);
            let (head, body) = packet.split_at_mut(header.len());
            assert_eq!(head, header);
            let length = keys.packet.open(number, head, body).unwrap();
            assert_eq!(&body[..length], payload);
        }
    }
}

/// Restores a packet number from its last bytes (RFC 9000, appendix A.3).
fn expanded(case: &Value, bytes: &[u8]) -> u64 {
    let largest = case["largestBefore"].as_str();
    let expected = largest.map_or(0, |number| number.parse::<u64>().unwrap() + 1);
    let truncated = bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte));
    let window = 1 << (8 * bytes.len());
    let candidate = (expected & !(window - 1)) | truncated;
    if candidate + window / 2 <= expected {
        candidate + window
    } else if candidate > expected + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

fn packet_case((kind, number, length, largest): PacketCase) -> Value {
    let secret = Secret::new([0x5e; 32]);
    let payload = b"what the packet carries";
    let mut header = match kind {
        Kind::Short => [&[0x40][..], &[0xc1; 8]].concat(),
        Kind::Handshake => {
            let ids = [&[16][..], &[0xd1; 16], &[16], &[0x51; 16]].concat();
            let version = QUIC_VERSION.to_be_bytes();
            let rest = 0x4000 | (length + payload.len() + 16) as u16;
            [&[0xe0][..], &version, &ids, &rest.to_be_bytes()].concat()
        }
    };
    header[0] |= length as u8 - 1;
    let number_at = header.len();
    header.extend_from_slice(&number.to_be_bytes()[8 - length..]);
    let key: Secret<16> = label::derive(secret.expose(), &[], "packet protection key", &[]);
    let iv: Secret<12> = label::derive(secret.expose(), &[], "packet protection iv", &[]);
    let header_key: Secret<16> = label::derive(secret.expose(), &[], "header protection key", &[]);
    json!({
        "secret": hex(secret.expose()),
        "key": hex(key.expose()),
        "iv": hex(iv.expose()),
        "headerKey": hex(header_key.expose()),
        "number": number.to_string(),
        "largestBefore": largest.map(|number| number.to_string()),
        "header": hex(&header),
        "numberAt": number_at,
        "payload": hex(payload),
        "packet": hex(&seal(&secret, number, &header, payload, number_at, &RustCrypto)),
    })
}

fn seal(
    secret: &Secret<32>,
    number: u64,
    header: &[u8],
    payload: &[u8],
    number_at: usize,
    provider: &dyn Provider,
) -> Vec<u8> {
    let keys = DirectionKeys::derive(secret, provider);
    let mut sealed = payload.to_vec();
    let tag = keys.packet.seal(number, header, &mut sealed);
    let mut packet = [header, &sealed, &tag].concat();
    keys.header.protect(number_at, &mut packet);
    packet
}

#[test]
fn initials() {
    let file = check_file(
        "initial.json",
        || json!({ "version": QUIC_VERSION, "cases": [initial_case(20_000), initial_case(20_003)] }),
    );
    assert_eq!(file["version"], QUIC_VERSION);
    for case in file["cases"].as_array().unwrap() {
        let circle = home();
        assert_eq!(hex(circle.id().as_bytes()), case["circleId"]);
        let responder = PeerId::try_from(unhex(&case["responderPeerId"]).as_slice()).unwrap();
        let dcid = unhex(&case["dcid"]);
        let day = case["day"].as_u64().unwrap() as u32;
        assert_eq!(day_from_dcid(&dcid, day + 1), Some(day));
        let secrets = InitialSecrets::derive(circle.id(), &dcid, &responder, day);
        assert_eq!(hex(secrets.client.expose()), case["clientSecret"]);
        assert_eq!(hex(secrets.server.expose()), case["serverSecret"]);
        for provider in all() {
            let keys = InitialKeys::derive(circle.id(), &dcid, &responder, day, *provider);
            let datagram = unhex(&case["datagram"]);
            assert!(opens_initial(&keys, &datagram));
            let (header, payload) = (unhex(&case["header"]), unhex(&case["payload"]));
            let number_at = case["numberAt"].as_u64().unwrap() as usize;
            let sealed = seal(&secrets.client, 0, &header, &payload, number_at, *provider);
            assert_eq!(sealed, datagram);
        }
        let retry = unhex(&case["retryPacket"]);
        let tag = unhex(&case["retryTag"]);
        assert!(verify_retry_tag(
            circle.id(),
            &responder,
            &dcid,
            &retry,
            &tag
        ));
    }
}

fn initial_case(day: u32) -> Value {
    let circle = home();
    let responder = PeerId::from_bytes([0x44; 32]);
    let mut dcid = [0xd0; 20];
    stamp_day(&mut dcid, day);
    let secrets = InitialSecrets::derive(circle.id(), &dcid, &responder, day);
    let version = QUIC_VERSION.to_be_bytes();
    // Long header: Initial, 2-byte packet number; empty source id and token.
    let mut header = [&[0xc1][..], &version, &[20], &dcid, &[0, 0]].concat();
    let payload = [&[0x06, 0x00, 0x05][..], b"Hello", &[0; 1144]].concat();
    let length = 0x4000 | (2 + payload.len() + 16) as u16;
    header.extend_from_slice(&length.to_be_bytes());
    let number_at = header.len();
    header.extend_from_slice(&[0, 0]);
    let datagram = seal(
        &secrets.client,
        0,
        &header,
        &payload,
        number_at,
        &RustCrypto,
    );
    let retry = [&[0xf0][..], &version, &[0, 8], &[0x5c; 8], b"a retry token"].concat();
    json!({
        "circleId": hex(circle.id().as_bytes()),
        "responderPeerId": hex(responder.as_bytes()),
        "dcid": hex(&dcid),
        "day": day,
        "clientSecret": hex(secrets.client.expose()),
        "serverSecret": hex(secrets.server.expose()),
        "header": hex(&header),
        "numberAt": number_at,
        "payload": hex(&payload),
        "datagram": hex(&datagram),
        "retryPacket": hex(&retry),
        "retryTag": hex(&retry_tag(circle.id(), &responder, &dcid, &retry)),
    })
}
