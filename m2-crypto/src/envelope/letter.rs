//! Letters: sealed messages that wait in a mailbox (docs/spec/letter.md).

use super::chain::MessageKeys;
use super::grant::{EpochHeader, GRANT_BYTES, Grant, GrantKind};
use super::receive_epoch::ReceiveEpoch;
use super::sealed::{HEADER_BYTES, TAG_BYTES};
use super::send_epoch::SendEpoch;
use super::{MESSAGE_ID_BYTES, SealError};
use crate::certificate::{Certificate, MODULUS_BYTES};
use crate::error::{KeyError, OpenFailed};
use crate::identity::Identity;
use crate::label;
use crate::peer_id::PeerId;
use crate::reader::Reader;
use crate::secret::Secret;
use aes::Aes128;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// The possible lengths of a letter, in bytes: 1, 2, 4, 8, 16, 32 and 64 KiB. 1 KiB can't hold a
/// grant: senders make no letter of that size, and receivers fail to open one.
pub const LETTER_SIZES: [usize; 7] = [
    1 << 10,
    1 << 11,
    1 << 12,
    1 << 13,
    1 << 14,
    1 << 15,
    1 << 16,
];

/// Maximum plaintext of a letter, in bytes. It fits into 64 KiB when sealed.
pub const MAX_LETTER_PLAINTEXT: usize = super::MAX_PLAINTEXT;

const VERSION: u8 = 1;
const OUTER_BYTES: usize = MODULUS_BYTES + TAG_BYTES;
const INNER_BYTES: usize = 1 + 32 + GRANT_BYTES + 4;

/// The reason why a letter could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LetterError {
    /// The message is too long.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A key was rejected.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A letter whose outer seal was opened. The claimed sender and everything else in it are not
/// authenticated before [`Letter::open`].
pub struct Letter {
    sender: PeerId,
    receiver: PeerId,
    grant: Box<[u8; GRANT_BYTES]>,
    sealed: Vec<u8>,
}

/// An opened, authenticated letter. The caller must reject a (sender, incarnation, epoch) that it
/// has seen before, and keep these for [`MAX_GRANT_AGE_S`](super::MAX_GRANT_AGE_S).
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedLetter {
    /// Sender and receiver; `epoch` is the letter's random number.
    pub header: EpochHeader,
    /// The message's id.
    pub message_id: [u8; MESSAGE_ID_BYTES],
    /// The message that the sender sealed.
    pub plaintext: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for OpenedLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenedLetter(..)")
    }
}

impl Letter {
    /// Seals one message into a letter of one of [`LETTER_SIZES`]. `header` is as for
    /// [`SendEpoch::open`], with a number from the letters' separate number space. Costs one
    /// RSA-4096 signature.
    pub fn seal(
        rng: &mut dyn CryptoRng,
        identity: &Identity,
        receiver_certificate: &Certificate,
        header: EpochHeader,
        message_id: &[u8; MESSAGE_ID_BYTES],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, LetterError> {
        let mut epoch = SendEpoch::of_letter(rng, identity, receiver_certificate, header)?;
        let sealed = epoch.seal(message_id, plaintext)?;
        let inner = inner(&header.sender, epoch.grant(), &sealed).ok_or(SealError::TooLong)?;
        Ok(wrap(rng, receiver_certificate, &header.receiver, inner)?)
    }

    /// Opens the outer seal of a letter from the mailbox of `receiver`, the local peer id, and
    /// reveals the claimed sender. Costs one RSA-4096 private operation.
    pub fn unwrap(
        rng: &mut dyn CryptoRng,
        identity: &Identity,
        receiver: &PeerId,
        letter: &[u8],
    ) -> Result<Self, OpenFailed> {
        let inner = unwrap(rng, identity, receiver, letter)?;
        Self::read(*receiver, &inner).ok_or(OpenFailed)
    }

    fn read(receiver: PeerId, inner: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(inner);
        if reader.u8()? != VERSION {
            return None;
        }
        let letter = Self {
            sender: PeerId::from_bytes(reader.array()?),
            receiver,
            grant: Box::new(reader.array()?),
            sealed: {
                let length = reader.u32()?;
                reader.slice(usize::try_from(length).ok()?)?.to_vec()
            },
        };
        let padding_ok = reader.rest().iter().all(|byte| *byte == 0);
        padding_ok.then_some(letter)
    }

    /// Returns the claimed sender, by which to find the certificate.
    pub const fn sender(&self) -> &PeerId {
        &self.sender
    }

    /// Returns the epoch that the letter's grant names, so that a repeated letter can be rejected
    /// before further work.
    pub fn header(&self) -> Result<EpochHeader, OpenFailed> {
        Grant::parse(self.grant.as_slice())
            .map(|grant| *grant.header())
            .map_err(|_| OpenFailed)
    }

    /// Opens the message with the certificate of the peer that [`Letter::sender`] names. Costs one
    /// RSA-4096 private operation.
    pub fn open(
        &self,
        rng: &mut dyn CryptoRng,
        identity: &Identity,
        sender_certificate: &Certificate,
        now_s: u64,
    ) -> Result<OpenedLetter, OpenFailed> {
        let grant = Grant::parse(self.grant.as_slice()).map_err(|_| OpenFailed)?;
        if grant.kind() != GrantKind::Letter {
            return Err(OpenFailed);
        }
        let own = identity.certificate();
        let grant = grant
            .verify(sender_certificate, &self.sender, &self.receiver, own, now_s)
            .and_then(|grant| grant.unwrap(rng, identity, None))
            .map_err(|_| OpenFailed)?;
        let mut epoch = ReceiveEpoch::new(grant);
        let opened = epoch.open(&self.sealed)?;
        // A letter's epoch has exactly one message.
        if opened.index != 0 {
            return Err(OpenFailed);
        }
        Ok(OpenedLetter {
            header: *epoch.header(),
            message_id: opened.message_id,
            plaintext: opened.plaintext,
        })
    }
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letter(..)")
    }
}

