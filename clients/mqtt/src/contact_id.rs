//! How topics name a contact.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// The bytes of the hash that are used. 64 bits distinguish the contacts of one user.
const BYTES: usize = 8;

/// A contact as topics name it: 16 hexadecimal digits, a hash of its peer id and of the topic prefix. It survives a
/// change of the contact's name. The peer id itself is not given to the broker, because a program that knows it can make
/// the contact's port answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContactId(String);

impl ContactId {
    /// Returns the id of the contact with this peer id, under a topic prefix.
    #[must_use]
    pub fn of(prefix: &str, peer_id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"m2-mqtt contact\0");
        hash.update(prefix.as_bytes());
        hash.update([0]);
        hash.update(peer_id.as_bytes());
        let hash = hash.finalize();
        Self(HEXLOWER.encode(hash.get(..BYTES).unwrap_or_default()))
    }

    /// Returns the id that a level of a topic names; `None` if it is malformed.
    #[must_use]
    pub fn parse(level: &str) -> Option<Self> {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (level.len() == 2 * BYTES && level.bytes().all(digits)).then(|| Self(level.to_owned()))
    }
}

impl fmt::Display for ContactId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_and_parse() {
        let id = ContactId::of("m2", "m21abc");
        assert_eq!(id, ContactId::of("m2", "m21abc"));
        assert_ne!(id, ContactId::of("m2", "m21abd"));
        assert_ne!(id, ContactId::of("m3", "m21abc"));
        assert_eq!(ContactId::parse(&id.to_string()), Some(id));
        for wrong in ["", "0123", "0123456789ABCDEF", "0123456789abcdeg", "+"] {
            assert_eq!(ContactId::parse(wrong), None, "{wrong}");
        }
    }
}
