//! Grants, epochs and sealed messages (docs/spec/envelope.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::reference::{self, GrantFields, Keys, chain_root, chain_step};
use common::{EPOCH_SECRET, NOW_S, Peer, SESSION, rng, session};
use m2_crypto::envelope::{
    EpochHeader, EpochSecret, GRANT_BYTES, Grant, GrantRefused, MAX_GRANT_AGE_S, MAX_GRANT_AHEAD_S,
    MAX_MESSAGES, MAX_PLAINTEXT, ReceiveEpoch, SealError, SealedHeader, SendEpoch, content_hash,
};
use m2_crypto::{OpenFailed, PeerId, Secret};
use proptest::prelude::*;

/// Returns both ends of an epoch from alice to bob.
fn pair() -> (SendEpoch, ReceiveEpoch) {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let send = alice.send_epoch(&bob, 1);
    let receive = bob.accept(&alice, send.grant()).unwrap();
    (send, receive)
}

fn message_id(n: usize) -> [u8; 16] {
    (n as u128).to_be_bytes()
}

fn seal_many(send: &mut SendEpoch, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|n| send.seal(&message_id(n), &n.to_be_bytes()).unwrap())
        .collect()
}

/// Asserts that a message is rejected and leaves the state unchanged.
fn assert_refused(receive: &mut ReceiveEpoch, sealed: &[u8]) {
    let before = (receive.next_index(), receive.skipped());
    assert_eq!(receive.open(sealed), Err(OpenFailed));
    assert_eq!((receive.next_index(), receive.skipped()), before);
}

proptest! {
    // Each case costs two RSA-4096 private operations.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sealed_messages_open(
        texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..700), 1..8),
        id in any::<[u8; 16]>(),
    ) {
        let (mut send, mut receive) = pair();
        for (index, text) in texts.iter().enumerate() {
            let sealed = send.seal(&id, text).unwrap();
            let header = SealedHeader::parse(&sealed).unwrap();
            prop_assert_eq!(header.index as usize, index);
            let opened = receive.open(&sealed).unwrap();
            prop_assert_eq!(opened.message_id, id);
            prop_assert_eq!(opened.index as usize, index);
            prop_assert_eq!(opened.plaintext.as_slice(), text.as_slice());
        }
        prop_assert_eq!(receive.skipped(), 0);
    }

    #[test]
    fn a_flipped_bit_is_rejected(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let (mut send, mut receive) = pair();
        let sealed = send.seal(&[9; 16], b"the quick brown fox").unwrap();
        let mut altered = sealed.clone();
        altered[at.index(sealed.len())] ^= 1 << bit;
        assert_refused(&mut receive, &altered);
        prop_assert!(receive.open(&sealed).is_ok());
    }

    #[test]
    fn another_length_is_rejected(keep in 0_usize..101, more in 1_usize..40) {
        let (mut send, mut receive) = pair();
        let sealed = send.seal(&[9; 16], &[7; 20]).unwrap();
        prop_assert_eq!(sealed.len(), 101);
        assert_refused(&mut receive, &sealed[..keep]);
        assert_refused(&mut receive, &[&sealed[..], &vec![0; more]].concat());
        prop_assert!(receive.open(&sealed).is_ok());
    }

    #[test]
    fn messages_open_once_in_any_order(
        order in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (mut send, mut receive) = pair();
        let messages = seal_many(&mut send, 60);
        for at in &order {
            let opened = receive.open(&messages[*at]).unwrap();
            prop_assert_eq!(opened.index as usize, *at);
            prop_assert_eq!(opened.plaintext.as_slice(), &at.to_be_bytes());
            assert_refused(&mut receive, &messages[*at]);
        }
        prop_assert_eq!(receive.skipped(), 0);
        for message in &messages {
            assert_refused(&mut receive, message);
        }
    }

    #[test]
    fn junk_is_rejected(junk in proptest::collection::vec(any::<u8>(), 0..400)) {
        let (_, mut receive) = pair();
        assert_refused(&mut receive, &junk);
        prop_assert_eq!(Grant::parse(&junk).unwrap_err(), GrantRefused::Malformed);
    }
}

#[test]
fn messages_open_after_all_later_ones() {
    let (mut send, mut receive) = pair();
    let messages = seal_many(&mut send, MAX_MESSAGES as usize);
    let (last, overtaken) = messages.split_last().unwrap();
    assert!(receive.open(last).is_ok());
    assert_eq!(receive.skipped(), overtaken.len());
    assert_eq!(receive.steps_to(MAX_MESSAGES), None);
    for message in overtaken.iter().rev() {
        assert!(receive.open(message).is_ok());
    }
    assert_eq!(receive.skipped(), 0);
}

