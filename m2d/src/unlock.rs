//! Where the passphrase of the identity comes from, in order: a systemd credential, the file that
//! the configuration names, the user through the API (docs/operator/running.md#the-passphrase).

use crate::config::IdentityConfig;
use crate::config::private_file::{self, PrivateFileError};
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// The credential's name: `LoadCredential=m2d-passphrase:…` in the unit.
const CREDENTIAL: &str = "m2d-passphrase";

/// A passphrase. It is never empty.
pub type Passphrase = Zeroizing<String>;

/// The passphrase that the first of the configured sources gives.
#[derive(Debug)]
pub enum Given {
    /// No source is configured: only the user can give it.
    Nothing,
    /// The source is there and empty, which counts as no passphrase.
    Empty(PathBuf),
    /// The passphrase.
    Passphrase(Passphrase),
}

/// A passphrase source is configured but can't be used. Exit code 3.
#[derive(Debug, Error)]
pub enum PassphraseError {
    /// The file can't be read, or others can read it.
    #[error("The passphrase file can't be used. {0}")]
    File(PrivateFileError),
    /// The system does not say whether there is a credential.
    #[error("The credential {path} can't be examined: {source}.")]
    Credential {
        /// The credential.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The passphrase is not text.
    #[error("The passphrase in {0} is not UTF-8 text.")]
    NotText(PathBuf),
    /// The passphrase is empty where one is needed.
    #[error("The passphrase file {0} is empty. Write the passphrase into it, or stop naming it.")]
    Empty(PathBuf),
}

impl Given {
    /// Returns the passphrase that an identity can be opened with, if there is one.
    pub fn usable(&self) -> Option<&Passphrase> {
        match self {
            Self::Passphrase(passphrase) => Some(passphrase),
            Self::Nothing | Self::Empty(_) => None,
        }
    }

    /// Refuses an empty source.
    pub fn into_passphrase(self) -> Result<Option<Passphrase>, PassphraseError> {
        match self {
            Self::Passphrase(passphrase) => Ok(Some(passphrase)),
            Self::Nothing => Ok(None),
            Self::Empty(path) => Err(PassphraseError::Empty(path)),
        }
    }
}

/// Reads the passphrase from the first source that is configured.
pub fn passphrase(config: &IdentityConfig) -> Result<Given, PassphraseError> {
    if let Some(path) = credential()? {
        // The service manager protects it, with access control lists that look like open modes.
        let bytes = private_file::read_unchecked(&path).map_err(PassphraseError::File)?;
        return parse(&path, &bytes);
    }
    match &config.passphrase_file {
        Some(path) => parse(
            path,
            &private_file::read(path).map_err(PassphraseError::File)?,
        ),
        None => Ok(Given::Nothing),
    }
}

/// Returns the bytes of a passphrase without the line break with which editors end a file.
pub fn without_line_break(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n");
    line.map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Returns the path of the service manager's credential if there is one. One that can't be
/// examined is an error, not an absence.
fn credential() -> Result<Option<PathBuf>, PassphraseError> {
    let Some(directory) = env::var_os("CREDENTIALS_DIRECTORY") else {
        return Ok(None);
    };
    let path = Path::new(&directory).join(CREDENTIAL);
    match path.try_exists() {
        Ok(exists) => Ok(exists.then_some(path)),
        Err(source) => Err(PassphraseError::Credential { path, source }),
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Given, PassphraseError> {
    let text = std::str::from_utf8(without_line_break(bytes))
        .map_err(|_| PassphraseError::NotText(path.to_owned()))?;
    if text.is_empty() {
        return Ok(Given::Empty(path.to_owned()));
    }
    Ok(Given::Passphrase(Zeroizing::new(text.to_owned())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs;

    fn read(content: &[u8]) -> Result<Given, PassphraseError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        fs::write(&path, content).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        passphrase(&IdentityConfig {
            passphrase_file: Some(path),
        })
    }

    #[test]
    fn the_last_line_break_of_any_system_does_not_count() {
        for (content, expected) in [
            ("two words \n", "two words "),
            ("two words \r\n", "two words "),
            ("two words ", "two words "),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
        ] {
            let given = read(content.as_bytes()).unwrap();
            assert_eq!(given.usable().unwrap().as_str(), expected);
        }
    }

    #[test]
    fn an_empty_file_gives_no_passphrase() {
        for content in ["", "\n", "\r\n"] {
            let given = read(content.as_bytes()).unwrap();
            assert!(given.usable().is_none());
            assert!(matches!(
                given.into_passphrase(),
                Err(PassphraseError::Empty(_))
            ));
        }
    }

    #[test]
    fn what_m2_unlock_could_not_send_is_refused() {
        assert!(matches!(
            read(&[0xff, 0xfe]),
            Err(PassphraseError::NotText(_))
        ));
    }
}
