use super::*;
use crate::Message;
use m2_crypto::deposit::Period;
use m2_crypto::one_time_key::OneTimeSeed;
use m2_crypto::provider::default as provider;
use prost::Message as _;

fn nonce(byte: u8) -> DepositNonce {
    DepositNonce::from_bytes([byte; 16])
}

fn token(byte: u8) -> DepositToken {
    let key = BoxKey::new(Secret::new([byte; 32]));
    key.token(&PeerId::from_bytes([byte; 32]), nonce(byte), Period::new(9))
}

fn with_key(byte: u8) -> TokenWithKey {
    let seed = OneTimeSeed::new(Secret::new([byte; 96]));
    TokenWithKey {
        token: token(byte),
        key: seed.key(provider()).unwrap().public().clone(),
    }
}

fn round_trip(mailbox: Mailbox) {
    let message = Message::Mailbox(Box::new(mailbox));
    let frame = message.clone().into_proto().encode_to_vec();
    assert_eq!(Message::decode(frame.into()), Ok(message));
}

fn refused(body: Body) -> Malformed {
    Mailbox::parse(proto::Mailbox { body: Some(body) }).unwrap_err()
}

#[test]
fn frames_of_owners_survive_the_wire() {
    let key = BoxKey::new(Secret::new([7; 32]));
    for request in [
        Request::Register {
            invite_id: [1; 16],
            proof: [2; 32],
            key: key.clone(),
        },
        Request::Open(key),
        Request::Remove,
        Request::Taken(vec![nonce(3); MAX_TAKEN]),
    ] {
        round_trip(Mailbox::Request(request));
    }
    round_trip(Mailbox::State(BoxState {
        open: true,
        max_letters: 1,
        max_bytes: u64::MAX,
        reason: "BOXES_FULL".to_owned(),
    }));
    for size in LETTER_SIZES {
        round_trip(Mailbox::Letter(Letter {
            nonce: nonce(1),
            sealed: vec![2; size].into(),
        }));
    }
}

#[test]
fn frames_of_depositors_survive_the_wire() {
    round_trip(Mailbox::Deposit(Deposit {
        owner: PeerId::from_bytes([1; 32]),
        token: token(2),
        sealed: vec![2; 4_096].into(),
    }));
    for outcome in [
        Outcome::Stored,
        Outcome::Refused,
        Outcome::BoxFull,
        Outcome::ServerFull,
    ] {
        let nonce = nonce(4);
        round_trip(Mailbox::Deposited { nonce, outcome });
    }
}

#[test]
fn frames_of_contacts_survive_the_wire() {
    let series = Series([4; 8]);
    round_trip(Mailbox::Offer(Vec::new()));
    round_trip(Mailbox::Offer(vec![OfferedBox {
        provider: PeerId::from_bytes([3; 32]),
        addresses: vec!["127.0.0.1:9".parse().unwrap(), "[::1]:9".parse().unwrap()],
        series,
    }]));
    let tokens = (0..MAX_TOKENS).map(|byte| with_key(byte as u8)).collect();
    round_trip(Mailbox::Tokens { series, tokens });
    round_trip(Mailbox::TokenReport {
        taken: vec![nonce(1); MAX_REPORTED],
        refused: vec![nonce(2)],
    });
    round_trip(Mailbox::SeriesHeld(vec![series; MAX_BOXES]));
    for seals_with in [None, Some([6; 8])] {
        let stored = [5; 8];
        round_trip(Mailbox::LetterSecrets { stored, seals_with });
    }
}

#[test]
fn letters_have_one_of_five_sizes() {
    for size in [0, 1, 2_048, 4_095, 4_097, 128 << 10] {
        let odd = proto::Letter {
            nonce: copy(&[0; 16]),
            sealed: vec![0; size].into(),
        };
        assert_eq!(refused(Body::Letter(odd)), Malformed::Bounds);
        let odd = proto::Deposit {
            r#box: copy(&[0; 32]),
            token: copy(&[0; 34]),
            sealed: vec![0; size].into(),
        };
        assert_eq!(refused(Body::Deposit(odd)), Malformed::Bounds);
    }
}

#[test]
fn lists_are_bounded() {
    let none = proto::LettersTaken::default();
    assert_eq!(refused(Body::LettersTaken(none)), Malformed::Bounds);
    let nonces = vec![copy(&[0; 16]); MAX_TAKEN + 1];
    let many = proto::LettersTaken { nonces };
    assert_eq!(refused(Body::LettersTaken(many)), Malformed::Bounds);
    let report = proto::TokenReport {
        refused: vec![copy(&[0; 16]); MAX_REPORTED + 1],
        ..Default::default()
    };
    assert_eq!(refused(Body::TokenReport(report)), Malformed::Bounds);
    let series = vec![copy(&[0; 8]); MAX_BOXES + 1];
    let held = proto::SeriesHeld { series };
    assert_eq!(refused(Body::SeriesHeld(held)), Malformed::Bounds);
    let one = with_key(1).to_proto();
    for count in [0, MAX_TOKENS + 1] {
        let tokens = proto::MailboxTokens {
            series: copy(&[0; 8]),
            tokens: vec![one.clone(); count],
        };
        assert_eq!(refused(Body::Tokens(tokens)), Malformed::Bounds);
    }
    let offered = proto::OfferedBox {
        provider: copy(&[0; 32]),
        addresses: vec!["not an address".to_owned()],
        series: copy(&[0; 8]),
    };
    for boxes in [vec![offered.clone()], vec![offered; MAX_BOXES + 1]] {
        let offer = proto::MailboxOffer { boxes };
        assert_eq!(refused(Body::Offer(offer)), Malformed::Bounds);
    }
}

#[test]
fn a_key_that_is_no_key_is_refused() {
    for (token, key) in [(33, 1_216), (34, 1_215), (34, 1_216)] {
        let given = proto::TokenWithKey {
            token: vec![0; token].into(),
            // Coefficients above 3,329, and a point of low order.
            key: vec![0xFF; key].into(),
        };
        let tokens = proto::MailboxTokens {
            series: copy(&[0; 8]),
            tokens: vec![given],
        };
        let error = Mailbox::parse(proto::Mailbox {
            body: Some(Body::Tokens(tokens)),
        });
        assert!(error.is_err());
    }
}
