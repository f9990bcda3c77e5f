//! Level 3: obfuscation of each UDP datagram under the packet key of the dialled peer
//! (docs/spec/obfuscation.md#hiding-a-datagram).

use crate::circle::Circle;
use crate::label;
use crate::peer_id::PeerId;
use crate::provider::{Ctr, Provider};
use crate::secret::Secret;
use std::fmt;

/// Bytes at the end of a datagram that serve as the IV and are sent unchanged. A QUIC packet always
/// ends in at least 16 pseudo-random bytes: an AEAD tag or a Retry tag.
pub const IV_BYTES: usize = 16;

/// Bytes at the beginning of a datagram that [`Obfuscator::start`] reveals: three blocks, which contain every
/// connection id of M2.
pub const START_BYTES: usize = 48;

/// Returns the key under which the datagrams of every session are enciphered, in both directions, that
/// `responder` was dialled for (docs/spec/obfuscation.md#packet-keys).
pub fn packet_key(circle: &Circle, responder: &PeerId) -> Secret<16> {
    label::derive(
        circle.key().expose(),
        &[],
        "packet",
        &[responder.as_bytes()],
    )
}

/// Obfuscates and reveals datagrams under one key with AES-128-CTR. It adds no bytes and keeps no
/// state between datagrams. The key schedule is computed once.
///
/// It provides no integrity: a forged datagram is revealed as noise, which the layers above reject.
pub struct Obfuscator {
    cipher: Box<dyn Ctr>,
}

impl Obfuscator {
    /// Creates an obfuscator for a packet key.
    pub fn new(key: &Secret<16>, provider: &dyn Provider) -> Self {
        Self {
            cipher: provider.ctr(key),
        }
    }

    /// Creates an obfuscator for the sessions that `responder` is dialled for.
    pub fn of_responder(circle: &Circle, responder: &PeerId, provider: &dyn Provider) -> Self {
        Self::new(&packet_key(circle, responder), provider)
    }

    /// Obfuscates or reveals a datagram in place; both are the same operation. All bytes except the
    /// last [`IV_BYTES`] change.
    ///
    /// A datagram without bytes before its IV is left unchanged, and the gate drops it.
    pub fn apply(&self, datagram: &mut [u8]) {
        let Some((body, iv)) = datagram.split_last_chunk_mut::<IV_BYTES>() else {
            return;
        };
        self.cipher.apply(iv, body);
    }

    /// Writes the beginning of a datagram, as [`apply`](Self::apply) would reveal it, to `revealed`, and returns it.
    /// A receiver can tell most noise by it, at a fraction of the work for the whole datagram.
    pub fn start<'a>(&self, datagram: &[u8], revealed: &'a mut [u8; START_BYTES]) -> &'a [u8] {
        let length = datagram.len().min(START_BYTES);
        let (Some(start), Some(bytes)) = (revealed.get_mut(..length), datagram.get(..length))
        else {
            return &[];
        };
        start.copy_from_slice(bytes);
        if let Some((body, iv)) = datagram.split_last_chunk::<IV_BYTES>()
            && let Some(hidden) = start.get_mut(..body.len().min(length))
        {
            self.cipher.apply(iv, hidden);
        }
        start
    }
}

impl fmt::Debug for Obfuscator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Obfuscator(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider;
    use aes::Aes128Enc;
    use aes::cipher::{BlockCipherEncrypt, KeyInit};

    fn key() -> Secret<16> {
        Secret::new([3; 16])
    }

    #[test]
    fn applying_twice_restores_the_datagram_at_every_length() {
        for &provider in provider::all() {
            let obfuscator = Obfuscator::new(&key(), provider);
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

    #[test]
    fn the_start_of_a_datagram_is_revealed_alone() {
        for provider in provider::all() {
            let obfuscator = Obfuscator::new(&key(), *provider);
            for length in 0..200_u8 {
                let hidden: Vec<u8> = (0..length).collect();
                let mut whole = hidden.clone();
                obfuscator.apply(&mut whole);
                let mut revealed = [0; START_BYTES];
                let start = obfuscator.start(&hidden, &mut revealed);
                assert_eq!(start, &whole[..whole.len().min(START_BYTES)], "{length}");
            }
        }
    }

    #[test]
    fn each_responder_and_each_circle_has_a_key_of_its_own() {
        let [one, other] = [[1; 32], [2; 32]].map(PeerId::from_bytes);
        let (public, home) = (
            Circle::public(),
            Circle::private("home", &Secret::new([7; 32])),
        );
        assert_ne!(packet_key(&public, &one), packet_key(&public, &other));
        assert_ne!(packet_key(&public, &one), packet_key(&home, &one));
    }

    /// Counter blocks near an overflow of their low 32, 64 and 128 bits, and some in between.
    #[test]
    fn the_counter_is_a_128_bit_number() {
        for ones in 0..=IV_BYTES {
            for last in [0xf0, 0xfe, 0xff] {
                let mut iv = [0x5a; IV_BYTES];
                iv[IV_BYTES - ones..].fill(0xff);
                iv[IV_BYTES - 1] = last;
                for length in [1, 15, 16, 17, 100, 1452, 9000] {
                    for &provider in provider::all() {
                        let mut datagram = vec![0; length];
                        datagram.extend(iv);
                        Obfuscator::new(&key(), provider).apply(&mut datagram);
                        assert_eq!(datagram[..length], key_stream(iv, length));
                    }
                }
            }
        }
    }

    /// Computes the key stream block by block with the language's own arithmetic.
    fn key_stream(iv: [u8; IV_BYTES], length: usize) -> Vec<u8> {
        let cipher = Aes128Enc::new(key().expose().into());
        let first = u128::from_be_bytes(iv);
        let mut stream: Vec<u8> = (0..length.div_ceil(16) as u128)
            .flat_map(|place| {
                let mut block = first.wrapping_add(place).to_be_bytes().into();
                cipher.encrypt_block(&mut block);
                <[u8; 16]>::from(block)
            })
            .collect();
        stream.truncate(length);
        stream
    }
}
