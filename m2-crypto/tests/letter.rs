//! Letters for mailboxes (docs/spec/letter.md#outside).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::letter::{HEAD, INSIDE, LENGTH_AT, OUTSIDE, Place, SIGNATURE_AT, fields, inside};
use common::{INCARNATION, NOW_S, Peer, rng};
use m2_crypto::deposit::DepositNonce;
use m2_crypto::letter::{
    LETTER_SIZES, LetterError, LetterHeader, LetterSecret, MAX_LETTER_PAYLOAD, MAX_LETTER_SECRETS,
    OpenedLetter, Opener, Recipient,
};
use m2_crypto::one_time_key::{OneTimeKey, OneTimeSeed};
use m2_crypto::{OpenFailed, PeerId, Secret, provider};
use proptest::prelude::*;
use std::sync::LazyLock;

const NONCE: DepositNonce = DepositNonce::from_bytes([0x0e; 16]);
const OTHER_NONCE: DepositNonce = DepositNonce::from_bytes([0x0f; 16]);
const TEXT: &[u8] = b"good morning";

static PEERS: LazyLock<[Peer; 3]> = LazyLock::new(|| [Peer::alice(), Peer::bob(), Peer::carol()]);
static KEY: LazyLock<OneTimeKey> = LazyLock::new(|| one_time_key(1));
static LETTER: LazyLock<Vec<u8>> = LazyLock::new(|| seal(TEXT));

fn alice() -> &'static Peer {
    &PEERS[0]
}

fn bob() -> &'static Peer {
    &PEERS[1]
}

fn carol() -> &'static Peer {
    &PEERS[2]
}

fn one_time_key(byte: u8) -> OneTimeKey {
    let seed = OneTimeSeed::new(Secret::new([byte; 96]));
    seed.key(provider::default()).unwrap()
}

fn letter_secret(byte: u8) -> LetterSecret {
    LetterSecret::new([byte; 8], Secret::new([byte; 32]))
}

fn header() -> LetterHeader {
    LetterHeader {
        sender: alice().id,
        incarnation: INCARNATION,
        created_s: NOW_S,
        oldest: 5,
        message_id: [3; 16],
    }
}

fn seal(payload: &[u8]) -> Vec<u8> {
    try_seal(payload).unwrap()
}

fn try_seal(payload: &[u8]) -> Result<Vec<u8>, LetterError> {
    let recipient = Recipient {
        certificate: bob().identity.certificate(),
        peer_id: &bob().id,
        nonce: &NONCE,
        key: KEY.public(),
        secret: &letter_secret(1),
    };
    recipient.seal(&mut rng(), &alice().identity, &header(), payload)
}

/// The keys and names with which bob opens a letter of alice.
struct Scene<'a> {
    receiver: &'a Peer,
    peer_id: PeerId,
    nonce: DepositNonce,
    key: &'a OneTimeKey,
    secrets: Vec<LetterSecret>,
    sender: PeerId,
    certified: &'a Peer,
}

impl Scene<'static> {
    fn honest() -> Self {
        Self {
            receiver: bob(),
            peer_id: bob().id,
            nonce: NONCE,
            key: &KEY,
            secrets: vec![letter_secret(1)],
            sender: alice().id,
            certified: alice(),
        }
    }
}

impl Scene<'_> {
    fn open(&self, letter: &[u8]) -> Result<OpenedLetter, OpenFailed> {
        let opener = Opener {
            identity: &self.receiver.identity,
            peer_id: &self.peer_id,
            nonce: &self.nonce,
            key: self.key,
            secrets: &self.secrets.iter().collect::<Vec<_>>(),
            sender: &self.sender,
            certificate: self.certified.identity.certificate(),
        };
        opener.open(&mut rng(), letter)
    }
}