#[test]
fn steps_for_a_forged_message_are_taken_once() {
    let (mut send, mut receive) = pair();
    let messages = seal_many(&mut send, 600);
    let mut forged = messages[599].clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(receive.steps_to(599), Some(600));
    assert_refused(&mut receive, &forged);
    assert_eq!(receive.steps_to(599), Some(0));
    assert_refused(&mut receive, &forged);

    // The cached seeds serve the genuine messages, in any order, and none remains.
    receive.open(&messages[5]).unwrap();
    assert_eq!(receive.steps_to(5), None);
    assert_eq!(receive.steps_to(6), Some(0));
    assert_eq!(receive.skipped(), 5);
    receive.forget_ahead();
    assert_eq!(receive.steps_to(6), Some(1));
    for (at, message) in messages.iter().enumerate().filter(|(at, _)| *at != 5) {
        assert!(receive.open(message).is_ok(), "message {at}");
    }
    assert_eq!((receive.skipped(), receive.next_index()), (0, 600));
}

#[test]
fn an_epoch_is_spent_after_its_last_message() {
    let (mut send, _) = pair();
    seal_many(&mut send, MAX_MESSAGES as usize);
    assert_eq!(send.next_index(), MAX_MESSAGES);
    assert_eq!(send.seal(&[1; 16], b"more"), Err(SealError::EpochSpent));
}

#[test]
fn the_longest_message_opens_and_a_longer_one_is_not_sealed() {
    let (mut send, mut receive) = pair();
    let long = vec![5; MAX_PLAINTEXT + 1];
    assert_eq!(send.seal(&[1; 16], &long), Err(SealError::TooLong));
    assert_eq!(send.next_index(), 0);
    let sealed = send.seal(&[1; 16], &long[1..]).unwrap();
    assert_eq!(
        receive.open(&sealed).unwrap().plaintext.len(),
        MAX_PLAINTEXT
    );
    assert_refused(&mut receive, &vec![1; MAX_PLAINTEXT * 2]);
}

#[test]
fn messages_of_another_epoch_or_direction_are_rejected() {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let (_, mut receive) = pair();
    let mut second = alice.send_epoch(&bob, 2);
    let sealed = second.seal(&[1; 16], b"of epoch two").unwrap();
    assert_refused(&mut receive, &sealed);
    let mut renamed = sealed.clone();
    renamed[9..17].copy_from_slice(&1_u64.to_be_bytes());
    assert_refused(&mut receive, &renamed);
    let mut back = bob.send_epoch(&alice, 1);
    assert_refused(&mut receive, &back.seal(&[1; 16], b"reflected").unwrap());
}

#[test]
fn every_part_of_the_associated_data_is_authenticated() {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let header = alice.header(&bob, 1);
    let other = PeerId::from_bytes([9; 32]);
    let (key, grant, mut receive) = known_epoch(&alice, &bob);
    let keys = Keys::of_message(&first_seed(&key, &grant));
    let altered = [
        EpochHeader {
            sender: other,
            ..header
        },
        EpochHeader {
            receiver: other,
            ..header
        },
        EpochHeader {
            incarnation: header.incarnation ^ 1,
            ..header
        },
        EpochHeader { epoch: 2, ..header },
    ];
    for altered in altered {
        let mut sealed = reference::seal(&keys, &altered, 0, &[1; 16], b"text");
        // The message names the receiver's epoch, so that only the tag can detect the change.
        sealed[1..9].copy_from_slice(&header.incarnation.to_be_bytes());
        sealed[9..17].copy_from_slice(&header.epoch.to_be_bytes());
        assert_refused(&mut receive, &sealed);
    }
    let sealed = reference::seal(&keys, &header, 0, &[1; 16], b"text");
    assert!(receive.open(&sealed).is_ok());
}

/// Returns a content key, the grant that wraps it, and the receiver's end of its epoch.
fn known_epoch(alice: &Peer, bob: &Peer) -> ([u8; 16], Vec<u8>, ReceiveEpoch) {
    let (key, header) = ([1; 16], alice.header(bob, 1));
    let fields = GrantFields::new(&mut rng(), header, bob.identity.certificate(), &key);
    let grant = fields.sign(&mut rng(), &alice.identity);
    let receive = bob.accept(alice, &grant).unwrap();
    (key, grant, receive)
}

/// Returns the seed of the first message of the session's first epoch.
fn first_seed(key: &[u8], grant: &[u8]) -> [u8; 32] {
    let (_, share) = reference::epoch_step(&EPOCH_SECRET);
    chain_step(&chain_root(&[key, &share], grant)).1
}

