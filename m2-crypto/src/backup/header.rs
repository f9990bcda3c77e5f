//! The header of a backup file: how the file is unlocked (docs/spec/backup.md#layout).

use super::{BackupError, Opener, Sealer};
use crate::error::KeyError;
use crate::identity::Identity;
use crate::label;
use crate::provider::Provider;
use crate::reader::Reader;
use crate::secret::Secret;
use rand_core::CryptoRng;
use rsa::pkcs8::pkcs5::scrypt;
use subtle::ConstantTimeEq;

const MAGIC: &[u8; 8] = b"m2backup";
const VERSION: u8 = 1;
const BY_PASSPHRASE: u8 = 1;
const BY_IDENTITY: u8 = 2;
const SALT_BYTES: usize = 32;
const CHECK_BYTES: usize = 16;
const START_BYTES: usize = 8 + 1 + 1 + SALT_BYTES + 2;

/// Maximum length of the key file in a header, in bytes. An RSA-4096 key file is below 4 KiB.
const MAX_KEY_FILE_BYTES: usize = 16 * 1024;

/// scrypt's cost, fixed in format version 1: N = 2^16, r = 8, p = 2, which takes 64 MiB.
const SCRYPT_LOG_N: u8 = 16;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 2;

/// How a backup is unlocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lock {
    /// By a passphrase chosen for this backup.
    Passphrase,
    /// By the identity's passphrase. Holds the identity's encrypted key file as PEM.
    Identity(String),
}

/// The fixed-length start of a header, which determines the length of the rest.
#[derive(Debug)]
pub struct HeaderStart {
    bytes: [u8; START_BYTES],
    kind: u8,
    key_file_bytes: usize,
}

/// A complete header.
#[derive(Debug)]
pub struct Header {
    /// All bytes before the check.
    prefix: Vec<u8>,
    salt: [u8; SALT_BYTES],
    lock: Lock,
    check: [u8; CHECK_BYTES],
}

impl HeaderStart {
    /// Length of the fixed part, in bytes.
    pub const BYTES: usize = START_BYTES;

    /// Parses the start of a file.
    ///
    /// Errors: [`BackupError::NotABackup`] without the magic bytes, [`BackupError::NewerVersion`]
    /// for a later version, [`BackupError::Damaged`] otherwise, also if `bytes` is not
    /// [`Self::BYTES`] long.
    pub fn parse(bytes: &[u8]) -> Result<Self, BackupError> {
        if !bytes.starts_with(MAGIC) {
            return Err(BackupError::NotABackup);
        }
        if bytes
            .get(MAGIC.len())
            .is_some_and(|version| *version > VERSION)
        {
            return Err(BackupError::NewerVersion);
        }
        let bytes: [u8; START_BYTES] = bytes.try_into().map_err(|_| BackupError::Damaged)?;
        let mut reader = Reader::new(&bytes);
        let start = (|| {
            let _magic = reader.array::<8>()?;
            let (version, kind) = (reader.u8()?, reader.u8()?);
            let _salt = reader.array::<SALT_BYTES>()?;
            let key_file_bytes = usize::from(reader.u16()?);
            let known = match kind {
                BY_PASSPHRASE => key_file_bytes == 0,
                BY_IDENTITY => (1..=MAX_KEY_FILE_BYTES).contains(&key_file_bytes),
                _ => false,
            };
            (version == VERSION && known).then_some((kind, key_file_bytes))
        })();
        let (kind, key_file_bytes) = start.ok_or(BackupError::Damaged)?;
        Ok(Self {
            bytes,
            kind,
            key_file_bytes,
        })
    }

    /// Returns how many bytes of the header follow the fixed part.
    pub const fn rest_bytes(&self) -> usize {
        self.key_file_bytes + CHECK_BYTES
    }

    /// Parses the rest of the header, exactly [`Self::rest_bytes`] bytes.
    pub fn finish(self, rest: &[u8]) -> Result<Header, BackupError> {
        let mut reader = Reader::new(rest);
        let key_file = reader.slice(self.key_file_bytes);
        let check = reader.array();
        let (Some(key_file), Some(check), Some(())) = (key_file, check, reader.end()) else {
            return Err(BackupError::Damaged);
        };
        let lock = match self.kind {
            BY_PASSPHRASE => Lock::Passphrase,
            _ => {
                let text = std::str::from_utf8(key_file).map_err(|_| BackupError::Damaged)?;
                Lock::Identity(text.to_owned())
            }
        };
        let mut salt = [0; SALT_BYTES];
        let at = MAGIC.len() + 2;
        let found = self.bytes.get(at..at + SALT_BYTES);
        salt.copy_from_slice(found.ok_or(BackupError::Damaged)?);
        let mut prefix = self.bytes.to_vec();
        prefix.extend_from_slice(key_file);
        Ok(Header {
            prefix,
            salt,
            lock,
            check,
        })
    }
}

