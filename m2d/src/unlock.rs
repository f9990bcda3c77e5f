//! Where the passphrase of the identity comes from, in order: a systemd credential, a file, the
//! user through the API (spec §4).

use crate::config::IdentityConfig;
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// The credential's name: `LoadCredential=m2d-passphrase:…` in the unit.
const CREDENTIAL: &str = "m2d-passphrase";

/// A passphrase source is named but can't be read.
#[derive(Debug, Error)]
#[error("can't read the passphrase file {path}: {source}")]
pub struct PassphraseError {
    path: PathBuf,
    source: io::Error,
}

/// The passphrase of the first source that is there; None when only the user can give it.
pub fn passphrase(config: &IdentityConfig) -> Result<Option<Zeroizing<Vec<u8>>>, PassphraseError> {
    let credential = env::var_os("CREDENTIALS_DIRECTORY")
        .map(|directory| Path::new(&directory).join(CREDENTIAL))
        .filter(|path| path.exists());
    match credential.as_ref().or(config.passphrase_file.as_ref()) {
        Some(path) => read(path).map(Some),
        None => Ok(None),
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, PassphraseError> {
    let mut bytes = fs::read(path)
        .map(Zeroizing::new)
        .map_err(|source| PassphraseError {
            path: path.to_owned(),
            source,
        })?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_last_line_break_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        fs::write(&path, "two words \n").unwrap();
        let config = IdentityConfig {
            passphrase_file: Some(path),
        };
        let read = passphrase(&config).unwrap().unwrap();
        assert_eq!(read.as_slice(), b"two words ");
    }
}
