//! Sealed messages: header ‖ AES-128-CBC ciphertext ‖ HMAC-SHA256 tag
//! (docs/spec/envelope.md#sealed-message).

use super::chain::MessageKeys;
use super::grant::EpochHeader;
use super::{MAX_MESSAGES, MESSAGE_ID_BYTES};
use crate::error::OpenFailed;
use crate::label;
use crate::reader::Reader;
use crate::secret::Secret;
use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Maximum plaintext of a message, in bytes: 60 KiB.
pub const MAX_PLAINTEXT: usize = 60 * 1024;

/// Minimum number of bytes that sealing adds. The cipher's padding adds up to 15 more.
pub const SEALED_OVERHEAD_MIN: usize = HEADER_BYTES + 1 + TAG_BYTES;

pub(super) const HEADER_BYTES: usize = 1 + 8 + 8 + 4 + MESSAGE_ID_BYTES;
pub(super) const TAG_BYTES: usize = 32;
const VERSION: u8 = 1;
const BLOCK_BYTES: usize = 16;

/// Maximum length of a sealed message, in bytes.
pub(super) const MAX_SEALED: usize = HEADER_BYTES + MAX_PLAINTEXT + BLOCK_BYTES + TAG_BYTES;

/// The cleartext header of a sealed message. Not authenticated before the message is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SealedHeader {
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The epoch's number.
    pub epoch: u64,
    /// The message's index in the epoch, from 0, below [`MAX_MESSAGES`].
    pub index: u32,
    /// The message's id, 128 random bits.
    pub message_id: [u8; MESSAGE_ID_BYTES],
}

impl SealedHeader {
    /// Parses the header of a sealed message of valid length, so that the caller can find the
    /// epoch.
    pub fn parse(sealed: &[u8]) -> Result<Self, OpenFailed> {
        Parts::split(sealed)
            .map(|parts| parts.header)
            .ok_or(OpenFailed)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend_from_slice(&self.incarnation.to_be_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.message_id);
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let header = Self {
            incarnation: reader.u64()?,
            epoch: reader.u64()?,
            index: reader.u32().filter(|index| *index < MAX_MESSAGES)?,
            message_id: reader.array()?,
        };
        reader.end()?;
        Some(header)
    }
}

/// Seals one message. The caller has checked that `plaintext` is at most [`MAX_PLAINTEXT`].
pub(super) fn seal(
    keys: &MessageKeys,
    epoch: &EpochHeader,
    header: &SealedHeader,
    plaintext: &[u8],
) -> Vec<u8> {
    let padded = (plaintext.len() / BLOCK_BYTES + 1) * BLOCK_BYTES;
    let mut out = Vec::with_capacity(HEADER_BYTES + padded + TAG_BYTES);
    header.write(&mut out);
    out.extend_from_slice(&encrypt(keys, plaintext));
    let tag = tag(&keys.mac, epoch, &out);
    out.extend_from_slice(&tag);
    out
}

/// Opens one message. The tag is verified before anything is decrypted.
pub(super) fn open(
    keys: &MessageKeys,
    epoch: &EpochHeader,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
    let parts = Parts::split(sealed).ok_or(OpenFailed)?;
    let right: bool = tag(&keys.mac, epoch, parts.tagged).ct_eq(parts.tag).into();
    if !right {
        return Err(OpenFailed);
    }
    decrypt(keys, parts.ciphertext)
}

fn encrypt(keys: &MessageKeys, plaintext: &[u8]) -> Vec<u8> {
    cbc::Encryptor::<Aes128>::new(keys.enc.expose().into(), keys.iv.expose().into())
        .encrypt_padded_vec::<Pkcs7>(plaintext)
}

fn decrypt(keys: &MessageKeys, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let length = cbc::Decryptor::<Aes128>::new(keys.enc.expose().into(), keys.iv.expose().into())
        .decrypt_padded::<Pkcs7>(&mut buffer)
        .map_err(|_| OpenFailed)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

/// Authenticates sender, receiver, incarnation and epoch as the opener knows them, then header and
/// ciphertext. The header contains incarnation, epoch, index and message id.
fn tag(key: &Secret<32>, epoch: &EpochHeader, tagged: &[u8]) -> [u8; TAG_BYTES] {
    label::mac(
        key.expose(),
        "sealed message",
        &[
            epoch.sender.as_bytes(),
            epoch.receiver.as_bytes(),
            &epoch.incarnation.to_be_bytes(),
            &epoch.epoch.to_be_bytes(),
            tagged,
        ],
    )
}

struct Parts<'a> {
    header: SealedHeader,
    /// Header and ciphertext.
    tagged: &'a [u8],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    fn split(sealed: &'a [u8]) -> Option<Self> {
        if sealed.len() > MAX_SEALED {
            return None;
        }
        let (tagged, tag) = sealed.split_last_chunk()?;
        let (header, ciphertext) = tagged.split_at_checked(HEADER_BYTES)?;
        if ciphertext.is_empty() || ciphertext.len() % BLOCK_BYTES != 0 {
            return None;
        }
        Some(Self {
            header: SealedHeader::read(header)?,
            tagged,
            ciphertext,
            tag,
        })
    }
}
