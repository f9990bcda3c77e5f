//! Letters for mailboxes (docs/spec/letter.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::reference::{self, GrantFields, Keys};
use common::{NOW_S, Peer, rng};
use m2_crypto::OpenFailed;
use m2_crypto::envelope::{
    LETTER_SIZES, Letter, LetterError, MAX_GRANT_AGE_S, MAX_LETTER_PLAINTEXT, OpenedLetter,
    SealError,
};
use proptest::prelude::*;
use std::sync::LazyLock;

static PEERS: LazyLock<[Peer; 3]> = LazyLock::new(|| [Peer::alice(), Peer::bob(), Peer::carol()]);
static LETTER: LazyLock<Vec<u8>> = LazyLock::new(|| seal(b"good morning"));

fn alice() -> &'static Peer {
    &PEERS[0]
}

fn bob() -> &'static Peer {
    &PEERS[1]
}

fn carol() -> &'static Peer {
    &PEERS[2]
}

fn seal(plaintext: &[u8]) -> Vec<u8> {
    Letter::seal(
        &mut rng(),
        &alice().identity,
        bob().identity.certificate(),
        alice().header(bob(), 7),
        &[3; 16],
        plaintext,
    )
    .unwrap()
}

fn unwrap(letter: &[u8]) -> Result<Letter, OpenFailed> {
    Letter::unwrap(&mut rng(), &bob().identity, &bob().id, letter)
}

fn open(letter: &[u8]) -> Result<OpenedLetter, OpenFailed> {
    let sender = alice().identity.certificate();
    unwrap(letter)?.open(&mut rng(), &bob().identity, sender, NOW_S)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sealed_letters_open(plaintext in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        let letter = seal(&plaintext);
        prop_assert!(LETTER_SIZES.contains(&letter.len()));
        let opened = open(&letter).unwrap();
        prop_assert_eq!(opened.plaintext.as_slice(), plaintext.as_slice());
        prop_assert_eq!(opened.message_id, [3; 16]);
        prop_assert_eq!(opened.header, alice().header(bob(), 7));
    }

    #[test]
    fn a_flipped_bit_is_rejected(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut letter = LETTER.clone();
        letter[at.index(LETTER.len())] ^= 1 << bit;
        prop_assert_eq!(unwrap(&letter).unwrap_err(), OpenFailed);
    }

    #[test]
    fn another_length_is_rejected(keep in 0_usize..2048, junk in any::<u8>()) {
        prop_assert!(unwrap(&LETTER[..keep]).is_err());
        prop_assert!(unwrap(&[&LETTER[..], &vec![junk; keep + 1]].concat()).is_err());
        prop_assert!(unwrap(&[&LETTER[..], &vec![junk; 2048]].concat()).is_err());
    }
}

#[test]
fn letter_lengths_reveal_only_the_size_class() {
    let size = |length| seal(&vec![0; length]).len();
    assert_eq!(size(0), 2048);
    for class in LETTER_SIZES.into_iter().skip(1).take(5) {
        assert_eq!(size(fits(class)), class);
        assert_eq!(size(fits(class) + 1), class * 2);
    }
    assert_eq!(size(MAX_LETTER_PLAINTEXT), 1 << 16);
}

/// Returns the longest plaintext of a letter of `class` bytes: the rest after the outside (544),
/// the inside's header (1 + 32 + 1158 + 4) and a message's header (37) and tag (32), rounded down
/// to whole blocks, less one byte for the cipher's padding.
fn fits(class: usize) -> usize {
    (class - 544 - 1195 - 37 - 32) / 16 * 16 - 1
}

#[test]
fn a_message_that_is_too_long_is_rejected() {
    let sealed = Letter::seal(
        &mut rng(),
        &alice().identity,
        bob().identity.certificate(),
        alice().header(bob(), 7),
        &[3; 16],
        &vec![0; MAX_LETTER_PLAINTEXT + 1],
    );
    assert_eq!(sealed, Err(LetterError::Seal(SealError::TooLong)));
}

#[test]
fn a_letter_reveals_nothing_of_its_sender() {
    let header = alice().header(bob(), 7);
    let texts: [&[u8]; 5] = [
        alice().id.as_bytes(),
        bob().id.as_bytes(),
        &header.incarnation.to_be_bytes(),
        &header.created_s.to_be_bytes(),
        b"good morning",
    ];
    for text in texts {
        assert!(!LETTER.windows(text.len()).any(|window| window == text));
    }
    // Two letters of one message share no content.
    let again = seal(b"good morning");
    let same = LETTER.iter().zip(&again).filter(|(a, b)| a == b).count();
    assert!(same < 40, "{same} of 2,048 bytes are alike");
}

