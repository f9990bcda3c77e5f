//! Circles: isolated user domains (spec §1).

use crate::label;
use crate::secret::Secret;
use std::fmt;

/// The public circle's name.
pub const PUBLIC_NAME: &str = "public";

/// The well-known value in the place of a secret in the public circle. Not secret: in the
/// public circle level 3 stops classifiers, not an observer who runs M2 (spec §2).
const PUBLIC_VALUE: [u8; 32] = *b"m2 v1 the public circle is open\0";

/// A circle's 32-byte identifier. It is mixed into peer ids and every handshake, so that
/// nothing of one circle works in another.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CircleId([u8; 32]);

impl CircleId {
    /// The identifier's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for CircleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CircleId(..)")
    }
}

/// A circle: a name and, for a private one, a 32-byte secret.
#[derive(Clone, Debug)]
pub struct Circle {
    id: CircleId,
    packet_key: Secret<16>,
    public: bool,
}

impl Circle {
    /// The public circle, which every daemon lives in unless told otherwise.
    pub fn public() -> Self {
        Self::derive(PUBLIC_NAME, &PUBLIC_VALUE, true)
    }

    /// A private circle. Who has not the same name and the same secret finds nobody in it.
    pub fn private(name: &str, secret: &Secret<32>) -> Self {
        Self::derive(name, secret.expose(), false)
    }

    fn derive(name: &str, secret: &[u8; 32], public: bool) -> Self {
        let kind: &[u8] = if public { b"public" } else { b"private" };
        let id = label::hash("circle id", &[kind, name.as_bytes(), secret]);
        let packet_key = label::derive(secret, &id, "packet key", &[name.as_bytes()]);
        Self {
            id: CircleId(id),
            packet_key,
            public,
        }
    }

    /// The circle's identifier.
    pub const fn id(&self) -> &CircleId {
        &self.id
    }

    /// The AES-128 key that obfuscates every datagram of this circle (spec §2).
    pub const fn packet_key(&self) -> &Secret<16> {
        &self.packet_key
    }

    /// Whether this is the public circle.
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
        assert_ne!(a.packet_key(), b.packet_key());
    }

    #[test]
    fn a_private_circle_is_never_the_public_one() {
        let private = Circle::private(PUBLIC_NAME, &Secret::new(PUBLIC_VALUE));
        assert_ne!(private.id(), Circle::public().id());
    }
}
