//! Attacks on the handshake, which must all fail.

use crate::common::*;
use m2_crypto::handshake::{
    AwaitReply, Call, Credential, HandshakeError, Initiator, Message, MessageReader, Peer,
    PeerMisbehaved, Responder,
};
use m2_crypto::provider::{all, default};
use m2_crypto::{Circle, Secret};

/// Where a Hello with one offer holds the share.
const SHARE: std::ops::Range<usize> = 40..1_480;
const AUTHENTICATED: &str = "one side must detect the change";

fn honest() -> Run {
    Run::new(default())
}

fn misbehaved(result: Result<Done, HandshakeError>) -> PeerMisbehaved {
    match result {
        Err(HandshakeError::Peer(reason)) => reason,
        Err(other) => panic!("unexpected error: {other:?}"),
        Ok(_) => panic!("the handshake succeeded"),
    }
}

#[test]
fn both_ends_agree_and_authenticate_each_other() {
    for provider in all() {
        let run = Run::new(*provider);
        let done = run.go(|_, message| message).unwrap();
        assert!(done.agrees());
        assert_eq!(done.at_i.peer.id(), Some(&run.called));
        let alice = identity("alice", *provider).peer_id(home().id());
        assert_eq!(done.at_r.peer.id(), Some(&alice));
        assert_eq!(done.at_i.peer_transport, R_TRANSPORT);
        assert_eq!(done.at_r.peer_transport, I_TRANSPORT);
        assert_eq!(done.at_i.exporter.expose(), done.at_r.exporter.expose());
        let secrets = &done.at_i.secrets;
        assert_ne!(secrets.initiator, secrets.responder);
        assert!(!same(secrets, &done.handshake[0]));
        assert!(!same(secrets, &secrets.next()));
    }
}

#[test]
fn an_anonymous_initiator_stays_anonymous() {
    let mut run = honest();
    run.caller = Credential::Anonymous;
    let done = run.go(|_, message| message).unwrap();
    assert!(done.agrees());
    assert_eq!(done.at_r.peer, Peer::Anonymous);
    assert_eq!(done.messages[4].bytes(), [5, 0, 1, 0]);
}

#[test]
fn a_responder_with_another_identity_is_rejected() {
    let mut run = honest();
    run.answers = identity("carol", run.provider);
    // R believes that Carol was dialled, so the labels already differ.
    assert_eq!(misbehaved(run.go(|_, m| m)), PeerMisbehaved::Decrypt);

    // A responder that poses as Bob presents a certificate that does not hash to Bob's id.
    let run = honest();
    let carol = identity("carol", run.provider);
    let key = session_key(run.r_key, run.provider);
    let r = Responder::impersonating(run.called, *home().id(), carol, key, R_TRANSPORT).unwrap();
    let (hello, i) = run.start();
    let (reply, r) = r.hello(&hello, &mut run.rng("hello reply")).unwrap();
    let (key_return, _, i) = i.hello_reply(&reply, &mut run.rng("key return")).unwrap();
    let (_, proof, _) = r.key_return(&key_return, &mut run.rng("proof")).unwrap();
    let result = i.proof(&proof, &mut run.rng("proof"));
    assert_eq!(result.unwrap_err(), HandshakeError::WrongPeer);
}

#[test]
fn a_responder_in_another_circle_is_rejected() {
    let mut run = honest();
    let mut secret = [0x17; 32];
    secret[0] ^= 1;
    run.r_circle = Circle::private("home", &Secret::new(secret));
    assert_eq!(misbehaved(run.go(|_, m| m)), PeerMisbehaved::Decrypt);
}