#[test]
fn a_letter_opens_only_with_its_mailbox_and_key() {
    let unwrap = |peer: &Peer, id| Letter::unwrap(&mut rng(), &peer.identity, id, &LETTER).is_ok();
    assert!(unwrap(bob(), &bob().id));
    assert!(!unwrap(bob(), &carol().id));
    assert!(!unwrap(carol(), &carol().id));
    assert!(!unwrap(carol(), &bob().id));
}

#[test]
fn a_letter_opens_only_with_its_signers_certificate() {
    let letter = unwrap(&LETTER).unwrap();
    assert_eq!(letter.sender(), &alice().id);
    assert_eq!(letter.header().unwrap(), alice().header(bob(), 7));
    let wrong = carol().identity.certificate();
    let opened = letter.open(&mut rng(), &bob().identity, wrong, NOW_S);
    assert_eq!(opened.unwrap_err(), OpenFailed);
}

#[test]
fn an_old_letter_is_rejected() {
    let letter = unwrap(&LETTER).unwrap();
    let sender = alice().identity.certificate();
    let open = |now_s| letter.open(&mut rng(), &bob().identity, sender, now_s);
    assert!(open(NOW_S + MAX_GRANT_AGE_S).is_ok());
    assert!(open(NOW_S + MAX_GRANT_AGE_S + 1).is_err());
}

type Spoil = fn(&mut Vec<u8>);

/// A letter made with all the right keys that deviates from the specification.
struct Forge {
    kind: u8,
    index: u32,
    named: m2_crypto::PeerId,
    signer: &'static Peer,
    spoil: Spoil,
}

impl Forge {
    fn honest() -> Self {
        Self {
            kind: 2,
            index: 0,
            named: alice().id,
            signer: alice(),
            spoil: |_| {},
        }
    }

    fn opens(&self) -> bool {
        let rng = &mut rng();
        let header = alice().header(bob(), 7);
        let certificate = bob().identity.certificate();
        let content_key = [5; 16];
        let grant = GrantFields::new(rng, self.kind, header, certificate, &content_key)
            .sign(rng, &self.signer.identity);
        let mut chain = reference::chain_root(&[&content_key], &grant);
        for _ in 0..self.index {
            chain = reference::chain_step(&chain).0;
        }
        let keys = Keys::of_message(&reference::chain_step(&chain).1);
        let sealed = reference::seal(&keys, &header, self.index, &[3; 16], b"text");
        let mut inner = reference::letter_inner(&self.named, &grant, &sealed, 2048);
        (self.spoil)(&mut inner);
        let letter = reference::letter_wrap(rng, &bob().id, certificate, &[6; 16], &inner);
        open(&letter).is_ok()
    }
}

#[test]
fn letters_that_deviate_from_the_specification_are_rejected() {
    assert!(Forge::honest().opens());
    let session_grant = Forge {
        kind: 1,
        ..Forge::honest()
    };
    assert!(!session_grant.opens(), "a session's grant in a letter");
    let second_message = Forge {
        index: 1,
        ..Forge::honest()
    };
    assert!(!second_message.opens(), "a second message in its epoch");
    let other_name = Forge {
        named: carol().id,
        ..Forge::honest()
    };
    assert!(!other_name.opens(), "letter and grant name two senders");
    let other_signer = Forge {
        signer: carol(),
        ..Forge::honest()
    };
    assert!(!other_signer.opens(), "signed by another peer");
    let spoils: [(&str, Spoil); 5] = [
        ("padding that is not zero", |inner| {
            *inner.last_mut().unwrap() = 1
        }),
        ("another version", |inner| inner[0] = 2),
        ("a length beyond the end", |inner| inner[1191] = 0xff),
        ("a shorter length", |inner| inner[1194] -= 1),
        ("a length of zero", |inner| inner[1193..1195].fill(0)),
    ];
    for (what, spoil) in spoils {
        let forge = Forge {
            spoil,
            ..Forge::honest()
        };
        assert!(!forge.opens(), "{what}");
    }
}

#[test]
fn junk_of_every_size_is_rejected() {
    for size in LETTER_SIZES {
        for byte in [0, 1, 0x7f, 0xff] {
            assert_eq!(unwrap(&vec![byte; size]).unwrap_err(), OpenFailed);
        }
    }
    assert!(unwrap(&[]).is_err());
}

#[test]
fn debug_shows_nothing() {
    let letter = unwrap(&LETTER).unwrap();
    let opened = open(&LETTER).unwrap();
    assert_eq!(
        format!("{letter:?} {opened:?}"),
        "Letter(..) OpenedLetter(..)"
    );
}