fn open(letter: &[u8]) -> Result<OpenedLetter, OpenFailed> {
    Scene::honest().open(letter)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sealed_letters_open(payload in proptest::collection::vec(any::<u8>(), 0..MAX_LETTER_PAYLOAD)) {
        let letter = seal(&payload);
        prop_assert!(LETTER_SIZES.contains(&letter.len()));
        let opened = open(&letter).unwrap();
        prop_assert_eq!(opened.payload.as_slice(), payload.as_slice());
        prop_assert_eq!(opened.header, header());
    }

    #[test]
    fn a_flipped_bit_is_rejected(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut letter = LETTER.clone();
        letter[at.index(LETTER.len())] ^= 1 << bit;
        prop_assert_eq!(open(&letter), Err(OpenFailed));
    }

    #[test]
    fn another_length_is_rejected(keep in 0_usize..4_096, junk in any::<u8>()) {
        prop_assert_eq!(open(&LETTER[..keep]), Err(OpenFailed));
        prop_assert_eq!(open(&[&LETTER[..], &vec![junk; keep + 1]].concat()), Err(OpenFailed));
    }
}

#[test]
fn a_flipped_byte_in_every_field_is_rejected() {
    let (tag, size) = (LETTER.len() - 32, LETTER.len());
    // Wrapped secret, ephemeral key, ciphertext of ML-KEM, ciphertext, tag.
    for at in [
        0,
        511,
        512,
        542,
        544,
        HEAD - 1,
        HEAD,
        tag - 1,
        tag,
        size - 1,
    ] {
        let mut letter = LETTER.clone();
        letter[at] ^= 1;
        assert_eq!(open(&letter), Err(OpenFailed), "{at}");
    }
    // X25519 ignores the highest bit of a public key, the letter does not.
    let mut letter = LETTER.clone();
    letter[543] ^= 0x80;
    assert_eq!(open(&letter), Err(OpenFailed));
}

#[test]
fn letter_lengths_reveal_only_the_size_class() {
    let size = |length| seal(&vec![0; length]).len();
    for length in [0, 60, 400, 1_400, 4_096 - OUTSIDE - INSIDE] {
        assert_eq!(size(length), 4_096);
    }
    for class in LETTER_SIZES.into_iter().take(4) {
        assert_eq!(size(class - OUTSIDE - INSIDE), class);
        assert_eq!(size(class - OUTSIDE - INSIDE + 1), class * 2);
    }
    assert_eq!(size(MAX_LETTER_PAYLOAD), 1 << 16);
    let longer = try_seal(&vec![0; MAX_LETTER_PAYLOAD + 1]);
    assert_eq!(longer, Err(LetterError::TooLong));
}

#[test]
fn a_letter_reveals_nothing_of_its_sender() {
    let texts: [&[u8]; 7] = [
        alice().id.as_bytes(),
        bob().id.as_bytes(),
        NONCE.as_bytes(),
        &INCARNATION.to_be_bytes(),
        &NOW_S.to_be_bytes(),
        &[3; 16],
        TEXT,
    ];
    for text in texts {
        assert!(!LETTER.windows(text.len()).any(|window| window == text));
    }
    // Two letters of one message share no content.
    let again = seal(TEXT);
    let same = LETTER.iter().zip(&again).filter(|(a, b)| a == b).count();
    assert!(same < 60, "{same} of 4,096 bytes are alike");
}

#[test]
fn a_letter_opens_only_in_its_box_under_its_keys() {
    let other_key = one_time_key(2);
    let honest = Scene::honest;
    let scenes = [
        Scene {
            peer_id: carol().id,
            ..honest()
        },
        Scene {
            receiver: carol(),
            ..honest()
        },
        Scene {
            nonce: OTHER_NONCE,
            ..honest()
        },
        Scene {
            key: &other_key,
            ..honest()
        },
        Scene {
            nonce: OTHER_NONCE,
            key: &other_key,
            ..honest()
        },
        Scene {
            secrets: vec![letter_secret(2)],
            ..honest()
        },
        Scene {
            secrets: Vec::new(),
            ..honest()
        },
    ];
    for (number, scene) in scenes.iter().enumerate() {
        assert_eq!(scene.open(&LETTER), Err(OpenFailed), "{number}");
    }
    assert!(honest().open(&LETTER).is_ok());
}

