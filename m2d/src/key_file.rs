//! The identity's key file: encrypted or plain PKCS#8 PEM, mode 0600
//! (docs/spec/identity.md#the-key-file).
//!
//! A line of text before the PEM block records that a store was created for the key, so that a lost
//! store can be distinguished from one that never existed.

use m2_backup::private;
use m2_crypto::{Identity, KeyError, Provider};
use rand_core::CryptoRng;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// The key file's name in the data directory.
pub const FILE_NAME: &str = "identity.pem";

/// The line in the file of a key whose store was created. PEM parsers skip it (RFC 7468).
const STORE_MARK: &str = "M2-Store: begun";

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
const BEGIN: &str = "-----BEGIN ";

/// The extension of a key file that is not completely written yet.
const NEW_EXTENSION: &str = "new";

/// The most that is read, in bytes. Key files are smaller than 4 KiB.
const MAX_BYTES: u64 = 64 * 1024;

/// A key file that was read; the identity in it may still be encrypted.
#[derive(Clone)]
pub struct KeyFile {
    path: PathBuf,
    text: Zeroizing<String>,
}

/// The key file can't be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file can't be read or written.
    #[error("Can't use the key file {path}: {source}.")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The key is not usable, or the passphrase is wrong.
    #[error("The key file {path}: {error}.")]
    Key {
        /// The file.
        path: PathBuf,
        /// The key's error.
        error: KeyError,
    },
}