#[test]
fn a_grant_opens_in_its_own_session_once() {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let mut sending = session();
    let certificate = bob.identity.certificate();
    let mut open = |epoch| {
        let (header, share) = (alice.header(&bob, epoch), sending.next_share());
        SendEpoch::open(&mut rng(), &alice.identity, certificate, header, &share).unwrap()
    };
    let (first, mut second) = (open(1), open(2));
    let mut receiving = session();
    // The first grant is lost with all its messages.
    let mut receive = bob
        .accept_in(&mut receiving, &alice, second.grant())
        .unwrap();
    let sealed = second.seal(&[1; 16], b"text").unwrap();
    assert!(receive.open(&sealed).is_ok());
    for grant in [first.grant(), second.grant()] {
        let late = bob.accept_in(&mut receiving, &alice, grant);
        assert_eq!(late.unwrap_err(), GrantRefused::OtherSession);
    }
    // Another session has another name, or the same name and another secret.
    let mut other = EpochSecret::new([1; 8], Secret::new(EPOCH_SECRET));
    let refused = bob.accept_in(&mut other, &alice, first.grant());
    assert_eq!(refused.unwrap_err(), GrantRefused::OtherSession);
    let mut other = EpochSecret::new(SESSION, Secret::new([0; 32]));
    let mut receive = bob.accept_in(&mut other, &alice, second.grant()).unwrap();
    assert_refused(&mut receive, &sealed);
}

/// The thief has bob's private key, and so each content key. It knows everything of the session but the
/// erased shares: the states of the epoch secret after the epoch, and the secret of another session.
#[test]
fn a_thief_of_the_certificate_key_opens_no_epoch_of_the_past() {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let (key, grant, _) = known_epoch(&alice, &bob);
    let opens_with = |secrets: &[&[u8]]| {
        let (_, seed) = chain_step(&chain_root(secrets, &grant));
        let keys = Keys::of_message(&seed);
        let header = alice.header(&bob, 1);
        let sealed = reference::seal(&keys, &header, 0, &[1; 16], b"text");
        let mut receive = bob.accept(&alice, &grant).unwrap();
        receive.open(&sealed).is_ok()
    };
    let (next, share) = reference::epoch_step(&EPOCH_SECRET);
    assert!(opens_with(&[&key, &share]), "the control");
    let (_, share_after) = reference::epoch_step(&next);
    let (_, share_of_another) = reference::epoch_step(&[9; 32]);
    for known in [next, share_after, share_of_another] {
        assert!(!opens_with(&[&key, &known]));
    }
    assert!(!opens_with(&[&key]));
}

#[test]
fn the_grant_is_dropped_once_it_is_confirmed() {
    let (mut send, mut receive) = pair();
    assert_eq!(send.grant().len(), GRANT_BYTES);
    send.confirm();
    assert_eq!(send.grant(), b"");
    let sealed = send.seal(&[1; 16], b"text").unwrap();
    assert!(receive.open(&sealed).is_ok());
}

#[test]
fn a_grant_names_its_epoch() {
    let (send, receive) = pair();
    let grant = Grant::parse(send.grant()).unwrap();
    assert_eq!(grant.header(), send.header());
    assert_eq!(receive.header(), send.header());
    assert_eq!(
        (send.epoch(), send.incarnation(), send.created_s()),
        (1, common::INCARNATION, NOW_S)
    );
}

#[test]
fn a_rejected_grant_reports_the_reason() {
    let (alice, bob, carol) = (Peer::alice(), Peer::bob(), Peer::carol());
    let send = alice.send_epoch(&bob, 1);
    let grant = send.grant();
    let refused = |peer: &Peer, from: &Peer, grant: &[u8]| peer.accept(from, grant).unwrap_err();
    assert_eq!(refused(&carol, &alice, grant), GrantRefused::NotForUs);
    assert_eq!(refused(&bob, &carol, grant), GrantRefused::WrongSender);
    assert_eq!(refused(&bob, &alice, &grant[1..]), GrantRefused::Malformed);

    let mut impostor = Peer::carol();
    impostor.id = alice.id;
    assert_eq!(refused(&bob, &impostor, grant), GrantRefused::Signature);
    let mut changed = Peer::carol();
    changed.id = bob.id;
    assert_eq!(
        refused(&changed, &alice, grant),
        GrantRefused::WrongReceiverKey
    );
}

#[test]
fn grants_are_rejected_by_age() {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let send = alice.send_epoch(&bob, 1);
    let accept_at = |now_s| {
        let (mut rng, ends) = (rng(), bob.ends(&alice));
        ReceiveEpoch::accept(&mut rng, &ends, &mut session(), send.grant(), now_s).map(|_| ())
    };
    assert_eq!(accept_at(NOW_S + MAX_GRANT_AGE_S), Ok(()));
    assert_eq!(
        accept_at(NOW_S + MAX_GRANT_AGE_S + 1),
        Err(GrantRefused::TooOld)
    );
    assert_eq!(accept_at(NOW_S - MAX_GRANT_AHEAD_S), Ok(()));
    assert_eq!(
        accept_at(NOW_S - MAX_GRANT_AHEAD_S - 1),
        Err(GrantRefused::FromTheFuture)
    );
    assert_eq!(accept_at(u64::MAX), Err(GrantRefused::TooOld));
}