#[test]
fn a_letter_opens_only_as_that_of_the_contact_with_the_nonce() {
    for (sender, certified) in [
        (carol().id, carol()),
        (alice().id, carol()),
        (carol().id, alice()),
    ] {
        let scene = Scene {
            sender,
            certified,
            ..Scene::honest()
        };
        assert_eq!(scene.open(&LETTER), Err(OpenFailed));
    }
}

#[test]
fn sixteen_letter_secrets_are_tried() {
    let most = MAX_LETTER_SECRETS as u8;
    let scene = |others: u8| {
        let mut secrets: Vec<_> = (2..2 + others).map(letter_secret).collect();
        secrets.push(letter_secret(1));
        Scene {
            secrets,
            ..Scene::honest()
        }
    };
    assert!(scene(0).open(&LETTER).is_ok());
    assert!(scene(most - 1).open(&LETTER).is_ok());
    assert_eq!(scene(most).open(&LETTER), Err(OpenFailed));
}

type Spoil = fn(&mut Vec<u8>);

/// A letter made with the right keys that deviates from the specification.
struct Forge {
    version: u8,
    header: LetterHeader,
    signer: &'static Peer,
    /// Applied to the encapsulated secrets before anything is signed or derived.
    head: Spoil,
    /// Applied to the message before it is signed.
    signed: Spoil,
    /// Applied to the inside before it is encrypted.
    inside: Spoil,
    wrapped_secret: Vec<u8>,
    /// The X25519 secret, where the ephemeral key is replaced.
    x25519: Option<[u8; 32]>,
}

impl Forge {
    fn honest() -> Self {
        Self {
            version: 2,
            header: header(),
            signer: alice(),
            head: |_| {},
            signed: |_| {},
            inside: |_| {},
            wrapped_secret: vec![6; 32],
            x25519: None,
        }
    }

    fn letter(&self) -> Vec<u8> {
        let rng = &mut rng();
        let place = Place {
            receiver: bob().id,
            nonce: *NONCE.as_bytes(),
        };
        let certificate = bob().identity.certificate();
        let label = place.wrap_label();
        let mut head = certificate.wrap(rng, &label, &self.wrapped_secret).unwrap();
        let (ciphertext, secrets) = KEY.public().encapsulate(rng).unwrap();
        head.extend(ciphertext.to_bytes());
        (self.head)(&mut head);
        let fields = fields(self.version, &self.header);
        let mut signed = place.signed(&head, &fields);
        (self.signed)(&mut signed);
        let signature = self.signer.identity.sign(rng, &signed).unwrap();
        let mut inside = inside(&fields, &signature, TEXT, 4_096);
        (self.inside)(&mut inside);
        let x25519 = self.x25519.unwrap_or(*secrets.x25519.expose());
        let (kem, letter_secret) = (secrets.kem.expose(), letter_secret(1));
        let secrets = [
            &self.wrapped_secret,
            &x25519[..],
            kem,
            letter_secret.expose(),
        ];
        let keys = place.keys(secrets, &KEY.public().to_bytes(), &head);
        place.encrypt(&keys, &head, &inside)
    }

    fn opens(&self) -> bool {
        open(&self.letter()).is_ok()
    }
}

#[test]
fn letters_of_the_second_implementation_open() {
    let opened = open(&Forge::honest().letter()).unwrap();
    assert_eq!(opened.header, header());
    assert_eq!(opened.payload.as_slice(), TEXT);
}

