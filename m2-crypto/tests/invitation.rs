//! Invitations and verification codes (docs/spec/identity.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::{Peer, rng};
use m2_crypto::address::NamedAddress;
use m2_crypto::invitation::{
    Invitation, InvitationError, MAX_LINE_BYTES, MAX_URI_BYTES, Offer, proof, verify_proof,
};
use m2_crypto::verification::VerificationCode;
use m2_crypto::{Circle, PeerId, Secret};
use proptest::prelude::*;
use std::net::SocketAddr;

fn offer() -> Offer {
    Offer {
        reusable: true,
        expires_s: common::NOW_S,
        addresses: vec!["192.0.2.7:4242".parse().unwrap()],
        lines: vec![],
    }
}

fn create(offer: Offer) -> Result<Invitation, InvitationError> {
    let peer = PeerId::from_bytes([7; 32]);
    Invitation::create(&mut rng(), peer, Circle::public().id(), offer)
}

fn arb_offer() -> impl Strategy<Value = Offer> {
    let address = (any::<std::net::IpAddr>(), 1..=u16::MAX)
        .prop_map(|named| NamedAddress::new(SocketAddr::from(named)));
    let line = proptest::collection::vec(any::<u8>(), 1..=MAX_LINE_BYTES);
    (
        any::<bool>(),
        any::<u64>(),
        proptest::collection::vec(address, 0..=8),
        proptest::collection::vec(line, 0..=6),
    )
        .prop_map(|(reusable, expires_s, addresses, lines)| Offer {
            reusable,
            expires_s,
            addresses,
            lines,
        })
}

proptest! {
    #[test]
    fn invitations_round_trip_through_text(offer in arb_offer()) {
        let invitation = create(offer.clone()).unwrap();
        let uri = invitation.to_uri();
        prop_assert!(uri.len() <= MAX_URI_BYTES);
        let read: Invitation = uri.parse().unwrap();
        prop_assert!(read == invitation);
        prop_assert_eq!(read.addresses(), offer.addresses);
        prop_assert_eq!(read.lines(), offer.lines);
        prop_assert!(uri.to_uppercase().parse::<Invitation>().unwrap() == invitation);
    }

    #[test]
    fn a_changed_character_is_detected(at in 5_usize..160, to in "[a-z2-7]") {
        let mut uri = create(offer()).unwrap().to_uri().to_string();
        let at = at.min(uri.len() - 1);
        prop_assume!(uri[at..=at] != to);
        uri.replace_range(at..=at, &to);
        prop_assert_eq!(uri.parse::<Invitation>().unwrap_err(), InvitationError::Malformed);
    }

    #[test]
    fn a_truncated_invitation_is_rejected(keep in 0_usize..160) {
        let uri = create(offer()).unwrap().to_uri();
        prop_assume!(keep < uri.len());
        prop_assert_eq!(uri[..keep].parse::<Invitation>().unwrap_err(), InvitationError::Malformed);
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,300}", tail in "[a-zA-Z2-7]{0,300}") {
        prop_assert!(text.parse::<Invitation>().is_err());
        let text = ["m2://", &tail].concat();
        prop_assert!(text.parse::<Invitation>().is_err());
    }
}

#[test]
fn a_typical_invitation_fits_a_small_qr_code() {
    // Version 8 (49 × 49) at error correction level M holds 221 characters in capitals.
    assert!(create(offer()).unwrap().to_uri().len() <= 221);
}

#[test]
fn surrounding_white_space_is_ignored() {
    let invitation = create(offer()).unwrap();
    let text = format!("  {}\r\n", *invitation.to_uri());
    assert!(text.parse::<Invitation>().unwrap() == invitation);
}

#[test]
fn another_version_is_distinguished_from_a_typing_error() {
    let body = [2_u8; 40];
    let sum = m2_crypto::label::hash("invitation checksum", &[&body]);
    let bytes = [&body[..], &sum[..4]].concat();
    let text = data_encoding::BASE32_NOPAD.encode(&bytes);
    let error = format!("m2://{text}").parse::<Invitation>().unwrap_err();
    assert_eq!(error, InvitationError::UnknownVersion);
}

#[test]
fn offers_beyond_the_limits_are_rejected() {
    let address: NamedAddress = "192.0.2.1:1".parse().unwrap();
    let mut refused = vec![offer(), offer(), offer(), offer(), offer()];
    refused[0].addresses = vec![address; 9];
    refused[1].addresses = vec!["192.0.2.1:0".parse().unwrap()];
    refused[2].lines = vec![vec![1]; 7];
    refused[3].lines = vec![vec![]];
    refused[4].lines = vec![vec![1; MAX_LINE_BYTES + 1]];
    for offer in refused {
        assert_eq!(create(offer).unwrap_err(), InvitationError::Limits);
    }
}

