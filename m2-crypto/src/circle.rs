//! Circles: isolated domains of users (docs/spec/conventions.md#circles).

use crate::label;
use crate::secret::Secret;
use std::fmt;

/// The public circle's name.
pub const PUBLIC_NAME: &str = "public";

/// The well-known value that the public circle has instead of a secret. In the public circle level
/// 3 hides a session from observers that do not know the dialled peer id
/// (docs/spec/obfuscation.md#packet-keys).
const PUBLIC_VALUE: [u8; 32] = *b"m2 v1 the public circle is open\0";

/// A circle's 32-byte identifier. It is hashed into peer ids and every handshake, so that nothing
/// from one circle is valid in another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CircleId([u8; 32]);

impl CircleId {
    /// Returns the identifier's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for CircleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CircleId(..)")
    }
}

/// A circle: a name and, if it is private, a 32-byte secret.
#[derive(Clone, Debug)]
pub struct Circle {
    id: CircleId,
    key: Secret<32>,
    public: bool,
}

impl Circle {
    /// Returns the public circle, the default of every daemon.
    pub fn public() -> Self {
        Self::derive(PUBLIC_NAME, &PUBLIC_VALUE, true)
    }

    /// Derives a private circle. A daemon configured with another name or another secret reaches no
    /// peer in it.
    pub fn private(name: &str, secret: &Secret<32>) -> Self {
        Self::derive(name, secret.expose(), false)
    }

    fn derive(name: &str, secret: &[u8; 32], public: bool) -> Self {
        let kind: &[u8] = if public { b"public" } else { b"private" };
        let id = label::hash("circle id", &[kind, name.as_bytes(), secret]);
        let key = label::derive(secret, &id, "circle key", &[name.as_bytes()]);
        Self {
            id: CircleId(id),
            key,
            public,
        }
    }

    /// Returns the circle's identifier.
    pub const fn id(&self) -> &CircleId {
        &self.id
    }

    /// Returns the key from which the packet keys of this circle's peers derive
    /// (docs/spec/obfuscation.md#packet-keys).
    pub const fn key(&self) -> &Secret<32> {
        &self.key
    }

    /// Returns whether this is the public circle.
    pub const fn is_public(&self) -> bool {
        self.public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_of_the_secret_changes_everything() {
        let a = Circle::private("home", &Secret::new([7; 32]));
        let mut bits = [7; 32];
        bits[31] ^= 1;
        let b = Circle::private("home", &Secret::new(bits));
        assert_ne!(a.id(), b.id());
        assert_ne!(a.key(), b.key());
    }

    #[test]
    fn a_private_circle_is_never_the_public_one() {
        let private = Circle::private(PUBLIC_NAME, &Secret::new(PUBLIC_VALUE));
        assert_ne!(private.id(), Circle::public().id());
    }
}
