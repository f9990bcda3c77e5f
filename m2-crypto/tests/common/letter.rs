//! A second implementation of letters, written from docs/spec/letter.md on labels, RSA and AES alone, with the one-time key's secrets as inputs. It checks the vectors and makes hostile
//! input.

use super::reference::Keys;
use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use m2_crypto::{PeerId, label};

/// Offset of the signature in the inside: version, sender, incarnation, time, oldest place, id.
pub const SIGNATURE_AT: usize = 1 + 32 + 8 + 8 + 8 + 16;
/// Offset of the payload's length in the inside.
pub const LENGTH_AT: usize = SIGNATURE_AT + 512;
/// Bytes of the inside in addition to payload and padding.
pub const INSIDE: usize = LENGTH_AT + 4;
/// Bytes of the head: wrapped secret, ephemeral key, ciphertext of ML-KEM.
pub const HEAD: usize = 512 + 32 + 1_088;
/// Bytes of a letter in addition to its ciphertext.
pub const OUTSIDE: usize = HEAD + 32;

/// The box and the nonce of a letter.
#[derive(Clone, Copy)]
pub struct Place {
    pub receiver: PeerId,
    pub nonce: [u8; 16],
}

impl Place {
    pub fn wrap_label(&self) -> Vec<u8> {
        label::encode("wrapped secret", &[self.receiver.as_bytes(), &self.nonce])
    }

    /// Returns the keys of a letter. `secrets` are the wrapped secret, those of X25519 and ML-KEM, and
    /// the letter secret; `key` is the public one-time key.
    pub fn keys(&self, secrets: [&[u8]; 4], key: &[u8], head: &[u8]) -> Keys {
        let salt = self.salt(key, head);
        let fields = [&self.receiver.as_bytes()[..], &self.nonce];
        let out = label::derive::<64>(&secrets.concat(), &salt, "letter root", &fields);
        Keys::split(out.expose())
    }

    pub fn salt(&self, key: &[u8], head: &[u8]) -> [u8; 32] {
        label::hash("letter values", &[&self.nonce, key, head])
    }

    pub fn tag(&self, keys: &Keys, tagged: &[u8]) -> [u8; 32] {
        let fields = [&self.receiver.as_bytes()[..], &self.nonce, tagged];
        label::mac(&keys.mac, "sealed letter", &fields)
    }

    /// Returns the message that the sender signs. `fields` are the first 73 bytes of the inside.
    pub fn signed(&self, head: &[u8], fields: &[u8]) -> Vec<u8> {
        let fields = [head, &self.nonce, self.receiver.as_bytes(), fields];
        label::encode("signed letter", &fields)
    }

    pub fn encrypt(&self, keys: &Keys, head: &[u8], inside: &[u8]) -> Vec<u8> {
        let mut letter = head.to_vec();
        letter.extend(
            cbc::Encryptor::<Aes128>::new(&keys.enc.into(), &keys.iv.into())
                .encrypt_padded_vec::<NoPadding>(inside),
        );
        letter.extend(self.tag(keys, &letter));
        letter
    }

    pub fn decrypt(&self, keys: &Keys, letter: &[u8]) -> Vec<u8> {
        let (tagged, tag) = letter.split_at(letter.len() - 32);
        assert_eq!(self.tag(keys, tagged), tag);
        cbc::Decryptor::<Aes128>::new(&keys.enc.into(), &keys.iv.into())
            .decrypt_padded_vec::<NoPadding>(&tagged[HEAD..])
            .unwrap()
    }
}

/// Builds an inside for a letter of `size` bytes. `fields` are its first 73 bytes.
pub fn inside(fields: &[u8], signature: &[u8], payload: &[u8], size: usize) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut inside = [fields, signature, &length, payload].concat();
    assert!(inside.len() <= size - OUTSIDE);
    inside.resize(size - OUTSIDE, 0);
    inside
}

/// Builds the signed fields of an inside.
pub fn fields(version: u8, header: &m2_crypto::letter::LetterHeader) -> Vec<u8> {
    let mut fields = vec![version];
    fields.extend(header.sender.as_bytes());
    fields.extend(header.incarnation.to_be_bytes());
    fields.extend(header.created_s.to_be_bytes());
    fields.extend(header.oldest.to_be_bytes());
    fields.extend(header.message_id);
    fields
}