#[test]
fn letters_of_another_peer_are_rejected() {
    let named = LetterHeader {
        sender: carol().id,
        ..header()
    };
    let cases = [
        ("names another sender", named, alice()),
        ("signed by another peer", header(), carol()),
        ("named and signed by another peer", named, carol()),
    ];
    for (what, header, signer) in cases {
        let forge = Forge {
            header,
            signer,
            ..Forge::honest()
        };
        assert!(!forge.opens(), "{what}");
    }
}

#[test]
fn signatures_of_other_letters_are_rejected() {
    // The head begins at byte 24, after the label and a length of 4 bytes, which each field has.
    let spoils: [(&str, Spoil); 4] = [
        ("of another head", |signed| signed[30] ^= 1),
        ("with another nonce", |signed| signed[30 + HEAD] ^= 1),
        ("for another receiver", |signed| signed[60 + HEAD] ^= 1),
        ("with other fields", |signed| {
            *signed.last_mut().unwrap() ^= 1
        }),
    ];
    for (what, signed) in spoils {
        let forge = Forge {
            signed,
            ..Forge::honest()
        };
        assert!(!forge.opens(), "{what}");
    }
}

#[test]
fn insides_that_deviate_from_the_specification_are_rejected() {
    assert!(
        !Forge {
            version: 1,
            ..Forge::honest()
        }
        .opens()
    );
    let spoils: [(&str, Spoil); 8] = [
        ("another version", |inside| inside[0] = 3),
        ("another incarnation", |inside| inside[33] ^= 1),
        ("another oldest place", |inside| inside[56] ^= 1),
        ("another message id", |inside| inside[72] ^= 1),
        ("another signature", |inside| inside[SIGNATURE_AT] ^= 1),
        ("padding that is not zero", |inside| {
            *inside.last_mut().unwrap() = 1
        }),
        ("a length beyond the end", |inside| inside[LENGTH_AT] = 0xff),
        ("a shorter length", |inside| inside[LENGTH_AT + 3] -= 1),
    ];
    for (what, inside) in spoils {
        let forge = Forge {
            inside,
            ..Forge::honest()
        };
        assert!(!forge.opens(), "{what}");
    }
}

#[test]
fn heads_that_deviate_from_the_specification_are_rejected() {
    let short_secret = Forge {
        wrapped_secret: vec![6; 16],
        ..Forge::honest()
    };
    assert!(!short_secret.opens(), "a secret of 16 bytes");
    let low_order = Forge {
        head: |head| head[512..544].fill(0),
        x25519: Some([0; 32]),
        ..Forge::honest()
    };
    assert!(!low_order.opens(), "an ephemeral key of low order");
    let other_ciphertext = Forge {
        head: |head| head[600] ^= 1,
        ..Forge::honest()
    };
    assert!(!other_ciphertext.opens(), "another ciphertext of ML-KEM");
}

#[test]
fn junk_of_every_size_is_rejected() {
    for size in LETTER_SIZES {
        for byte in [0, 1, 0x7f, 0xff] {
            assert_eq!(open(&vec![byte; size]), Err(OpenFailed));
        }
    }
    for size in [0, 1, 32, HEAD, OUTSIDE, 1 << 10, 1 << 11, 1 << 17] {
        assert_eq!(open(&vec![1; size]), Err(OpenFailed));
    }
}

#[test]
fn letters_open_under_every_provider() {
    let seed = OneTimeSeed::new(Secret::new([1; 96]));
    for provider in provider::all() {
        let receiver = Peer::named("bob", *provider);
        let key = seed.key(*provider).unwrap();
        let scene = Scene {
            receiver: &receiver,
            key: &key,
            ..Scene::honest()
        };
        assert_eq!(scene.open(&LETTER).unwrap().payload.as_slice(), TEXT);
    }
}

#[test]
fn debug_shows_nothing() {
    let opened = open(&LETTER).unwrap();
    let secret = letter_secret(1);
    assert_eq!(
        format!("{opened:?} {secret:?}"),
        "OpenedLetter(..) LetterSecret(..)"
    );
}
