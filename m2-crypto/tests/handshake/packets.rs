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

const NUMBERS: [u64; 4] = [0, 1, 0x1234_5678, (1 << 62) - 1];

#[test]
fn packets() {
    let file = check_file("packet.json", || {
        let case = |number: &u64| packet_case(*number);
        json!({ "cases": NUMBERS.iter().map(case).collect::<Vec<_>>() })
    });
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

/// A short header with an 8-byte connection id and a 4-byte packet number.
fn packet_case(number: u64) -> Value {
    let secret = Secret::new([0x5e; 32]);
    let header = [&[0x43][..], &[0xc1; 8], &(number as u32).to_be_bytes()].concat();
    let payload = b"what the packet carries";
    let key: Secret<16> = label::derive(secret.expose(), &[], "packet protection key", &[]);
    let iv: Secret<12> = label::derive(secret.expose(), &[], "packet protection iv", &[]);
    let header_key: Secret<16> = label::derive(secret.expose(), &[], "header protection key", &[]);
    json!({
        "secret": hex(secret.expose()),
        "key": hex(key.expose()),
        "iv": hex(iv.expose()),
        "headerKey": hex(header_key.expose()),
        "number": number.to_string(),
        "header": hex(&header),
        "numberAt": 9,
        "payload": hex(payload),
        "packet": hex(&seal(&secret, number, &header, payload, 9, &RustCrypto)),
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
            assert!(opens_initial(&keys, &unhex(&case["datagram"])));
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
        "datagram": hex(&datagram),
        "retryPacket": hex(&retry),
        "retryTag": hex(&retry_tag(circle.id(), &responder, &dcid, &retry)),
    })
}