#[test]
fn an_invitation_into_another_circle_is_recognised() {
    let invitation = create(offer()).unwrap();
    assert!(invitation.is_for(Circle::public().id()));
    let other = Circle::private("home", &Secret::new([1; 32]));
    assert!(!invitation.is_for(other.id()));
}

#[test]
fn a_proof_is_valid_in_one_session_only() {
    let token = Secret::new([1; 16]);
    let session = Secret::new([2; 32]);
    let shown = proof(&token, &session);
    assert!(verify_proof(&token, &session, &shown));
    assert!(!verify_proof(&token, &Secret::new([3; 32]), &shown));
    assert!(!verify_proof(&Secret::new([4; 16]), &session, &shown));
    assert!(!verify_proof(&token, &session, &shown[..31]));
    assert!(!verify_proof(&token, &session, &[]));
}

#[test]
fn invitations_have_distinct_secrets() {
    let (one, other) = (create(offer()).unwrap(), create(offer()).unwrap());
    assert_ne!(one.token(), other.token());
    assert_ne!(one.record_key(), other.record_key());
    assert_ne!(one.id(), other.id());
}

#[test]
fn debug_shows_nothing() {
    let invitation = create(offer()).unwrap();
    let shown = format!("{invitation:?} {:?} {:?}", offer(), invitation.id());
    assert_eq!(shown, "Invitation(..) Offer(..) InviteId(..)");
}

#[test]
fn an_invitation_expires_at_its_expiry_time() {
    let invitation = create(offer()).unwrap();
    assert!(!invitation.has_expired(common::NOW_S - 1));
    assert!(invitation.has_expired(common::NOW_S));
}

#[test]
fn both_sides_compute_the_same_verification_code() {
    let (alice, bob, carol) = (Peer::alice(), Peer::bob(), Peer::carol());
    let certificate = |peer: &Peer| peer.identity.certificate().clone();
    let circle = Circle::public();
    let code = VerificationCode::of(circle.id(), &certificate(&alice), &certificate(&bob));
    let back = VerificationCode::of(circle.id(), &certificate(&bob), &certificate(&alice));
    assert!(code == back);
    assert_eq!(code.digits().len(), 60);
    assert!(code.digits().bytes().all(|digit| digit.is_ascii_digit()));
    let groups: Vec<String> = code.to_string().split(' ').map(str::to_owned).collect();
    assert_eq!(groups.len(), 12);
    assert!(groups.iter().all(|group| group.len() == 5));

    let third = VerificationCode::of(circle.id(), &certificate(&alice), &certificate(&carol));
    assert!(code != third);
    let home = Circle::private("home", &Secret::new([1; 32]));
    let elsewhere = VerificationCode::of(home.id(), &certificate(&alice), &certificate(&bob));
    assert!(code != elsewhere);
}

#[test]
fn spare_bits_in_the_last_character_are_rejected() {
    let uri = create(offer()).unwrap().to_uri();
    // The bytes do not fill the last character: its lowest bit belongs to none of them.
    let characters = uri.len() - "m2://".len();
    assert_ne!(characters % 8, 0);
    let alphabet = "abcdefghijklmnopqrstuvwxyz234567";
    let (start, last) = uri.split_at(uri.len() - 1);
    let place = alphabet.find(last).unwrap();
    assert_eq!(place % 2, 0);
    let with = |place: usize| format!("{start}{}", &alphabet[place..=place]);
    assert!(with(place).parse::<Invitation>().is_ok());
    assert!(with(place + 1).parse::<Invitation>().is_err());
}

#[test]
fn case_may_be_mixed_and_space_around_a_text_does_not_count() {
    let uri = create(offer()).unwrap().to_uri();
    let mixed: String = uri
        .chars()
        .enumerate()
        .map(|(at, one)| match at % 2 {
            0 => one.to_ascii_uppercase(),
            _ => one,
        })
        .collect();
    let spaced = format!("{}{mixed}\n", " ".repeat(2_048));
    assert!(spaced.parse::<Invitation>().is_ok());
    let long = format!("m2://{}", "a".repeat(2_044));
    assert!(long.parse::<Invitation>().is_err());
}
