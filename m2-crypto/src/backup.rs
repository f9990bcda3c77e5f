//! The format of backup files: header, sealed chunks and contents (docs/spec/backup.md).
//!
//! A file is a [`Header`] followed by chunks of [`CHUNK_BYTES`], sealed by a [`Sealer`] and opened
//! in order by an [`Opener`]. The plaintext begins with the [`Contents`]; the rest is the store.
//! This module does no file IO.

mod contents;
mod header;

pub use contents::{CONTENTS_LENGTH_BYTES, Contents, MAX_CONTENTS_BYTES};
pub use header::{Header, HeaderStart, Lock};

use crate::secret::Secret;
use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use thiserror::Error;

/// Plaintext bytes of every chunk except the last, which has 1 to [`CHUNK_BYTES`].
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes that sealing adds to a chunk.
pub const TAG_BYTES: usize = 16;

/// The reason why a backup can't be made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BackupError {
    /// The file does not start with a backup's magic bytes.
    #[error("This is not an M2 backup.")]
    NotABackup,
    /// The file has a later format version.
    #[error("This backup was made by a newer version of M2. Update M2 and try again.")]
    NewerVersion,
    /// The passphrase is not the one under which the file was made.
    #[error("This passphrase does not open the backup.")]
    Passphrase,
    /// The file was altered, truncated or extended.
    #[error("The backup is damaged or incomplete: its contents can't be trusted.")]
    Damaged,
    /// The identity key is not encrypted, so there is no passphrase under which to make a backup.
    #[error("The identity has no passphrase.")]
    NoPassphrase,
}

/// Seals chunks in order.
pub struct Sealer(Chunks);

/// Opens chunks in order.
pub struct Opener(Chunks);

struct Chunks {
    cipher: Aes256Gcm,
    next: u64,
}

impl Sealer {
    fn new(key: &Secret<32>) -> Self {
        Self(Chunks::new(key))
    }

    /// Seals the next chunk in place: 1 to [`CHUNK_BYTES`] bytes, fewer in the last one only.
    ///
    /// Error: [`BackupError::Damaged`] for a chunk of another length.
    pub fn seal(&mut self, chunk: &mut Vec<u8>, is_last: bool) -> Result<(), BackupError> {
        if !fits(chunk.len(), is_last) {
            return Err(BackupError::Damaged);
        }
        let nonce = self.0.nonce(is_last);
        let sealed =
            self.0
                .cipher
                .encrypt_inout_detached(&nonce.into(), &[], chunk.as_mut_slice().into());
        chunk.extend_from_slice(&sealed.map_err(|_| BackupError::Damaged)?);
        Ok(())
    }
}

impl Opener {
    fn new(key: &Secret<32>) -> Self {
        Self(Chunks::new(key))
    }

    /// Opens the next chunk in place. `is_last`: nothing follows it in the file.
    pub fn open(&mut self, chunk: &mut Vec<u8>, is_last: bool) -> Result<(), BackupError> {
        let Some((sealed, tag)) = chunk.split_last_chunk_mut::<TAG_BYTES>() else {
            return Err(BackupError::Damaged);
        };
        if !fits(sealed.len(), is_last) {
            return Err(BackupError::Damaged);
        }
        let (nonce, tag) = (self.0.nonce(is_last), *tag);
        self.0
            .cipher
            .decrypt_inout_detached(&nonce.into(), &[], sealed.into(), &tag.into())
            .map_err(|_| BackupError::Damaged)?;
        chunk.truncate(chunk.len() - TAG_BYTES);
        Ok(())
    }
}

impl Chunks {
    fn new(key: &Secret<32>) -> Self {
        Self {
            cipher: Aes256Gcm::new(key.expose().into()),
            next: 0,
        }
    }

    /// Returns the nonce: three zero bytes, the chunk's number (u64) and the last-chunk flag. Each
    /// key serves one file, so no nonce repeats under a key.
    fn nonce(&mut self, is_last: bool) -> [u8; 12] {
        let mut nonce = [0; 12];
        let (_, number) = nonce.split_at_mut(3);
        for (byte, value) in number.iter_mut().zip(self.next.to_be_bytes()) {
            *byte = value;
        }
        nonce[11] = u8::from(is_last);
        // Never wraps in practice: that would take a file of 2^64 chunks.
        self.next = self.next.wrapping_add(1);
        nonce
    }
}