/// Any flipped bit of any message must make the handshake fail on one side.
#[test]
fn every_altered_bit_is_detected() {
    let lengths = honest()
        .go(|_, message| message)
        .unwrap()
        .messages
        .map(|message| message.bytes().len());
    for number in 1..=5 {
        let length = lengths[number - 1];
        let step = length.div_ceil(24);
        let borders = [3, 4, 34, 35, 36, 37, 38, 39, 40];
        let sampled = (3..length).step_by(step).chain(borders).chain([length - 1]);
        for at in sampled.filter(|at| *at < length) {
            let bit = 1 << (at % 8);
            let result = honest().go(|now, message| {
                let mut bytes = message.bytes().to_vec();
                if now == number {
                    bytes[at] ^= bit;
                }
                self::message(&bytes)
            });
            // Message 4 authenticates R's whole view to the initiator; message 5 the initiator's to
            // R.
            assert!(
                result.is_err(),
                "{AUTHENTICATED}: message {number} byte {at}"
            );
        }
    }
}

#[test]
fn truncated_messages_are_malformed() {
    for number in 1..=5_usize {
        for cut in [1, 2, 17, 200] {
            let result = honest().go(|now, message| {
                let body = message.bytes().len() - 3;
                if now != number || cut > body {
                    return message;
                }
                let mut bytes = message.bytes()[..3 + body - cut].to_vec();
                bytes[1..3].copy_from_slice(&((body - cut) as u16).to_be_bytes());
                self::message(&bytes)
            });
            assert_eq!(misbehaved(result), PeerMisbehaved::Malformed);
        }
    }
}

#[test]
fn extended_messages_are_malformed() {
    for number in 1..=5_usize {
        let result = honest().go(|now, message| {
            let mut bytes = message.bytes().to_vec();
            if now == number {
                bytes.push(0);
                let body = (bytes.len() - 3) as u16;
                bytes[1..3].copy_from_slice(&body.to_be_bytes());
            }
            self::message(&bytes)
        });
        assert_eq!(misbehaved(result), PeerMisbehaved::Malformed);
    }
}

#[test]
fn messages_of_another_run_are_rejected() {
    let mut other = honest();
    other.seed = "another run";
    other.i_key = 2;
    other.r_key = 3;
    let recorded = other.go(|_, message| message).unwrap().messages;
    let expected = [
        (1, PeerMisbehaved::Decrypt),
        (2, PeerMisbehaved::Decrypt),
        (3, PeerMisbehaved::Decrypt),
        (4, PeerMisbehaved::Signature),
        (5, PeerMisbehaved::Signature),
    ];
    for (number, reason) in expected {
        let result = honest().go(|now, message| match now == number {
            true => recorded[number - 1].clone(),
            false => message,
        });
        assert_eq!(misbehaved(result), reason, "message {number}");
    }
}

/// Even with the same session keys, different random bytes keep messages of one run out of another.
#[test]
fn messages_of_another_run_with_the_same_keys_are_rejected() {
    let mut other = honest();
    other.seed = "another run";
    let recorded = other.go(|_, message| message).unwrap().messages;
    for number in 1..=5_usize {
        let result = honest().go(|now, message| match now == number {
            true => recorded[number - 1].clone(),
            false => message,
        });
        assert!(result.is_err(), "message {number}");
    }
}

#[test]
fn messages_out_of_order_are_rejected() {
    let recorded = honest().go(|_, message| message).unwrap().messages;
    for number in 1..=5_usize {
        for (index, wrong) in recorded.iter().enumerate() {
            if index + 1 == number {
                continue;
            }
            let result = honest().go(|now, message| match now == number {
                true => wrong.clone(),
                false => message,
            });
            assert_eq!(misbehaved(result), PeerMisbehaved::UnexpectedMessage);
        }
    }
}

#[test]
fn data_after_an_unanswered_message_is_rejected() {
    let recorded = honest().go(|_, message| message).unwrap().messages;
    for pair in recorded.windows(2) {
        let both = [pair[0].bytes(), &pair[1].bytes()[..1]].concat();
        let result = MessageReader::new().push(&both);
        assert_eq!(result, Err(PeerMisbehaved::TrailingData));
    }
}