/// Builds version ‖ sender ‖ grant ‖ length ‖ sealed message ‖ zeros up to the letter's size.
/// Returns `None` if no size is large enough.
fn inner(sender: &PeerId, grant: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let needed = OUTER_BYTES + INNER_BYTES + sealed.len();
    let size = LETTER_SIZES.into_iter().find(|size| *size >= needed)?;
    let mut out = Zeroizing::new(Vec::with_capacity(size));
    out.push(VERSION);
    out.extend_from_slice(sender.as_bytes());
    out.extend_from_slice(grant);
    out.extend_from_slice(&u32::try_from(sealed.len()).ok()?.to_be_bytes());
    out.extend_from_slice(sealed);
    out.resize(size - OUTER_BYTES, 0);
    Some(out)
}

/// Builds wrapped key ‖ AES-128-CBC ciphertext ‖ tag. The plaintext is whole blocks and has no
/// padding.
fn wrap(
    rng: &mut dyn CryptoRng,
    certificate: &Certificate,
    receiver: &PeerId,
    mut inner: Zeroizing<Vec<u8>>,
) -> Result<Vec<u8>, KeyError> {
    let key = Secret::<16>::random(rng);
    let mut out = certificate.wrap(rng, &wrap_label(receiver), key.expose())?;
    let keys = letter_keys(&key, receiver, &out);
    let length = inner.len();
    cbc::Encryptor::<Aes128>::new(keys.enc.expose().into(), keys.iv.expose().into())
        .encrypt_padded::<NoPadding>(&mut inner, length)
        .map_err(|_| KeyError::Library)?;
    out.extend_from_slice(&inner);
    let tag = tag(&keys.mac, receiver, &out);
    out.extend_from_slice(&tag);
    Ok(out)
}

fn unwrap(
    rng: &mut dyn CryptoRng,
    identity: &Identity,
    receiver: &PeerId,
    letter: &[u8],
) -> Result<Zeroizing<Vec<u8>>, OpenFailed> {
    if !LETTER_SIZES.contains(&letter.len()) {
        return Err(OpenFailed);
    }
    let (tagged, got) = letter.split_last_chunk::<TAG_BYTES>().ok_or(OpenFailed)?;
    let (wrapped, ciphertext) = tagged.split_at_checked(MODULUS_BYTES).ok_or(OpenFailed)?;
    // Anyone can deposit a letter. A key that fails to unwrap is replaced by a random one and takes
    // the same path up to the tag as a wrong key, so the two can't be distinguished
    // (docs/spec/letter.md#opening).
    let key = identity
        .unwrap(rng, &wrap_label(receiver), wrapped)
        .ok()
        .and_then(|key| Secret::from_slice(&key))
        .unwrap_or_else(|| Secret::random(rng));
    let keys = letter_keys(&key, receiver, wrapped);
    let right: bool = tag(&keys.mac, receiver, tagged).ct_eq(got).into();
    if !right {
        return Err(OpenFailed);
    }
    let mut inner = Zeroizing::new(ciphertext.to_vec());
    cbc::Decryptor::<Aes128>::new(keys.enc.expose().into(), keys.iv.expose().into())
        .decrypt_padded::<NoPadding>(&mut inner)
        .map_err(|_| OpenFailed)?;
    Ok(inner)
}

fn wrap_label(receiver: &PeerId) -> Vec<u8> {
    label::encode("letter key", &[receiver.as_bytes()])
}

fn letter_keys(key: &Secret<16>, receiver: &PeerId, wrapped: &[u8]) -> MessageKeys {
    let salt = label::hash("wrapped letter key", &[wrapped]);
    let fields = [&receiver.as_bytes()[..]];
    MessageKeys::split(&label::derive(key.expose(), &salt, "letter keys", &fields))
}

fn tag(key: &Secret<32>, receiver: &PeerId, tagged: &[u8]) -> [u8; TAG_BYTES] {
    label::mac(key.expose(), "letter", &[receiver.as_bytes(), tagged])
}

const _: () = assert!(
    OUTER_BYTES + INNER_BYTES + HEADER_BYTES + MAX_LETTER_PLAINTEXT + 16 + TAG_BYTES <= 1 << 16,
    "a letter of the longest plaintext fits into 64 KiB"
);
const _: () = assert!(
    OUTER_BYTES.is_multiple_of(16),
    "ciphertexts are whole blocks"
);