fn fits(length: usize, is_last: bool) -> bool {
    length == CHUNK_BYTES || (is_last && (1..CHUNK_BYTES).contains(&length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer_id::PeerId;
    use crate::provider;
    use crate::{Circle, Identity};
    use rand_core::UnwrapErr;
    use zeroize::Zeroizing;

    const ALICE: &str = include_str!("../../tests/vectors/identities/alice.pem");

    fn rng() -> UnwrapErr<getrandom::SysRng> {
        UnwrapErr(getrandom::SysRng)
    }

    /// Parses a header from its bytes, as a reader of a file does.
    fn parse(bytes: &[u8]) -> Result<Header, BackupError> {
        let (start, rest) = bytes.split_at(HeaderStart::BYTES.min(bytes.len()));
        let start = HeaderStart::parse(start)?;
        start.finish(rest)
    }

    fn opens(header: &Header, passphrase: &[u8]) -> Result<Opener, BackupError> {
        header.open(passphrase, provider::default())
    }

    #[test]
    fn only_the_right_passphrase_opens_a_backup() {
        let (header, mut sealer) = Header::with_passphrase(&mut rng(), b"one").unwrap();
        let (mut first, mut last) = (vec![1; CHUNK_BYTES], vec![2; 5]);
        sealer.seal(&mut first, false).unwrap();
        sealer.seal(&mut last, true).unwrap();

        let header = parse(&header.to_bytes()).unwrap();
        assert_eq!(header.lock(), &Lock::Passphrase);
        assert_eq!(opens(&header, b"two").err(), Some(BackupError::Passphrase));
        let mut opener = opens(&header, b"one").unwrap();
        let mut opened = first.clone();
        opener.open(&mut opened, false).unwrap();
        assert_eq!(opened, vec![1; CHUNK_BYTES]);
        opened.clone_from(&last);
        opener.open(&mut opened, true).unwrap();
        assert_eq!(opened, [2; 5]);

        // Reordered, truncated at a chunk boundary, and extended by a chunk.
        let mut opener = opens(&header, b"one").unwrap();
        assert!(opener.open(&mut last.clone(), true).is_err());
        let mut opener = opens(&header, b"one").unwrap();
        assert!(opener.open(&mut first.clone(), true).is_err());
        let mut opener = opens(&header, b"one").unwrap();
        opener.open(&mut first.clone(), false).unwrap();
        assert!(opener.open(&mut last, false).is_err());
    }

    #[test]
    fn the_identity_passphrase_opens_a_backup_locked_by_the_identity() {
        let alice = Identity::from_pem(ALICE, None, provider::default()).unwrap();
        let pem = alice.to_pem(&mut rng(), Some(b"hers")).unwrap();
        let (header, mut sealer) = Header::with_identity(&mut rng(), &alice, &pem).unwrap();
        let mut chunk = vec![3; 7];
        sealer.seal(&mut chunk, true).unwrap();
        let bytes = header.to_bytes();
        let header = parse(&bytes).unwrap();
        assert_eq!(opens(&header, b"his").err(), Some(BackupError::Passphrase));
        opens(&header, b"hers")
            .unwrap()
            .open(&mut chunk, true)
            .unwrap();
        assert_eq!(chunk, [3; 7]);
    }

    #[test]
    fn a_change_to_any_header_byte_is_detected() {
        let (header, _) = Header::with_passphrase(&mut rng(), b"one").unwrap();
        let bytes = header.to_bytes();
        for at in [0, 7, 8, 9, 10, 41, 42, 43, 44, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let opened = parse(&changed).and_then(|header| opens(&header, b"one"));
            assert!(opened.is_err(), "byte {at}");
        }
        let mut newer = bytes.clone();
        newer[8] = 2;
        assert_eq!(parse(&newer).err(), Some(BackupError::NewerVersion));
        assert_eq!(parse(b"").err(), Some(BackupError::NotABackup));
        assert_eq!(parse(b"m2backup").err(), Some(BackupError::Damaged));
        assert!(parse(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn contents_round_trip() {
        let alice = Identity::from_pem(ALICE, None, provider::default()).unwrap();
        let contents = Contents {
            created_ms: 1_800_000_000_000,
            peer_id: alice.peer_id(Circle::public().id()),
            circle: "public".to_owned(),
            schema: 7,
            contacts: 2,
            messages: 3,
            store_bytes: 4_096,
            store_key: alice.store_key(),
            key_file: Zeroizing::new(ALICE.to_owned()),
        };
        let bytes = contents.encode().unwrap();
        let (length, rest) = bytes.split_first_chunk().unwrap();
        assert_eq!(Contents::parse_length(*length).unwrap(), rest.len());
        let parsed = Contents::parse(rest).unwrap();
        assert!(parsed == contents);
        for length in 0..rest.len() {
            assert!(Contents::parse(&rest[..length]).is_err());
        }
        assert!(Contents::parse_length([0, 1, 0, 0]).is_err());
        let _: PeerId = parsed.peer_id;
    }
}
