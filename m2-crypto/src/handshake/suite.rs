//! Cipher suites: the extension point of the handshake (docs/spec/handshake.md#suites).

/// A set of algorithms, chosen by the responder from the initiator's offers. Unknown numbers are
/// skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// RSA-2048 session keys with OAEP-SHA256, certificates with PSS-SHA256, HKDF-SHA256,
    /// AES-128-GCM. Its share in a Hello is the session key's 256-byte modulus.
    RsaAes128,
}

impl Suite {
    /// Returns the suite's number on the wire.
    pub const fn number(self) -> u16 {
        match self {
            Self::RsaAes128 => 1,
        }
    }

    /// Returns the suite with this number, if it is known.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::RsaAes128),
            _ => None,
        }
    }
}
