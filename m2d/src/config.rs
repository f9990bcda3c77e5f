//! The daemon's configuration: one TOML file. Every key has a default. An unknown key is an error
//! that names the key and its line.

// The modules are named by path because a fuzz target includes this file by its path.
#[path = "config/access.rs"]
mod access;
#[path = "config/changes.rs"]
mod changes;
#[path = "config/files.rs"]
mod files;
#[path = "config/line.rs"]
mod line;
#[path = "config/lookup.rs"]
mod lookup;
#[path = "config/mailbox.rs"]
mod mailbox;
#[path = "config/privacy.rs"]
mod privacy;
#[path = "config/private_file.rs"]
pub mod private_file;
#[path = "config/ranges.rs"]
mod ranges;
#[path = "config/relay.rs"]
mod relay;
#[path = "config/summary.rs"]
mod summary;

pub use access::{AccessConfig, UserName};
pub use changes::Change;
pub use line::LineConfig;
pub use lookup::LookupConfig;
pub use m2_core::IpMode;
use m2_core::StoreLimits;
pub use mailbox::MailboxConfig;
pub use privacy::{Padding, PrivacyConfig};
pub use private_file::PrivateFileError;
pub use relay::RelayConfig;

use m2_crypto::{Circle, Secret};
use m2_net::key_pool;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The complete configuration.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[circle]`
    pub circle: CircleConfig,
    /// `[identity]`
    pub identity: IdentityConfig,
    /// `[network]`
    pub network: NetworkConfig,
    /// `[privacy]`
    pub privacy: PrivacyConfig,
    /// `[lookup]`
    pub lookup: LookupConfig,
    /// `[store]`
    pub store: StoreLimits,
    /// `[line]`
    pub line: LineConfig,
    /// `[mailbox]`
    pub mailbox: MailboxConfig,
    /// `[relay]`
    pub relay: RelayConfig,
    /// `[access]`
    pub access: AccessConfig,
    /// `[log]`
    pub log: LogConfig,
    /// The settings in the file, without anything private.
    #[serde(skip)]
    pub summary: Vec<String>,
}

/// The daemon's circle.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct CircleConfig {
    /// The circle's name.
    pub name: String,
    /// A file with the private circle's secret: 64 hexadecimal digits. Absent for the public
    /// circle. A relative path is relative to the directory of the configuration file.
    pub secret_file: Option<PathBuf>,
}

impl Default for CircleConfig {
    fn default() -> Self {
        Self {
            name: m2_crypto::circle::PUBLIC_NAME.to_owned(),
            secret_file: None,
        }
    }
}

/// The source of the identity's passphrase (docs/spec/identity.md#the-key-file).
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// A file with the passphrase of the key file; its last line break is ignored. A relative path
    /// is relative to the directory of the configuration file.
    pub passphrase_file: Option<PathBuf>,
}

/// Sockets and limits of the network.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// The UDP addresses to bind, one socket each. Port 0 means the port of the previous run if it
    /// is free, otherwise any port.
    pub listen: Vec<SocketAddr>,
    /// The number of session keys kept ready, 2 to 10,000. See [`Config::session_keys`].
    pub session_keys: Option<u32>,
    /// The number of handshakes that may do RSA work concurrently, 1 to 64.
    pub handshakes: u32,
    /// The maximum number of concurrent sessions.
    pub max_sessions: u32,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            listen: vec![
                SocketAddr::from(([0, 0, 0, 0], 0)),
                SocketAddr::from(([0_u16; 8], 0)),
            ],
            session_keys: None,
            handshakes: 4,
            max_sessions: 2_000,
        }
    }
}

/// Logging.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The level (error, warn, info, debug or trace), or a filter such as `info,m2_net=debug`.
    pub filter: String,
    /// Logs one JSON object per line instead of text.
    pub json: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            json: false,
        }
    }
}

/// The reason for which the configuration can't be used. Exit code 2.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// The path of the file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not TOML, has an unknown key, or has a value of the wrong type.
    #[error("{path}: {message}")]
    Parse {
        /// The path of the file.
        path: PathBuf,
        /// The parser's message with line and key.
        message: String,
    },
    /// A value is out of range.
    #[error("[{section}] {key} must be {expected}")]
    Range {
        /// The section's name.
        section: &'static str,
        /// The key's name.
        key: &'static str,
        /// A description of the accepted values.
        expected: &'static str,
    },
    /// The secret file of a private circle does not hold 64 hexadecimal digits.
    #[error("{path}: a circle's secret is 64 hexadecimal digits")]
    CircleSecret {
        /// The path of the file.
        path: PathBuf,
    },
    /// A file with a secret can't be read, or other users can read it.
    #[error(transparent)]
    SecretFile(#[from] PrivateFileError),
    /// A circle other than the public one has no secret.
    #[error("[circle] secret_file is missing: every circle but \"public\" needs one")]
    CircleWithoutSecret,
    /// Peers would not dial an announced address.
    #[error(
        "[privacy] announce: no peer dials {address}. Peers dial public and private addresses, at port \
         443 or 1024 and above (docs/spec/reach.md#addresses-that-others-name)"
    )]
    Announced {
        /// The configured address.
        address: SocketAddr,
    },
    /// A user that may use the daemon does not exist.
    #[error("[access] users: this computer has no user named \"{name}\"")]
    NoUser {
        /// The configured name.
        name: String,
    },
    /// The system does not report the user that the daemon runs as.
    #[cfg(windows)]
    #[error("the system does not report the user of this process: {source}")]
    OwnUser {
        /// The system's error.
        source: io::Error,
    },
    /// The group whose members may use the daemon does not exist.
    #[error("[access] group: this computer has no group named \"{name}\"")]
    NoGroup {
        /// The configured name.
        name: String,
    },
    /// A setting has no effect without another one.
    #[error("[{section}] {key} needs [{section}] {needs}")]
    Needs {
        /// The section's name.
        section: &'static str,
        /// The key's name.
        key: &'static str,
        /// The other key with its value.
        needs: &'static str,
    },
    /// A role can't be served in line-only mode.
    #[error(
        "[{section}] serve needs sockets that are reachable, and [privacy] ip = \"line-only\" opens none: serve from a separate daemon"
    )]
    ServesUnseen {
        /// The section of the role.
        section: &'static str,
    },
}

impl ConfigError {
    /// Returns the error without text of the file and without addresses, for the log.
    pub fn brief(&self) -> String {
        match self {
            Self::Parse { path, message } => {
                let place = message.lines().next().unwrap_or_default();
                format!("{}: {place}", path.display())
            }
            Self::Announced { .. } => "[privacy] announce: no peer dials an address".to_owned(),
            other => other.to_string(),
        }
    }
}

impl Config {
    /// Returns whether the daemon listens only on loopback. Its peers are then on the same host, so
    /// that loopback addresses are meaningful to them.
    pub fn is_loopback_only(&self) -> bool {
        let listen = &self.network.listen;
        !listen.is_empty() && listen.iter().all(|address| address.ip().is_loopback())
    }

    /// Reads and checks a file. If `optional` is set, a missing file means the default
    /// configuration.
    pub fn load(path: &Path, optional: bool) -> Result<Self, ConfigError> {
        let text = read(path, optional)?;
        let mut config = Self::parse(&text).map_err(|message| ConfigError::Parse {
            path: path.to_owned(),
            message,
        })?;
        config.summary = summary::summary(&text);
        config.check_ranges()?;
        config.resolve_paths(path)?;
        if config.mailbox.holds_password() {
            private_file::check(path)?;
        }
        Ok(config)
    }

    /// Parses TOML text. The error message contains the line and the key.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Returns the circle; reads its secret from the file.
    pub fn circle(&self) -> Result<Circle, ConfigError> {
        let Some(path) = &self.circle.secret_file else {
            return if self.circle.name == m2_crypto::circle::PUBLIC_NAME {
                Ok(Circle::public())
            } else {
                Err(ConfigError::CircleWithoutSecret)
            };
        };
        let bytes = private_file::read(path)?;
        let secret = parse_secret(bytes.trim_ascii())
            .ok_or_else(|| ConfigError::CircleSecret { path: path.clone() })?;
        Ok(Circle::private(&self.circle.name, &secret))
    }

    /// Returns the number of session keys kept ready: the configured number, or the default for the
    /// daemon's roles.
    pub fn session_keys(&self) -> usize {
        match self.network.session_keys {
            Some(keys) => keys as usize,
            None if self.mailbox.serve || self.relay.serve => key_pool::ROLE_SIZE,
            None => key_pool::PERSONAL_SIZE,
        }
    }

    /// Returns the maximum number of concurrent sessions, including those of a relay's users.
    pub fn max_sessions(&self) -> usize {
        let of_relay = if self.relay.serve {
            self.relay.max_sessions
        } else {
            0
        };
        self.network.max_sessions as usize + of_relay as usize
    }
}

/// Returns the text of the configuration file; empty if it is `optional` and missing.
fn read(path: &Path, optional: bool) -> Result<String, ConfigError> {
    match fs::read_to_string(path) {
        Err(error) if optional && error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn parse_secret(text: &[u8]) -> Option<Secret<32>> {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE
        .decode(text)
        .ok()
        .map(zeroize::Zeroizing::new)?;
    Secret::from_slice(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Config::parse("[network]\nlisten = []\nlisten_on = 3\n").unwrap_err();
        assert!(error.contains("listen_on"), "{error}");
        assert!(error.contains("line 3"), "{error}");
    }

    #[test]
    fn a_brief_error_names_the_line_and_quotes_nothing() {
        let message = Config::parse("[mailbox]\nnats = nats://me:hush@host\n").unwrap_err();
        assert!(message.contains("hush"), "{message}");
        let path = PathBuf::from("/etc/m2d/m2d.toml");
        let brief = ConfigError::Parse { path, message }.brief();
        assert!(
            brief.contains("line 2") && !brief.contains("hush"),
            "{brief}"
        );
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = Config::parse("").unwrap();
        assert_eq!(config.session_keys(), 16);
        assert!(!config.mailbox.serve);
        assert!(config.circle().unwrap().is_public());
    }

    #[test]
    fn a_named_circle_needs_its_secret() {
        let config = Config::parse("[circle]\nname = \"home\"\n").unwrap();
        assert!(matches!(
            config.circle(),
            Err(ConfigError::CircleWithoutSecret)
        ));
    }

    #[test]
    fn a_mailbox_keeps_more_session_keys_ready_unless_told_otherwise() {
        let config = Config::parse("[mailbox]\nserve = true\n").unwrap();
        assert_eq!(config.session_keys(), 1_000);
        let config = "[mailbox]\nserve = true\n[network]\nsession_keys = 9\n";
        assert_eq!(Config::parse(config).unwrap().session_keys(), 9);
    }

    #[test]
    fn a_relay_keeps_more_session_keys_ready_too() {
        let config = Config::parse("[relay]\nserve = true\n").unwrap();
        assert_eq!(config.session_keys(), 1_000);
    }

    #[test]
    fn modes_are_words_and_later_ones_are_stricter() {
        let text = "[privacy]\nip = \"prefer-line\"\npadding = \"full\"\n";
        let privacy = Config::parse(text).unwrap().privacy;
        assert_eq!(privacy.ip, IpMode::PreferLine);
        assert!(privacy.pads());
        assert!(IpMode::Direct < IpMode::PreferLine && IpMode::PreferLine < IpMode::LineOnly);
        let error = Config::parse("[privacy]\nip = \"hidden\"\n").unwrap_err();
        assert!(error.contains("line-only"), "{error}");
    }

    #[test]
    fn a_line_only_daemon_can_not_serve_a_role() {
        for role in ["relay", "mailbox"] {
            let text = format!("[privacy]\nip = \"line-only\"\n[{role}]\nserve = true\n");
            let error = Config::parse(&text).unwrap().check_ranges().unwrap_err();
            assert!(error.to_string().starts_with(&format!("[{role}] serve")));
        }
    }

    #[test]
    fn cover_needs_padding() {
        let config = Config::parse("[privacy]\ncover = 1\n").unwrap();
        let error = config.check_ranges().unwrap_err().to_string();
        assert_eq!(error, "[privacy] cover needs [privacy] padding = \"full\"");
        let config = Config::parse("[privacy]\ncover = 1\npadding = \"full\"\n").unwrap();
        assert!(config.check_ranges().is_ok());
    }

    #[test]
    fn values_out_of_range_are_named() {
        let config = Config::parse("[mailbox]\nbox_bytes = 65535\n").unwrap();
        let error = config.check_ranges().unwrap_err().to_string();
        assert_eq!(error, "[mailbox] box_bytes must be 65,536 or more");
        let config = Config::parse("[network]\nsession_keys = 1\n").unwrap();
        let error = config.check_ranges().unwrap_err().to_string();
        assert_eq!(error, "[network] session_keys must be 2 to 10,000");
    }
}
