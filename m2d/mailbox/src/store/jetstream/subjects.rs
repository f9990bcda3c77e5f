//! The names of streams and subjects.

use crate::store::LETTER_SIZES;
use data_encoding::HEXLOWER;
use m2_crypto::PeerId;
use m2_crypto::deposit::{DepositNonce, Period};

/// The names under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Subjects {
    prefix: String,
}

/// The nonce and the size of a letter, which its subject contains, so that a list of subjects is
/// enough to count a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LetterSubject {
    pub(super) nonce: DepositNonce,
    pub(super) size: usize,
}

impl Subjects {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    /// Returns the name of the stream of letters and spent marks.
    pub(super) fn kept_stream(&self) -> String {
        format!("{}-kept", self.prefix)
    }

    pub(super) fn boxes_stream(&self) -> String {
        format!("{}-boxes", self.prefix)
    }

    pub(super) fn key(&self, owner: &PeerId) -> String {
        format!("{}.key.{}", self.prefix, hex(owner))
    }

    pub(super) fn all_keys(&self) -> String {
        format!("{}.key.*", self.prefix)
    }

    pub(super) fn salt(&self) -> String {
        format!("{}.salt", self.prefix)
    }

    /// Returns the filter that matches a letter of any size under this nonce, and its spent mark.
    pub(super) fn at(&self, owner: &PeerId, nonce: &DepositNonce) -> String {
        let (owner, nonce) = (hex(owner), HEXLOWER.encode(nonce.as_bytes()));
        format!("{}.*.*.{owner}.{nonce}", self.prefix)
    }

    pub(super) fn letter(&self, owner: &PeerId, letter: &LetterSubject) -> String {
        let (owner, nonce) = (hex(owner), HEXLOWER.encode(letter.nonce.as_bytes()));
        let kib = letter.size >> 10;
        format!("{}.letter.{kib}.{owner}.{nonce}", self.prefix)
    }

    /// Returns the filter that matches a letter of any size under this nonce.
    pub(super) fn letter_at(&self, owner: &PeerId, nonce: &DepositNonce) -> String {
        let (owner, nonce) = (hex(owner), HEXLOWER.encode(nonce.as_bytes()));
        format!("{}.letter.*.{owner}.{nonce}", self.prefix)
    }

    pub(super) fn letters_of(&self, owner: &PeerId) -> String {
        format!("{}.letter.*.{}.*", self.prefix, hex(owner))
    }

    pub(super) fn letters_of_size(&self, size: usize) -> String {
        format!("{}.letter.{}.*.*", self.prefix, size >> 10)
    }

    pub(super) fn all_letters(&self) -> String {
        format!("{}.letter.*.*.*", self.prefix)
    }

    pub(super) fn mark(&self, owner: &PeerId, nonce: &DepositNonce, period: Period) -> String {
        let (owner, nonce) = (hex(owner), HEXLOWER.encode(nonce.as_bytes()));
        format!("{}.mark.{}.{owner}.{nonce}", self.prefix, period.number())
    }

    pub(super) fn marks_of(&self, owner: &PeerId) -> String {
        format!("{}.mark.*.{}.*", self.prefix, hex(owner))
    }

    pub(super) fn marks_of_period(&self, period: Period) -> String {
        format!("{}.mark.{}.*.*", self.prefix, period.number())
    }

    pub(super) fn all_marks(&self) -> String {
        format!("{}.mark.*.*.*", self.prefix)
    }

    pub(super) fn notices(&self) -> String {
        format!("{}.notices", self.prefix)
    }
}

impl LetterSubject {
    pub(super) fn parse(subject: &str) -> Option<Self> {
        let mut parts = subject.rsplit('.');
        let nonce = HEXLOWER.decode(parts.next()?.as_bytes()).ok()?;
        let nonce = DepositNonce::from_bytes(nonce.try_into().ok()?);
        let kib = parts.nth(1)?;
        let size = kib.parse::<usize>().ok()?.checked_mul(1 << 10)?;
        let is_letter = parts.next()? == "letter" && LETTER_SIZES.contains(&size);
        is_letter.then_some(Self { nonce, size })
    }

    /// Returns the position among the letters of its box.
    pub(super) fn place(&self) -> u128 {
        u128::from_be_bytes(*self.nonce.as_bytes())
    }
}

/// Returns the period in the subject of a spent mark. Returns `None` for another subject.
pub(super) fn period_of(subject: &str) -> Option<Period> {
    let mut parts = subject.rsplit('.').skip(2);
    let period = parts.next()?.parse().ok()?;
    (parts.next()? == "mark").then_some(Period::new(period))
}

/// Returns the owner of the box in the subject of a letter or of a mark.
pub(super) fn owner_of(subject: &str) -> Option<PeerId> {
    let hex = subject.rsplit('.').nth(1)?;
    let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
    PeerId::try_from(bytes.as_slice()).ok()
}

fn hex(owner: &PeerId) -> String {
    HEXLOWER.encode(owner.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: DepositNonce = DepositNonce::from_bytes([9; 16]);

    #[test]
    fn a_subject_contains_the_nonce_and_the_size_or_the_period() {
        let (owner, subjects) = (PeerId::from_bytes([3; 32]), Subjects::new("m2box"));
        for size in LETTER_SIZES {
            let letter = LetterSubject { nonce: NONCE, size };
            let subject = subjects.letter(&owner, &letter);
            assert_eq!(LetterSubject::parse(&subject), Some(letter));
            assert_eq!(owner_of(&subject), Some(owner));
            assert_eq!(period_of(&subject), None);
        }
        for period in [0, 851, u16::MAX].map(Period::new) {
            let subject = subjects.mark(&owner, &NONCE, period);
            assert_eq!(period_of(&subject), Some(period));
            assert_eq!(owner_of(&subject), Some(owner));
            assert_eq!(LetterSubject::parse(&subject), None, "period {period:?}");
        }
        assert_eq!(LetterSubject::parse("m2box.letter.4.x.y"), None);
        assert_eq!(period_of("m2box.mark.65536.x.y"), None);
    }

    #[test]
    fn one_filter_matches_whatever_is_under_a_nonce() {
        let (owner, subjects) = (PeerId::from_bytes([3; 32]), Subjects::new("m2box"));
        let letter = LetterSubject {
            nonce: NONCE,
            size: LETTER_SIZES[0],
        };
        let filter = subjects.at(&owner, &NONCE);
        for subject in [
            subjects.letter(&owner, &letter),
            subjects.mark(&owner, &NONCE, Period::new(4)),
        ] {
            let pairs = filter.split('.').zip(subject.split('.'));
            assert!(pairs.clone().all(|(part, of)| part == "*" || part == of));
            assert_eq!(pairs.count(), subject.split('.').count());
        }
    }
}
