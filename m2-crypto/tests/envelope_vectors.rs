//! The fixed vectors of level 1, under every provider. `M2_WRITE_VECTORS=1` regenerates them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::reference::{self, Keys};
use common::vectors::{FixedRng, array, bytes, hex, list, load, number, text};
use common::{EPOCH_SECRET, NOW_S, Peer, SESSION};
use m2_crypto::envelope::{
    EpochHeader, EpochSecret, ReceiveEpoch, SealedHeader, SendEpoch, content_hash,
};
use m2_crypto::provider::rustcrypto::RustCrypto;
use m2_crypto::{OpenFailed, PeerId, Provider, Secret, provider};
use serde_json::{Value, json};

fn under_every_provider(check: impl Fn(&dyn Provider)) {
    for provider in provider::all() {
        check(*provider);
    }
}

fn header_json(header: &EpochHeader) -> Value {
    json!({
        "sender": hex(header.sender.as_bytes()),
        "receiver": hex(header.receiver.as_bytes()),
        // Encoded as text: 53 bits do not suffice.
        "incarnation": header.incarnation.to_string(),
        "epoch": header.epoch.to_string(),
        "created": header.created_s,
    })
}

fn header_of(value: &Value) -> EpochHeader {
    EpochHeader {
        sender: PeerId::from_bytes(array(value, "sender")),
        receiver: PeerId::from_bytes(array(value, "receiver")),
        incarnation: number(value, "incarnation"),
        epoch: number(value, "epoch"),
        created_s: number(value, "created"),
    }
}

/// The wrapped content key in a grant.
const WRAPPED: std::ops::Range<usize> = 134..646;

const TEXTS: [&[u8]; 5] = [b"", b"good morning", &[0; 15], &[1; 16], &[2; 1000]];

#[test]
fn envelope_vectors() {
    let stored = load("envelope.json", generate_envelopes);
    under_every_provider(|provider| check_envelopes(&stored, provider));
}

fn generate_envelopes() -> Value {
    let rng = &mut FixedRng::new("envelope");
    let (alice, bob) = (
        Peer::named("alice", &RustCrypto),
        Peer::named("bob", &RustCrypto),
    );
    let header = alice.header(&bob, 5);
    let certificate = bob.identity.certificate();
    let mut session = common::session();
    session.next_share();
    let share = session.next_share();
    let mut send = SendEpoch::open(rng, &alice.identity, certificate, header, &share).unwrap();
    let grant = send.grant().to_vec();
    let (secret, skipped) = reference::epoch_step(&EPOCH_SECRET);
    let (_, share) = reference::epoch_step(&secret);
    let label = reference::wrap_label(&header);
    let content_key = bob.identity.unwrap(rng, &label, &grant[WRAPPED]).unwrap();
    let root = reference::chain_root(&[&content_key, &share], &grant);
    let mut chain = root;
    let messages: Vec<Value> = (0..TEXTS.len())
        .map(|index| message_case(&mut send, &mut chain, index))
        .collect();
    json!({
        "about": "docs/spec/envelope.md; the identities are identities/*.pem in the public circle",
        "sender": "alice",
        "receiver": "bob",
        "now": NOW_S,
        "header": header_json(&header),
        "sessionName": hex(SESSION),
        "epochSecret": hex(EPOCH_SECRET),
        "shares": [hex(skipped), hex(share)],
        "contentKey": hex(&content_key[..]),
        "grant": hex(&grant),
        "chainRoot": hex(root),
        "messages": messages,
    })
}

fn message_case(send: &mut SendEpoch, chain: &mut [u8; 32], index: usize) -> Value {
    let (plaintext, id) = (TEXTS[index], [index as u8 + 1; 16]);
    let (next, seed) = reference::chain_step(chain);
    let keys = Keys::of_message(&seed);
    let case = json!({
        "index": index,
        "messageId": hex(id),
        "plaintext": hex(plaintext),
        "chainKey": hex(*chain),
        "seed": hex(seed),
        "encKey": hex(keys.enc),
        "iv": hex(keys.iv),
        "macKey": hex(keys.mac),
        "sealed": hex(send.seal(&id, plaintext).unwrap()),
        "contentHash": hex(content_hash(&id, plaintext)),
    });
    *chain = next;
    case
}

fn check_envelopes(stored: &Value, provider: &dyn Provider) {
    let alice = Peer::named(text(stored, "sender"), provider);
    let bob = Peer::named(text(stored, "receiver"), provider);
    let header = header_of(&stored["header"]);
    let grant = bytes(stored, "grant");
    let label = reference::wrap_label(&header);
    let rng = &mut common::rng();
    let key = bob.identity.unwrap(rng, &label, &grant[WRAPPED]).unwrap();
    assert_eq!(key.to_vec(), bytes(stored, "contentKey"));
    let (name, secret) = (array(stored, "sessionName"), array(stored, "epochSecret"));
    assert_eq!(grant[90..98], name);
    let (next, first) = reference::epoch_step(&secret);
    let (_, share) = reference::epoch_step(&next);
    assert_eq!(stored["shares"], json!([hex(first), hex(share)]));
    let mut chain = reference::chain_root(&[&key, &share], &grant);
    assert_eq!(chain, array::<32>(stored, "chainRoot"));

    let mut session = EpochSecret::new(name, Secret::new(secret));
    let mut receive = bob.accept_in(&mut session, &alice, &grant).unwrap();
    assert_eq!((receive.header(), receive.session()), (&header, &name));
    for case in list(stored, "messages") {
        check_message(case, &header, &mut chain, &mut receive);
    }
}

/// Checks that the epoch, the second implementation and the vector agree.
fn check_message(
    case: &Value,
    header: &EpochHeader,
    chain: &mut [u8; 32],
    receive: &mut ReceiveEpoch,
) {
    let (sealed, plaintext) = (bytes(case, "sealed"), bytes(case, "plaintext"));
    let (id, index) = (array(case, "messageId"), number(case, "index") as u32);
    assert_eq!(*chain, array(case, "chainKey"));
    let (next, seed) = reference::chain_step(chain);
    assert_eq!(seed, array(case, "seed"));
    let keys = Keys::of_message(&seed);
    assert_eq!(keys.enc, array(case, "encKey"));
    assert_eq!(keys.iv, array(case, "iv"));
    assert_eq!(keys.mac, array(case, "macKey"));
    assert_eq!(
        reference::seal(&keys, header, index, &id, &plaintext),
        sealed
    );
    assert_eq!(content_hash(&id, &plaintext), array(case, "contentHash"));
    *chain = next;

    let parsed = SealedHeader::parse(&sealed).unwrap();
    assert_eq!((parsed.index, parsed.message_id), (index, id));
    let opened = receive.open(&sealed).unwrap();
    assert_eq!(opened.plaintext.to_vec(), plaintext);
    assert_eq!(receive.open(&sealed), Err(OpenFailed));
}
