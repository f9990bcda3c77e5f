//! Level 3: every UDP datagram is enciphered on its own under the circle's packet key (spec §2).

use crate::secret::Secret;
use aes::Aes128Enc;
use aes::cipher::{InnerIvInit, KeyInit, StreamCipherCore};
use ctr::CtrCore;
use ctr::flavors::Ctr128BE;
use std::fmt;

/// Bytes at the end of a datagram that serve as the IV and travel as they are. A QUIC packet
/// always ends in at least so many pseudo-random bytes: an AEAD tag or a retry tag.
pub const IV_BYTES: usize = 16;

/// Hides and reveals datagrams under one key, AES-128-CTR. It adds no byte and keeps no state
/// between datagrams; the key schedule is computed once.
///
/// It hides, it does not authenticate: what comes out of a forged datagram is noise that the
/// layers above refuse.
pub struct Obfuscator {
    cipher: Aes128Enc,
}

impl Obfuscator {
    /// An obfuscator under a circle's packet key.
    pub fn new(key: &Secret<16>) -> Self {
        Self {
            cipher: Aes128Enc::new(&(*key.expose()).into()),
        }
    }

    /// Hides a datagram in place, or reveals one: both are the same operation. All bytes but
    /// the last [`IV_BYTES`] change.
    ///
    /// A datagram that holds nothing before its IV is left as it is, for the gate to drop.
    pub fn apply(&self, datagram: &mut [u8]) {
        let Some((body, iv)) = datagram.split_last_chunk_mut::<IV_BYTES>() else {
            return;
        };
        CtrCore::<&Aes128Enc, Ctr128BE>::inner_iv_init(&self.cipher, &(*iv).into())
            .apply_keystream_partial(body.into());
    }
}

impl fmt::Debug for Obfuscator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Obfuscator(..)")
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    #[test]
    fn applied_twice_is_the_original_at_every_length() {
        let obfuscator = Obfuscator::new(&Secret::new([3; 16]));
        for length in 0..200_u8 {
            let plain: Vec<u8> = (0..length).collect();
            let mut wire = plain.clone();
            obfuscator.apply(&mut wire);
            let visible = plain.len().saturating_sub(IV_BYTES);
            assert_eq!(wire[visible..], plain[visible..]);
            assert!(visible < 8 || wire[..visible] != plain[..visible]);
            obfuscator.apply(&mut wire);
            assert_eq!(wire, plain);
        }
    }
}
