//! Cipher suites: the extension point of the handshake (docs/spec/handshake.md#suites).

/// A set of algorithms, chosen by the responder from the initiator's offers. Unknown numbers are
/// skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// RSA-2048 with OAEP-SHA256 and ML-KEM-768 for session keys, certificates with PSS-SHA256,
    /// HKDF-SHA256, AES-128-GCM. Its share in a Hello is the session key: the modulus in 256 bytes,
    /// then the ML-KEM key in 1,184.
    RsaMlKemAes128,
}

impl Suite {
    /// The suite with the highest number. A dial offers no other.
    pub const NEWEST: Self = Self::RsaMlKemAes128;

    /// Returns the suite's number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::RsaMlKemAes128 => 2,
        }
    }

    /// Returns the suite with this number, if it is known.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            2 => Some(Self::RsaMlKemAes128),
            _ => None,
        }
    }
}