#[test]
fn a_flipped_bit_in_a_grant_is_rejected() {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let send = alice.send_epoch(&bob, 1);
    for at in 0..GRANT_BYTES {
        let mut grant = send.grant().to_vec();
        grant[at] ^= 1 << (at % 8);
        assert!(bob.accept(&alice, &grant).is_err(), "byte {at}");
    }
}

#[test]
fn a_wrapped_key_is_useless_in_another_senders_grant() {
    let (alice, bob, carol) = (Peer::alice(), Peer::bob(), Peer::carol());
    let send = alice.send_epoch(&bob, 1);
    let mut fields = GrantFields::new(
        &mut rng(),
        carol.header(&bob, 1),
        bob.identity.certificate(),
        &[1; 16],
    );
    // Carol signs alice's wrapped key as her own, but the OAEP label names alice.
    fields.wrapped = send.grant()[134..646].to_vec();
    let grant = fields.sign(&mut rng(), &carol.identity);
    assert_eq!(
        bob.accept(&carol, &grant).unwrap_err(),
        GrantRefused::Decrypt
    );
}

#[test]
fn malformed_grants_with_valid_signatures_are_rejected() {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let certificate = bob.identity.certificate();
    let make = |key: &[u8]| GrantFields::new(&mut rng(), alice.header(&bob, 1), certificate, key);
    let verdict = |fields: GrantFields| {
        let grant = fields.sign(&mut rng(), &alice.identity);
        bob.accept(&alice, &grant).map(|_| ())
    };
    assert_eq!(verdict(make(&[1; 16])), Ok(()));
    // Another second byte, another version.
    for (version, kind) in [(2, 0), (2, 2), (2, 255), (1, 1), (3, 1)] {
        let mut other = make(&[1; 16]);
        (other.version, other.kind) = (version, kind);
        assert_eq!(verdict(other), Err(GrantRefused::Malformed));
    }
    // Content keys of other lengths.
    assert_eq!(verdict(make(&[1; 15])), Err(GrantRefused::Decrypt));
    assert_eq!(verdict(make(&[1; 32])), Err(GrantRefused::Decrypt));
    // The label names another epoch.
    let mut moved = make(&[1; 16]);
    moved.header.epoch = 2;
    assert_eq!(verdict(moved), Err(GrantRefused::Decrypt));
}

#[test]
fn indices_beyond_an_epoch_are_rejected() {
    let keys = Keys::of_message(&[0; 32]);
    let (send, _) = pair();
    let sealed = |index| reference::seal(&keys, send.header(), index, &[0; 16], b"");
    assert!(SealedHeader::parse(&sealed(MAX_MESSAGES - 1)).is_ok());
    assert!(SealedHeader::parse(&sealed(MAX_MESSAGES)).is_err());
    assert!(SealedHeader::parse(&sealed(u32::MAX)).is_err());
}

#[test]
fn wrong_padding_under_a_valid_tag_is_rejected() {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let header = alice.header(&bob, 1);
    let (key, grant, mut receive) = known_epoch(&alice, &bob);
    let keys = Keys::of_message(&first_seed(&key, &grant));
    for ending in [0, 17, 0xff] {
        let mut block = [7; 16];
        block[15] = ending;
        let sealed = reference::seal_blocks(&keys, &header, 0, &[0; 16], &block);
        assert_refused(&mut receive, &sealed);
    }
    let sealed = reference::seal(&keys, &header, 0, &[0; 16], b"text");
    assert!(receive.open(&sealed).is_ok());
}

#[test]
fn content_hashes_cover_id_and_content() {
    let hash = content_hash(&[1; 16], b"text");
    assert_eq!(hash, content_hash(&[1; 16], b"text"));
    assert_ne!(hash, content_hash(&[2; 16], b"text"));
    assert_ne!(hash, content_hash(&[1; 16], b"test"));
}

#[test]
fn debug_shows_nothing() {
    let (mut send, mut receive) = pair();
    let opened = receive
        .open(&send.seal(&[1; 16], b"text").unwrap())
        .unwrap();
    let grant = Grant::parse(send.grant()).unwrap();
    assert_eq!(
        format!("{send:?} {receive:?} {opened:?} {grant:?}"),
        "SendEpoch(..) ReceiveEpoch(..) Opened(..) Grant(..)"
    );
}
