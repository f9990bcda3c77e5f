//! The id of an invitation.

use crate::label;
use crate::secret::Secret;
use data_encoding::HEXLOWER;
use std::fmt;

/// Identifies an invitation in a contact request: 16 bytes of a hash of its token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InviteId([u8; 16]);

impl InviteId {
    /// Returns the id of the invitation with this token.
    pub fn of(token: &Secret<16>) -> Self {
        let hash = label::hash("invitation id", &[token.expose()]);
        let mut id = [0; 16];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(id)
    }

    /// Wraps 16 bytes read from a store or a message.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Formats the id as 32 hexadecimal digits.
impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteId(..)")
    }
}