fn with_offers(hello: &Message, offers: &[(u16, &[u8])]) -> Message {
    let bytes = hello.bytes();
    let transport = &bytes[bytes.len() - I_TRANSPORT.len() - 2..];
    let mut body = bytes[3..35].to_vec();
    body.push(offers.len() as u8);
    for (number, share) in offers {
        body.extend_from_slice(&number.to_be_bytes());
        body.extend_from_slice(&(share.len() as u16).to_be_bytes());
        body.extend_from_slice(share);
    }
    body.extend_from_slice(transport);
    let length = (body.len() as u16).to_be_bytes();
    message(&[&[1][..], &length, &body].concat())
}

fn answer(hello: &Message) -> Result<Message, HandshakeError> {
    let run = honest();
    let key = session_key(run.r_key, run.provider);
    let r = Responder::new(*run.r_circle.id(), run.answers.clone(), key, R_TRANSPORT)?;
    r.hello(hello, &mut run.rng("hello reply"))
        .map(|(reply, _)| reply)
}

#[test]
fn unknown_suites_are_skipped() {
    let (hello, _) = honest().start();
    let share = &hello.bytes()[SHARE];
    let modulus = &share[..256];
    for offers in [
        vec![(2, share)],
        vec![(1, modulus), (0xfafa, &[][..]), (2, share)],
        vec![(2, share), (3, &[7; 1440][..])],
    ] {
        let reply = answer(&with_offers(&hello, &offers)).unwrap();
        assert_eq!(reply.bytes()[3..5], [0, 2]);
    }
}

#[test]
fn no_common_suite_is_reported() {
    let (hello, _) = honest().start();
    let modulus = &hello.bytes()[40..296];
    let result = answer(&with_offers(&hello, &[(1, modulus), (3, &[])]));
    assert_eq!(result.unwrap_err(), HandshakeError::NoCommonSuite);
}

#[test]
fn invalid_offer_lists_are_malformed() {
    let (hello, _) = honest().start();
    let share = &hello.bytes()[SHARE];
    let many = vec![(3, &[][..]); 17];
    for offers in [
        vec![],
        vec![(2, share), (2, share)],
        many,
        vec![(2, &share[1..])],
        vec![(2, &share[..256])],
    ] {
        let result = answer(&with_offers(&hello, &offers));
        assert_eq!(result.unwrap_err(), PeerMisbehaved::Malformed.into());
    }
}

/// Removing or adding an offer is detected by the first decryption.
#[test]
fn a_suite_downgrade_is_detected() {
    let result = honest().go(|number, message| match number {
        1 => {
            let share = message.bytes()[SHARE].to_vec();
            with_offers(&message, &[(2, &share), (3, &[9; 40])])
        }
        _ => message,
    });
    assert_eq!(misbehaved(result), PeerMisbehaved::Decrypt);
    let result = honest().go(|number, message| match number {
        2 => {
            let mut bytes = message.bytes().to_vec();
            bytes[4] = 1;
            self::message(&bytes)
        }
        _ => message,
    });
    assert_eq!(misbehaved(result), PeerMisbehaved::SuiteNotOffered);
}

#[test]
fn an_initiator_rejects_its_own_key() {
    let halves = [37..293, 293..1_477];
    for half in halves {
        let result = honest().go(|number, reply| match number {
            2 => {
                let (hello, _) = honest().start();
                let mut bytes = reply.bytes().to_vec();
                let own = &hello.bytes()[half.start + 3..half.end + 3];
                bytes[half.clone()].copy_from_slice(own);
                message(&bytes)
            }
            _ => reply,
        });
        assert_eq!(misbehaved(result), PeerMisbehaved::OwnKeyReflected);
    }
}

#[test]
fn a_reflected_proof_is_rejected() {
    let mut r_proof = Vec::new();
    let result = honest().go(|number, message| match number {
        4 => {
            r_proof = message.bytes().to_vec();
            message
        }
        5 => {
            let mut bytes = r_proof.clone();
            bytes[0] = 5;
            self::message(&bytes)
        }
        _ => message,
    });
    assert_eq!(misbehaved(result), PeerMisbehaved::OwnKeyReflected);
}

