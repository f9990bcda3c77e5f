//! The fixed vectors of the secrets that derive from an identity. `M2_WRITE_VECTORS=1` regenerates
//! them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::vectors::{array, hex, list, load_exact, number, text};
use common::{Peer, pem};
use m2_crypto::invitation::InviteId;
use m2_crypto::line::{Caller, LineKey};
use m2_crypto::{PeerId, Secret, label, provider};
use rsa::RsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::traits::PrivateKeyParts as _;
use serde_json::{Value, json};

const RELAY: [u8; 32] = [0x61; 32];
const DAY: u32 = 20_833;

#[test]
fn the_secrets_of_an_identity() {
    let stored = load_exact("secrets.json", generate);
    let [p, q] = list(&stored, "primes").as_slice() else {
        panic!("two primes");
    };
    // As texts of one length they are in the order of the numbers.
    assert!(p.as_str() < q.as_str());
    for provider in provider::all() {
        let alice = Peer::named("alice", *provider);
        let identity = &alice.identity;
        assert_eq!(identity.store_key().expose(), &array(&stored, "storeKey"));
        let mailbox = array(&stored, "mailboxStoreKey");
        assert_eq!(identity.mailbox_key().expose(), &mailbox);
        assert_eq!(identity.backup_key().expose(), &array(&stored, "backupKey"));
        let given = LineKey::new(Secret::new(array(&stored, "lineKey")));
        for case in list(&stored, "lines") {
            let relay = PeerId::from_bytes(array(case, "relay"));
            let day = u32::try_from(number(case, "day")).unwrap();
            let caller = match text(case, "for") {
                "contact" => Caller::Contact(PeerId::from_bytes(array(case, "whose"))),
                _ => Caller::Invited(InviteId::from_bytes(array(case, "whose"))),
            };
            let secret = identity.line_key().secret(&relay, day, &caller);
            assert!(secret == given.secret(&relay, day, &caller));
            assert_eq!(secret.expose(), &array(case, "lineSecret"));
            assert_eq!(secret.join_token().0, array(case, "joinToken"));
        }
    }
}

/// Derives the values from labels alone, as the specification says.
fn generate() -> Value {
    let key = RsaPrivateKey::from_pkcs8_pem(&pem("alice")).unwrap();
    let mut primes: Vec<_> = key
        .primes()
        .iter()
        .map(|prime| prime.to_be_bytes())
        .collect();
    primes.sort();
    let alice = Peer::alice();
    let spki = alice.identity.certificate().spki_der();
    let derive = |purpose| *label::derive::<32>(&primes.concat(), spki, purpose, &[]).expose();
    let line_key = derive("line key");
    let line = |kind: u8, name: &str, whose: &[u8]| {
        let fields = [&RELAY[..], &DAY.to_be_bytes(), &[kind], whose];
        let secret = label::mac(&line_key, "line secret", &fields);
        json!({
            "relay": hex(RELAY),
            "day": DAY,
            "for": name,
            "whose": hex(whose),
            "lineSecret": hex(secret),
            "joinToken": hex(&label::hash("join", &[&secret])[..16]),
        })
    };
    json!({
        "about": "docs/spec/identity.md, the key file; docs/spec/line.md, tokens",
        "identity": "identities/alice.pem",
        "spki": hex(spki),
        "primes": primes.iter().map(hex).collect::<Vec<_>>(),
        "storeKey": hex(derive("store key")),
        "mailboxStoreKey": hex(derive("mailbox store key")),
        "lineKey": hex(line_key),
        "backupKey": hex(derive("backup key")),
        "lines": [line(0, "contact", &[0x62; 32]), line(1, "invitation", &[0x63; 16])],
    })
}
