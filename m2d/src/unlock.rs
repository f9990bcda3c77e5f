//! The source of the identity's passphrase, in this order: a systemd credential, the file that the
//! configuration names, the user through the API (docs/operator/running.md#the-passphrase).

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

/// The result of reading the first configured passphrase source.
#[derive(Debug)]
pub enum Given {
    /// No source is configured: the passphrase can only come from the user.
    Nothing,
    /// The source exists but is empty, which counts as no passphrase.
    Empty(PathBuf),
    /// The source holds this passphrase.
    Passphrase(Passphrase),
}

/// A passphrase source is configured but can't be used. The daemon exits with code 3.
#[derive(Debug, Error)]
pub enum PassphraseError {
    /// The file can't be read, or other users can read it.
    #[error("The passphrase file can't be used. {0}")]
    File(PrivateFileError),
    /// The system can't determine whether the credential exists.
    #[error("The credential {path} can't be examined: {source}.")]
    Credential {
        /// The path of the credential.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The passphrase is not UTF-8 text.
    #[error("The passphrase in {0} is not UTF-8 text.")]
    NotText(PathBuf),
    /// The source is empty although a passphrase is needed.
    #[error("The passphrase file {0} is empty. Write the passphrase into it, or stop naming it.")]
    Empty(PathBuf),
}

impl Given {
    /// Returns the passphrase if the source holds one.
    pub fn usable(&self) -> Option<&Passphrase> {
        match self {
            Self::Passphrase(passphrase) => Some(passphrase),
            Self::Nothing | Self::Empty(_) => None,
        }
    }

    /// Returns the passphrase, if any. Refuses an empty source.
    pub fn into_passphrase(self) -> Result<Option<Passphrase>, PassphraseError> {
        match self {
            Self::Passphrase(passphrase) => Ok(Some(passphrase)),
            Self::Nothing => Ok(None),
            Self::Empty(path) => Err(PassphraseError::Empty(path)),
        }
    }
}

/// Reads the passphrase from the first configured source.
pub fn passphrase(config: &IdentityConfig) -> Result<Given, PassphraseError> {
    if let Some(path) = credential()? {
        // The service manager protects the credential with access control lists, which show up as
        // an open mode.
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

/// Returns the bytes of a passphrase without the line break that editors append to a file.
pub fn without_line_break(bytes: &[u8]) -> &[u8] {
    let line = bytes.strip_suffix(b"\n");
    line.map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Returns the path of the service manager's credential if it exists. A credential that can't be
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
    fn the_last_line_break_of_any_system_is_stripped() {
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
    fn an_empty_file_holds_no_passphrase() {
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
    fn a_passphrase_that_is_not_utf8_is_refused() {
        assert!(matches!(
            read(&[0xff, 0xfe]),
            Err(PassphraseError::NotText(_))
        ));
    }
}
