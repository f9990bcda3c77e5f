//! `tests/vectors/dht_item.json`: the mutable items in which records are stored
//! (docs/spec/lookup.md#in-the-dht). `M2_WRITE_VECTORS=1` regenerates the file.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use data_encoding::HEXLOWER;
use m2_crypto::Secret;
use m2_crypto::presence::{DayKey, PresenceKey, PresenceSecret, RecordKey};
use mainline::{MutableItem, SigningKey};
use serde_json::{Value, json};

const SEQ: i64 = 1_800_000_000;

fn path(name: &str) -> String {
    format!("{}/../../tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn item(key: &DayKey, record: &Value) -> Value {
    let signing = SigningKey::from_bytes(key.dht_key().seed().unwrap().expose());
    let value = bytes(record);
    let salt = key.salt().map(<[u8; 16]>::as_slice);
    let item = MutableItem::new(signing, &value, SEQ, salt);
    let salted = salt.map_or_else(Vec::new, |salt| [b"4:salt16:", salt].concat());
    let signed = [&salted[..], b"3:seqi1800000000e1:v960:", &value].concat();
    json!({
        "seed": HEXLOWER.encode(key.dht_key().seed().unwrap().expose()),
        "k": HEXLOWER.encode(item.key()),
        "salt": salt.map(|salt| HEXLOWER.encode(salt)),
        "target": HEXLOWER.encode(item.target().as_bytes()),
        "seq": item.seq(),
        "v": HEXLOWER.encode(item.value()),
        "signed": HEXLOWER.encode(&signed),
        "sig": HEXLOWER.encode(item.signature()),
    })
}

/// Builds items of the records of `presence.json`.
fn generate() -> Value {
    let presence = read("presence.json");
    let (pair, invited) = (&presence["records"][1], &presence["invitation"]);
    let day = |case: &Value| case["day"].as_u64().unwrap() as u32;
    let secret = PresenceSecret::new(Secret::new(array(&pair["secret"])));
    let of_pair = DayKey::derive(&PresenceKey::of_pair(secret), day(pair));
    let own = RecordKey::Seed(Secret::new(array(&invited["seed"])));
    let key = PresenceKey::of_invitation(&Secret::new(array(&invited["token"])), own);
    let of_invitation = DayKey::derive(&key, day(invited));
    json!({
        "about": "docs/spec/lookup.md, in the DHT; BEP 44",
        "pair": item(&of_pair, &pair["sealed"]),
        "invitation": item(&of_invitation, &invited["sealed"]),
    })
}

#[test]
fn items_are_those_of_bep_44() {
    if std::env::var_os("M2_WRITE_VECTORS").is_some() {
        let text = serde_json::to_string_pretty(&generate()).unwrap() + "\n";
        std::fs::write(path("dht_item.json"), text).unwrap();
    }
    let stored = read("dht_item.json");
    assert_eq!(stored, generate());
    for name in ["pair", "invitation"] {
        let case = &stored[name];
        // What is signed is built here by hand.
        let key = SigningKey::from_bytes(&array(&case["seed"])).verifying_key();
        let signature = (&array::<64>(&case["sig"])).into();
        key.verify_strict(&bytes(&case["signed"]), &signature)
            .unwrap();
        assert_eq!(key.to_bytes(), array(&case["k"]));
    }
}
