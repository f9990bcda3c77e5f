//! The identity's key file: encrypted or plain PKCS#8 PEM, mode 0600 (spec §4).

use m2_crypto::{Identity, KeyError, Provider};
use rand_core::CryptoRng;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// The key file's name in the data directory.
const FILE_NAME: &str = "identity.pem";

/// A key file, read but maybe not opened yet.
#[derive(Debug)]
pub struct KeyFile {
    pem: Zeroizing<String>,
}

/// The key file can't be used.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The file can't be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key itself is not usable, or the passphrase is wrong.
    #[error("the identity's key file: {0}")]
    Key(KeyError),
}

impl KeyFile {
    /// Reads the key file of `data_dir`, if there is one.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, KeyFileError> {
        let path = data_dir.join(FILE_NAME);
        match fs::read_to_string(&path) {
            Ok(pem) => Ok(Some(Self {
                pem: Zeroizing::new(pem),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeyFileError::Io { path, source }),
        }
    }

    /// Makes a new identity and stores it, durable before this returns.
    pub fn create<R: CryptoRng + ?Sized>(
        data_dir: &Path,
        rng: &mut R,
        provider: &dyn Provider,
        passphrase: Option<&[u8]>,
    ) -> Result<Identity, KeyFileError> {
        let identity = Identity::generate(rng, provider).map_err(KeyFileError::Key)?;
        let pem = identity
            .to_pem(rng, passphrase)
            .map_err(KeyFileError::Key)?;
        let path = data_dir.join(FILE_NAME);
        write_private(&path, pem.as_bytes()).map_err(|source| KeyFileError::Io { path, source })?;
        Ok(identity)
    }

    /// Whether a passphrase is needed.
    pub fn is_encrypted(&self) -> bool {
        self.pem.contains("ENCRYPTED PRIVATE KEY")
    }

    /// Opens the identity.
    pub fn open(
        &self,
        passphrase: Option<&[u8]>,
        provider: &dyn Provider,
    ) -> Result<Identity, KeyFileError> {
        Identity::from_pem(&self.pem, passphrase, provider).map_err(KeyFileError::Key)
    }
}

/// Writes a new file that only the user can read: first under another name, then renamed, both
/// the file and the directory flushed. Never overwrites.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    if path.exists() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(&temporary, path)?;
    if let Some(directory) = path.parent() {
        fs::File::open(directory)?.sync_all()?;
    }
    Ok(())
}