#[test]
fn an_anonymous_responder_is_rejected() {
    let result = honest().go(|number, message| match number {
        4 => self::message(&[4, 0, 1, 0]),
        _ => message,
    });
    assert_eq!(misbehaved(result), PeerMisbehaved::AnonymousResponder);
}

#[test]
fn weak_session_keys_are_rejected() {
    let (hello, _) = honest().start();
    let share = |spoil: fn(&mut [u8])| {
        let mut share = hello.bytes()[SHARE].to_vec();
        spoil(&mut share);
        share
    };
    let even = share(|share| share[255] &= 0xfe);
    let short = share(|share| share[0] &= 0x7f);
    let empty = share(|share| share[..256].fill(0));
    // The first coefficient of the ML-KEM key: 12 bits, little-endian.
    let not_reduced = share(|share| (share[256], share[257]) = (0x01, share[257] & 0xf0 | 0x0d));
    let largest = share(|share| (share[256], share[257]) = (0x00, share[257] & 0xf0 | 0x0d));
    for share in [even, short, empty, not_reduced] {
        let result = answer(&with_offers(&hello, &[(2, &share)]));
        assert_eq!(result.unwrap_err(), PeerMisbehaved::BadKey.into());
    }
    assert!(answer(&with_offers(&hello, &[(2, &largest)])).is_ok());
}

/// An altered ciphertext of ML-KEM is found by the message that follows, under both providers.
#[test]
fn altered_kem_ciphertexts_are_detected() {
    for provider in all() {
        let altered = |message: &Message, at: usize| {
            let mut bytes = message.bytes().to_vec();
            bytes[at] ^= 1;
            self::message(&bytes)
        };
        let run = || {
            Run::new(*provider).go(|number, message| match number {
                2 => altered(&message, 37 + 1_440 + 256 + 5),
                _ => message,
            })
        };
        assert_eq!(
            misbehaved(run()),
            PeerMisbehaved::Decrypt,
            "by the label of message 3"
        );
        let run = || {
            Run::new(*provider).go(|number, message| match number {
                3 => altered(&message, 3 + 256 + 5),
                _ => message,
            })
        };
        assert_eq!(
            misbehaved(run()),
            PeerMisbehaved::Signature,
            "by the proof of R"
        );
    }
}

/// The RSA half of an unanswered dial may be used again, the ML-KEM half is always fresh.
#[test]
fn the_kem_half_is_fresh_in_every_dial() {
    let (first, i) = honest().start();
    let run = honest();
    let call = Call {
        circle: *run.i_circle.id(),
        responder: run.called,
        credential: run.caller.clone(),
    };
    let mut rng = Seeded::new("second dial");
    let (second, _) = Initiator::start(call, i.into_unused_key(), I_TRANSPORT, &mut rng).unwrap();
    assert_eq!(first.bytes()[40..296], second.bytes()[40..296]);
    assert_ne!(first.bytes()[296..1_480], second.bytes()[296..1_480]);
}

/// Random bodies of every type, in every state that can be reached without a peer.
#[test]
fn noise_is_rejected_without_panic() {
    use rand_core::Rng;
    let mut rng = Seeded::new("noise");
    for length in (0..1_800_usize).step_by(43) {
        let mut body = vec![0; length];
        rng.fill_bytes(&mut body);
        for kind in 1..=5_u8 {
            let length = (body.len() as u16).to_be_bytes();
            let message = message(&[&[kind][..], &length, &body].concat());
            assert!(answer(&message).is_err());
        }
    }
    let (_, i): (_, Initiator<AwaitReply>) = honest().start();
    let noise = message(&[&[2, 0x0b, 0x42][..], &[9; 2_882]].concat());
    assert!(i.hello_reply(&noise, &mut rng).is_err());
}
