//! Packet protection: AES-128-GCM payloads and AES-128 header protection (docs/spec/packet.md).
//!
//! The construction is QUIC's (RFC 9001, sections 5.3 and 5.4): the nonce is the IV xor the packet
//! number, the header is the associated data, and five mask bytes cover the first byte's low bits
//! and the packet number.

use crate::error::OpenFailed;
use crate::label;
use crate::provider::{Aead, Nonce, Provider, Tag};
use crate::secret::Secret;
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use std::fmt;

/// Bytes that protection adds to a packet: the AEAD tag.
pub const TAG_LEN: usize = 16;
/// Bytes of ciphertext from which a header mask is computed.
pub const SAMPLE_LEN: usize = 16;
/// Maximum number of packets that one key seals (docs/spec/packet.md#payload-protection).
pub const CONFIDENTIALITY_LIMIT: u64 = 1 << 23;
/// Number of packets that failed to open after which a connection is closed
/// (docs/spec/packet.md#payload-protection).
pub const INTEGRITY_LIMIT: u64 = 1 << 52;

/// Maximum length of a packet number. The sample starts this many bytes after the number's first
/// byte.
const MAX_NUMBER_LEN: usize = 4;

/// The keys of one direction in one packet number space.
#[derive(Debug)]
pub struct DirectionKeys {
    /// Seals and opens payloads. Replaced by key updates.
    pub packet: PacketKey,
    /// Masks headers. Stays the same for the whole session.
    pub header: HeaderKey,
}

impl DirectionKeys {
    /// Derives the keys from one 32-byte secret.
    pub fn derive(secret: &Secret<32>, provider: &dyn Provider) -> Self {
        Self {
            packet: PacketKey::derive(secret, provider),
            header: HeaderKey::derive(secret),
        }
    }
}

/// AES-128-GCM with a QUIC-style nonce.
pub struct PacketKey {
    aead: Box<dyn Aead>,
    iv: Secret<12>,
}

impl PacketKey {
    /// Derives the payload key from one 32-byte secret.
    pub fn derive(secret: &Secret<32>, provider: &dyn Provider) -> Self {
        let key = label::derive(secret.expose(), &[], "packet protection key", &[]);
        let iv = label::derive(secret.expose(), &[], "packet protection iv", &[]);
        Self::new(&key, iv, provider)
    }

    /// Creates a key from its parts.
    pub fn new(key: &Secret<16>, iv: Secret<12>, provider: &dyn Provider) -> Self {
        Self {
            aead: provider.aead(key),
            iv,
        }
    }

    /// Encrypts `payload` in place and returns the tag that follows it. A packet number must not be
    /// used twice under one key.
    pub fn seal(&self, number: u64, header: &[u8], payload: &mut [u8]) -> Tag {
        self.aead.seal(&self.nonce(number), header, payload)
    }

    /// Decrypts `sealed` (ciphertext, then tag) in place and returns the plaintext's length. On
    /// failure the buffer's content is unspecified.
    pub fn open(&self, number: u64, header: &[u8], sealed: &mut [u8]) -> Result<usize, OpenFailed> {
        let (payload, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(OpenFailed)?;
        self.aead.open(&self.nonce(number), header, payload, tag)?;
        Ok(payload.len())
    }

    fn nonce(&self, number: u64) -> Nonce {
        let mut nonce = *self.iv.expose();
        for (byte, number) in nonce.iter_mut().skip(4).zip(number.to_be_bytes()) {
            *byte ^= number;
        }
        nonce
    }
}

impl fmt::Debug for PacketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PacketKey(..)")
    }
}

/// AES-128-ECB header protection.
pub struct HeaderKey(Aes128);

impl HeaderKey {
    /// Derives the header key from one 32-byte secret.
    pub fn derive(secret: &Secret<32>) -> Self {
        let key = label::derive(secret.expose(), &[], "header protection key", &[]);
        Self::new(&key)
    }

    /// Creates a key from its bytes.
    pub fn new(key: &Secret<16>) -> Self {
        Self(Aes128::new(key.expose().into()))
    }

    /// Computes the mask for one packet: the first five bytes of AES over the sample.
    pub fn mask(&self, sample: &[u8; SAMPLE_LEN]) -> [u8; 5] {
        let mut block = (*sample).into();
        self.0.encrypt_block(&mut block);
        let [a, b, c, d, e, ..] = block.0;
        [a, b, c, d, e]
    }

    /// Masks the header of a sealed packet whose number starts at `number_at`. A packet too short
    /// for a sample is left unchanged.
    pub fn protect(&self, number_at: usize, packet: &mut [u8]) {
        let Some(mask) = self.mask_of(number_at, packet) else {
            return;
        };
        let Some(first) = packet.first_mut() else {
            return;
        };
        let number_len = number_len(*first);
        mask_first(first, mask);
        mask_number(number_at, number_len, packet, mask);
    }