impl Header {
    /// Creates a header locked with `passphrase`, and the [`Sealer`] for the chunks. scrypt takes
    /// about a tenth of a second.
    pub fn with_passphrase<R: CryptoRng + ?Sized>(
        rng: &mut R,
        passphrase: &[u8],
    ) -> Result<(Self, Sealer), BackupError> {
        let header = Self::new(rng, Lock::Passphrase);
        let root = header.stretch(passphrase)?;
        Ok(header.seal(&root))
    }

    /// Creates a header locked with the passphrase of `identity`, and the [`Sealer`] for the
    /// chunks. `key_file` is the identity's encrypted PKCS#8 PEM, at most 16 KiB.
    pub fn with_identity<R: CryptoRng + ?Sized>(
        rng: &mut R,
        identity: &Identity,
        key_file: &str,
    ) -> Result<(Self, Sealer), BackupError> {
        if !(1..=MAX_KEY_FILE_BYTES).contains(&key_file.len()) {
            return Err(BackupError::Damaged);
        }
        let header = Self::new(rng, Lock::Identity(key_file.to_owned()));
        Ok(header.seal(&identity.backup_key()))
    }

    fn new<R: CryptoRng + ?Sized>(rng: &mut R, lock: Lock) -> Self {
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let (kind, key_file) = match &lock {
            Lock::Passphrase => (BY_PASSPHRASE, ""),
            Lock::Identity(key_file) => (BY_IDENTITY, key_file.as_str()),
        };
        let mut prefix = MAGIC.to_vec();
        prefix.extend([VERSION, kind]);
        prefix.extend(salt);
        // At most MAX_KEY_FILE_BYTES.
        prefix.extend((key_file.len() as u16).to_be_bytes());
        prefix.extend(key_file.as_bytes());
        Self {
            prefix,
            salt,
            lock,
            check: [0; CHECK_BYTES],
        }
    }

    fn seal(mut self, root: &Secret<32>) -> (Self, Sealer) {
        let (key, check) = self.keys(root);
        self.check = check;
        (self, Sealer::new(&key))
    }

    /// Encodes the header.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.prefix.clone();
        bytes.extend(self.check);
        bytes
    }

    /// Returns how the backup is unlocked, and so which passphrase to ask for.
    pub const fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Unlocks the backup with the passphrase that [`Self::lock`] names.
    ///
    /// Errors: [`BackupError::Passphrase`] for a wrong passphrase, [`BackupError::Damaged`]
    /// otherwise.
    pub fn open(&self, passphrase: &[u8], provider: &dyn Provider) -> Result<Opener, BackupError> {
        let root = match &self.lock {
            Lock::Passphrase => self.stretch(passphrase)?,
            Lock::Identity(key_file) => {
                let opened = Identity::from_pem(key_file, Some(passphrase), provider);
                opened.map_err(of_key)?.backup_key()
            }
        };
        let (key, check) = self.keys(&root);
        if bool::from(check.ct_eq(&self.check)) {
            Ok(Opener::new(&key))
        } else if self.lock == Lock::Passphrase {
            Err(BackupError::Passphrase)
        } else {
            Err(BackupError::Damaged)
        }
    }

    fn stretch(&self, passphrase: &[u8]) -> Result<Secret<32>, BackupError> {
        let cost = scrypt::Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P);
        let cost = cost.map_err(|_| BackupError::Damaged)?;
        let mut root = zeroize::Zeroizing::new([0; 32]);
        scrypt::scrypt(passphrase, &self.salt, &cost, root.as_mut())
            .map_err(|_| BackupError::Damaged)?;
        Ok(Secret::new(*root))
    }

    /// Derives the chunk key, and the check that distinguishes a wrong passphrase from damage. Both
    /// depend on every byte of the header before the check.
    fn keys(&self, root: &Secret<32>) -> (Secret<32>, [u8; CHECK_BYTES]) {
        let key = label::derive(root.expose(), &self.salt, "backup chunks", &[&self.prefix]);
        let check = label::derive(root.expose(), &self.salt, "backup check", &[&self.prefix]);
        (key, *check.expose())
    }
}

fn of_key(error: KeyError) -> BackupError {
    match error {
        KeyError::Passphrase => BackupError::Passphrase,
        _ => BackupError::Damaged,
    }
}
