//! Access tokens of front-ends, which the owner makes with `m2 token create`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::{env, fs, io};

use thiserror::Error;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};
use zeroize::Zeroizing;

/// The environment variable with an access token, for front-ends.
pub const ENV: &str = "M2_TOKEN";

/// The environment variable that names a file with an access token, for front-ends.
pub const FILE_ENV: &str = "M2_TOKEN_FILE";

/// The longest file that is read as a token, in bytes.
const MAX_FILE_BYTES: u64 = 4_096;

/// The access token that a front-end shows, or none. Cheap to clone; never printed.
#[derive(Clone, Default)]
pub struct Token(Option<Arc<MetadataValue<Ascii>>>);

/// The reason why a text or a file is not a token.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The file can't be read.
    #[error("can't read the token file {path}: {source}")]
    Read {
        /// The path of the file.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// The text is empty, too long, or has characters that no token has.
    #[error("{from} is not an access token, which is one line that begins with m2t_")]
    Malformed {
        /// Where the text comes from.
        from: String,
    },
}

impl Token {
    /// Returns the token with this text. White space around it is ignored. `from` names its source in errors.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn parse(text: &str, from: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let malformed = || TokenError::Malformed {
            from: from.to_owned(),
        };
        if !text.starts_with("m2t_") || text.contains(char::is_whitespace) {
            return Err(malformed());
        }
        let header = Zeroizing::new(format!("Bearer {text}"));
        let mut value = MetadataValue::try_from(header.as_str()).map_err(|_| malformed())?;
        value.set_sensitive(true);
        Ok(Self(Some(Arc::new(value))))
    }

    /// Reads a token from a file.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let name = path.display().to_string();
        let read = || {
            let long = io::Error::new(io::ErrorKind::InvalidData, "it is longer than a token");
            let length = fs::metadata(path)?.len();
            if length > MAX_FILE_BYTES {
                return Err(long);
            }
            fs::read_to_string(path)
        };
        let text = read().map_err(|source| TokenError::Read {
            path: name.clone(),
            source,
        })?;
        Self::parse(&Zeroizing::new(text), &name)
    }

    /// Returns the token that the environment names: the file [`FILE_ENV`], or else [`ENV`]. None if both are
    /// unset or empty.
    ///
    /// # Errors
    /// [`TokenError`]
    pub fn from_env() -> Result<Self, TokenError> {
        let given = |name| env::var_os(name).filter(|value| !value.is_empty());
        if let Some(path) = given(FILE_ENV) {
            return Self::read(Path::new(&path));
        }
        match given(ENV) {
            Some(text) => Self::parse(&text.to_string_lossy(), ENV),
            None => Ok(Self::default()),
        }
    }

    /// Returns whether there is a token.
    #[must_use]
    pub fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            let metadata = request.metadata_mut();
            metadata.insert("authorization", MetadataValue::clone(token));
        }
        Ok(request)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.is_some() {
            "Token(redacted)"
        } else {
            "Token(none)"
        };
        formatter.write_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_in_the_header_and_nowhere_else() {
        let mut token = Token::parse(" m2t_abc\n", "it").unwrap();
        assert_eq!(format!("{token:?}"), "Token(redacted)");
        let request = token.call(Request::new(())).unwrap();
        let shown = request.metadata().get("authorization").unwrap();
        assert_eq!(shown.to_str().unwrap(), "Bearer m2t_abc");
        assert!(!format!("{request:?}").contains("m2t_abc"));
        let request = Token::default().call(Request::new(())).unwrap();
        assert!(request.metadata().is_empty());
    }

    #[test]
    fn another_text_is_refused_with_its_source() {
        for wrong in ["", "abc", "m2t_a b", "m2t_a\nm2t_b", "m2t_\u{7f}"] {
            let error = Token::parse(wrong, "M2_TOKEN").unwrap_err().to_string();
            assert!(error.starts_with("M2_TOKEN is not"), "{wrong:?}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_missing_or_too_long_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert!(
            Token::read(&path)
                .unwrap_err()
                .to_string()
                .contains("token")
        );
        fs::write(&path, "m2t_1".repeat(1_000)).unwrap();
        let error = Token::read(&path).unwrap_err().to_string();
        assert!(error.contains("longer"), "{error}");
        fs::write(&path, "m2t_1\n").unwrap();
        assert!(Token::read(&path).unwrap().is_some());
    }
}