    /// Removes the mask. A packet too short for a sample is left unchanged; its payload won't open.
    pub fn unprotect(&self, number_at: usize, packet: &mut [u8]) {
        let Some(mask) = self.mask_of(number_at, packet) else {
            return;
        };
        let Some(first) = packet.first_mut() else {
            return;
        };
        mask_first(first, mask);
        let number_len = number_len(*first);
        mask_number(number_at, number_len, packet, mask);
    }

    fn mask_of(&self, number_at: usize, packet: &[u8]) -> Option<[u8; 5]> {
        let sample_at = number_at.checked_add(MAX_NUMBER_LEN)?;
        let sample = packet.get(sample_at..)?.first_chunk::<SAMPLE_LEN>()?;
        Some(self.mask(sample))
    }
}

impl fmt::Debug for HeaderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderKey(..)")
    }
}

/// Returns the length of the packet number, 1 to 4 bytes, from an unprotected first byte.
pub fn number_len(first: u8) -> usize {
    1 + usize::from(first & 0x03)
}

fn mask_first(first: &mut u8, [mask, ..]: [u8; 5]) {
    let long_header = *first & 0x80 != 0;
    *first ^= mask & if long_header { 0x0f } else { 0x1f };
}

fn mask_number(number_at: usize, number_len: usize, packet: &mut [u8], mask: [u8; 5]) {
    let number = packet.iter_mut().skip(number_at).take(number_len);
    for (byte, mask) in number.zip(mask.into_iter().skip(1)) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider;

    fn unhex<const N: usize>(text: &str) -> [u8; N] {
        data_encoding::HEXLOWER
            .decode(text.as_bytes())
            .unwrap()
            .try_into()
            .unwrap()
    }

    /// The construction is QUIC's: RFC 9001, appendix A.3 (the server's Initial).
    #[test]
    fn rfc_9001_server_initial() {
        let header: [u8; 20] = unhex("c1000000010008f067a5502a4262b50040750001");
        let plain: [u8; 99] = unhex(concat!(
            "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b",
            "9a045a1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d53",
            "11bcf32bb9da1a002b00020304"
        ));
        for provider in provider::all() {
            let key = Secret::new(unhex("cf3a5331653c364c88f0f379b6067e37"));
            let iv = Secret::new(unhex("0ac1493ca1905853b0bba03e"));
            let key = PacketKey::new(&key, iv, *provider);
            let hp = HeaderKey::new(&Secret::new(unhex("c206b8d9b9f0f37644430b490eeaa314")));
            let mut packet = header.to_vec();
            let mut payload = plain;
            let tag = key.seal(1, &header, &mut payload);
            packet.extend_from_slice(&payload);
            packet.extend_from_slice(&tag);
            hp.protect(18, &mut packet);
            let start: [u8; 28] = unhex("cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b");
            assert_eq!(packet[..28], start);

            hp.unprotect(18, &mut packet);
            assert_eq!(packet[..20], header);
            let length = key.open(1, &header, &mut packet[20..]).unwrap();
            assert_eq!(packet[20..20 + length], plain);
        }
    }

    #[test]
    fn number_header_payload_and_tag_are_authenticated() {
        for provider in provider::all() {
            let keys = DirectionKeys::derive(&Secret::new([7; 32]), *provider);
            let mut sealed = b"payload".to_vec();
            let tag = keys.packet.seal(9, b"header", &mut sealed);
            sealed.extend_from_slice(&tag);
            assert_eq!(keys.packet.open(9, b"header", &mut sealed.clone()), Ok(7));
            assert!(keys.packet.open(8, b"header", &mut sealed.clone()).is_err());
            assert!(keys.packet.open(9, b"Header", &mut sealed.clone()).is_err());
            for at in 0..sealed.len() {
                let mut altered = sealed.clone();
                altered[at] ^= 1;
                assert!(keys.packet.open(9, b"header", &mut altered).is_err());
            }
            assert!(keys.packet.open(9, b"header", &mut sealed[..15]).is_err());
        }
    }

    #[test]
    fn short_packets_are_left_unchanged() {
        let key = HeaderKey::derive(&Secret::new([1; 32]));
        for length in 0..30 {
            let mut packet = vec![0xc3; length];
            key.unprotect(10, &mut packet);
            assert_eq!(packet, vec![0xc3; length]);
            key.protect(usize::MAX, &mut packet);
            assert_eq!(packet, vec![0xc3; length]);
        }
    }
}