impl KeyFile {
    /// Reads the key file of `data_dir`, if it exists.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, KeyFileError> {
        let path = data_dir.join(FILE_NAME);
        match read_text(&path) {
            Ok(text) => Ok(Some(Self { path, text })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeyFileError::Io { path, source }),
        }
    }

    /// Creates an identity and its key file, which is durable when this returns.
    pub fn create<R: CryptoRng + ?Sized>(
        data_dir: &Path,
        rng: &mut R,
        provider: &dyn Provider,
        passphrase: Option<&[u8]>,
    ) -> Result<(Self, Identity), KeyFileError> {
        let path = data_dir.join(FILE_NAME);
        let failed = |error| KeyFileError::Key {
            path: path.clone(),
            error,
        };
        let identity = Identity::generate(rng, provider).map_err(failed)?;
        let text = identity.to_pem(rng, passphrase).map_err(failed)?;
        write_new(&path, text.as_bytes()).map_err(|source| KeyFileError::Io {
            path: path.clone(),
            source,
        })?;
        Ok((Self { path, text }, identity))
    }

    /// Removes the file that an interrupted write left next to the key file. It may hold the key
    /// without its passphrase.
    pub fn remove_leftover(data_dir: &Path) -> Result<(), KeyFileError> {
        let path = temporary_of(&target_of(&data_dir.join(FILE_NAME)));
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(KeyFileError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    /// Returns whether a passphrase is needed.
    pub fn is_encrypted(&self) -> bool {
        self.text.contains(ENCRYPTED)
    }

    /// Returns the complete text of the file.
    pub fn text(&self) -> Zeroizing<String> {
        self.text.clone()
    }

    /// Opens the identity.
    pub fn open(
        &self,
        passphrase: Option<&[u8]>,
        provider: &dyn Provider,
    ) -> Result<Identity, KeyFileError> {
        Identity::from_pem(&self.text, passphrase, provider).map_err(|error| self.failed(error))
    }

    /// Returns whether a store was created for this key.
    pub fn had_store(&self) -> bool {
        let before = self.text.split(BEGIN).next().unwrap_or_default();
        before.lines().any(|line| line.trim() == STORE_MARK)
    }

    /// Records in the file that a store was created for this key. The record is durable when this
    /// returns.
    pub fn mark_store(&mut self) -> Result<(), KeyFileError> {
        if self.had_store() {
            return Ok(());
        }
        let text = Zeroizing::new(format!("{STORE_MARK}\n{}", self.text.as_str()));
        self.replace(text)
    }

    /// Encrypts `identity`, which must be the one in this file, under another passphrase, or stores
    /// it without one. The old file stays valid until the new one is complete on disk and was
    /// opened.
    pub fn set_passphrase<R: CryptoRng + ?Sized>(
        &mut self,
        identity: &Identity,
        rng: &mut R,
        provider: &dyn Provider,
        passphrase: Option<&[u8]>,
    ) -> Result<(), KeyFileError> {
        let pem = identity
            .to_pem(rng, passphrase)
            .map_err(|error| self.failed(error))?;
        Identity::from_pem(&pem, passphrase, provider).map_err(|error| self.failed(error))?;
        let text = if self.had_store() {
            Zeroizing::new(format!("{STORE_MARK}\n{}", pem.as_str()))
        } else {
            pem
        };
        self.replace(text)
    }

    fn replace(&mut self, text: Zeroizing<String>) -> Result<(), KeyFileError> {
        replace_durably(&self.path, text.as_bytes()).map_err(|source| KeyFileError::Io {
            path: self.path.clone(),
            source,
        })?;
        self.text = text;
        Ok(())
    }

    fn failed(&self, error: KeyError) -> KeyFileError {
        KeyFileError::Key {
            path: self.path.clone(),
            error,
        }
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFile")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    File::open(path)?
        .take(MAX_BYTES)
        .read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a new file that only its owner can read. Fails if the file exists.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if path.try_exists()? {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    replace_durably(path, bytes)
}

/// Writes a file that only its owner can read under a temporary name, flushes it, renames it over
/// `path` and flushes the directory, so that `path` always names a complete file. A symbolic link
/// is kept and its target is replaced.
fn replace_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let target = target_of(path);
    let temporary = temporary_of(&target);
    // A file left by an interrupted attempt may have another mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&temporary, &target)) {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(&target)
}

/// Returns the target of a symbolic link, or the path itself.
fn target_of(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Returns the temporary name of a file that is not complete yet.
fn temporary_of(target: &Path) -> PathBuf {
    target.with_extension(NEW_EXTENSION)
}

/// Flushes the directory that contains `path`.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => private::sync_entries(directory),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::provider;
    use rand_core::UnwrapErr;

    const ALICE: &str = include_str!("../../tests/vectors/identities/alice.pem");

    fn alice() -> (tempfile::TempDir, KeyFile) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE_NAME), ALICE).unwrap();
        let file = KeyFile::read(dir.path()).unwrap().unwrap();
        (dir, file)
    }

    #[test]
    fn the_store_mark_is_kept_and_the_key_opens() {
        let (dir, mut file) = alice();
        assert!(!file.had_store());
        let before = file.open(None, provider::default()).unwrap();
        file.mark_store().unwrap();
        file.mark_store().unwrap();
        let mut again = KeyFile::read(dir.path()).unwrap().unwrap();
        assert!(again.had_store() && !again.is_encrypted());
        assert_eq!(again.text.matches(STORE_MARK).count(), 1);
        let after = again.open(None, provider::default()).unwrap();
        assert_eq!(before.certificate(), after.certificate());

        let mut rng = UnwrapErr(getrandom::SysRng);
        again
            .set_passphrase(&after, &mut rng, provider::default(), Some(b"open sesame"))
            .unwrap();
        let locked = KeyFile::read(dir.path()).unwrap().unwrap();
        assert!(locked.had_store() && locked.is_encrypted());
        assert!(locked.open(Some(b"another"), provider::default()).is_err());
        assert!(
            locked
                .open(Some(b"open sesame"), provider::default())
                .is_ok()
        );
    }

    #[test]
    fn an_interrupted_write_leaves_no_second_key() {
        let (dir, file) = alice();
        let leftover = dir.path().join("identity.new");
        fs::write(&leftover, ALICE).unwrap();
        KeyFile::remove_leftover(dir.path()).unwrap();
        KeyFile::remove_leftover(dir.path()).unwrap();
        assert!(!leftover.exists());
        assert!(file.open(None, provider::default()).is_ok());
    }

    #[test]
    fn text_before_the_key_does_not_make_it_encrypted() {
        let (dir, _) = alice();
        let text = format!("ENCRYPTED PRIVATE KEY\n{ALICE}");
        fs::write(dir.path().join(FILE_NAME), text).unwrap();
        let file = KeyFile::read(dir.path()).unwrap().unwrap();
        assert!(!file.is_encrypted());
    }
}
