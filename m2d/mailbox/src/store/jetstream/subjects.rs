//! The names of streams and subjects.

use crate::store::{LETTER_SIZES, LetterId, TokenHash};
use data_encoding::HEXLOWER;
use m2_crypto::PeerId;

/// The names under one prefix.
#[derive(Debug, Clone)]
pub(super) struct Subjects {
    prefix: String,
}

/// The id and the size of a letter, which its subject contains, so that a list of subjects is
/// enough to count a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LetterSubject {
    pub(super) id: LetterId,
    pub(super) size: usize,
}

impl Subjects {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub(super) fn letters_stream(&self) -> String {
        format!("{}-letters", self.prefix)
    }

    pub(super) fn tokens_stream(&self) -> String {
        format!("{}-tokens", self.prefix)
    }

    pub(super) fn mailbox(&self, owner: &PeerId) -> String {
        format!("{}.box.{}", self.prefix, hex(owner))
    }

    pub(super) fn all_boxes(&self) -> String {
        format!("{}.box.*", self.prefix)
    }

    pub(super) fn token(&self, owner: &PeerId, hash: &TokenHash) -> String {
        let (owner, hash) = (hex(owner), HEXLOWER.encode(hash));
        format!("{}.token.{owner}.{hash}", self.prefix)
    }

    pub(super) fn tokens_of(&self, owner: &PeerId) -> String {
        format!("{}.token.{}.*", self.prefix, hex(owner))
    }

    pub(super) fn all_tokens(&self) -> String {
        format!("{}.token.*.*", self.prefix)
    }

    pub(super) fn letter(&self, owner: &PeerId, letter: &LetterSubject) -> String {
        let (owner, id) = (hex(owner), HEXLOWER.encode(&letter.id));
        let kib = letter.size >> 10;
        format!("{}.letter.{owner}.{id}-{kib}", self.prefix)
    }

    pub(super) fn letters_of(&self, owner: &PeerId) -> String {
        format!("{}.letter.{}.*", self.prefix, hex(owner))
    }

    pub(super) fn all_letters(&self) -> String {
        format!("{}.letter.*.*", self.prefix)
    }

    pub(super) fn notice(&self, owner: &PeerId) -> String {
        format!("{}.notice.{}", self.prefix, hex(owner))
    }

    pub(super) fn all_notices(&self) -> String {
        format!("{}.notice.*", self.prefix)
    }
}

impl LetterSubject {
    pub(super) fn parse(subject: &str) -> Option<Self> {
        let (id, kib) = subject.rsplit('.').next()?.split_once('-')?;
        let id = HEXLOWER.decode(id.as_bytes()).ok()?.try_into().ok()?;
        let size = kib.parse::<usize>().ok()?.checked_mul(1 << 10)?;
        LETTER_SIZES.contains(&size).then_some(Self { id, size })
    }

    /// Returns the position among the letters of its box.
    pub(super) fn place(&self) -> u128 {
        u128::from_be_bytes(self.id)
    }
}

/// Returns the hash in the subject of a token.
pub(super) fn hash_of(subject: &str) -> Option<TokenHash> {
    let hex = subject.rsplit('.').next()?;
    HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()
}

/// Returns the owner of the box in the subject of a letter or a notice.
pub(super) fn owner_of(subject: &str) -> Option<PeerId> {
    let hex = subject.split('.').nth(2)?;
    let bytes = HEXLOWER.decode(hex.as_bytes()).ok()?;
    PeerId::try_from(bytes.as_slice()).ok()
}

fn hex(owner: &PeerId) -> String {
    HEXLOWER.encode(owner.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_contains_the_letter_id_and_size() {
        let owner = PeerId::from_bytes([3; 32]);
        for size in LETTER_SIZES {
            let letter = LetterSubject { id: [9; 16], size };
            let subject = Subjects::new("m2box").letter(&owner, &letter);
            assert_eq!(LetterSubject::parse(&subject).unwrap(), letter);
            assert_eq!(owner_of(&subject).unwrap(), owner);
        }
        assert_eq!(LetterSubject::parse("m2box.letter.x.y-1"), None);
        let subject = Subjects::new("m2box").token(&owner, &[8; 32]);
        assert_eq!(hash_of(&subject), Some([8; 32]));
    }
}
