//! Connection ids that the issuing daemon recognises without a table
//! (docs/spec/obfuscation.md#connection-ids).
//!
//! An id is 8 random bytes ‖ 8 bytes of MAC. The low 2 bits of the last byte are not part of the
//! MAC: they carry the UTC day number modulo 4, as in the first destination id that an initiator
//! makes up, so that both ends derive the same Initial keys.

use crate::secret::Secret;
use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;

/// Bytes of an issued connection id.
pub const LENGTH: usize = 16;

const HALF: usize = LENGTH / 2;
const DAY_BITS: u8 = 0b11;

/// The key under which one run of a daemon issues and recognises its connection ids.
///
/// The MAC is one AES block over the random half. For input of fixed length that is a pseudo-random
/// function, and it is cheap enough to check on every received packet.
pub struct ConnectionIdKey {
    cipher: Aes128Enc,
}

impl ConnectionIdKey {
    /// Creates the key from a secret that must be drawn afresh at every start.
    pub fn new(key: &Secret<16>) -> Self {
        Self {
            cipher: Aes128Enc::new(&(*key.expose()).into()),
        }
    }

    /// Issues an id for use on `day` (UTC days since 1970).
    pub fn issue<R: CryptoRng + ?Sized>(&self, rng: &mut R, day: u32) -> [u8; LENGTH] {
        let mut random = [0; HALF];
        rng.fill_bytes(&mut random);
        let mut mac = self.mac(&random);
        let [.., last] = &mut mac;
        *last |= (day % 4) as u8;
        let mut id = [0; LENGTH];
        let (front, back) = id.split_at_mut(HALF);
        front.copy_from_slice(&random);
        back.copy_from_slice(&mac);
        id
    }

    /// Returns whether `id` was issued under this key, on any day.
    pub fn is_ours(&self, id: &[u8]) -> bool {
        let Some((random, mac)) = id.split_first_chunk::<HALF>() else {
            return false;
        };
        let Ok(mut mac) = <[u8; HALF]>::try_from(mac) else {
            return false;
        };
        let [.., last] = &mut mac;
        *last &= !DAY_BITS;
        mac.ct_eq(&self.mac(random)).into()
    }

    /// Returns the MAC with the day bits cleared.
    fn mac(&self, random: &[u8; HALF]) -> [u8; HALF] {
        let mut block = [0; LENGTH];
        let (front, _) = block.split_at_mut(HALF);
        front.copy_from_slice(random);
        let mut block = block.into();
        self.cipher.encrypt_block(&mut block);
        let mut mac = [0; HALF];
        mac.iter_mut().zip(block).for_each(|(to, from)| *to = from);
        let [.., last] = &mut mac;
        *last &= !DAY_BITS;
        mac
    }
}

impl fmt::Debug for ConnectionIdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionIdKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::UnwrapErr;

    #[test]
    fn only_ids_issued_under_this_key_are_recognised() {
        let key = ConnectionIdKey::new(&Secret::new([1; 16]));
        let other = ConnectionIdKey::new(&Secret::new([2; 16]));
        for day in 0..8 {
            let id = key.issue(&mut UnwrapErr(getrandom::SysRng), day);
            assert_eq!(u32::from(id[15] & 3), day % 4);
            assert!(key.is_ours(&id));
            assert!(!other.is_ours(&id));
            assert!(!key.is_ours(&id[..15]));
            assert!(!key.is_ours(&[]));
        }
    }

    #[test]
    fn every_flipped_bit_except_the_day_bits_is_detected() {
        let key = ConnectionIdKey::new(&Secret::new([1; 16]));
        let id = key.issue(&mut UnwrapErr(getrandom::SysRng), 20_000);
        for bit in 0..128 {
            let mut flipped = id;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.is_ours(&flipped), (120..122).contains(&bit));
        }
    }
}
