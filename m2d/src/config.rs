//! The daemon's configuration: one TOML file, every key with a default, unknown keys an error
//! that names the key and its line.

// By path, since a fuzz target takes this file by its path.
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
#[path = "config/relay.rs"]
mod relay;

pub use line::LineConfig;
pub use lookup::LookupConfig;
pub use mailbox::MailboxConfig;
pub use privacy::{IpMode, Padding, PrivacyConfig};
pub use private_file::PrivateFileError;
pub use relay::RelayConfig;

use m2_crypto::{Circle, Secret};
use m2_net::key_pool;
use serde::Deserialize;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The whole configuration.
#[derive(Debug, Clone, Default, Deserialize)]
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
    pub store: StoreConfig,
    /// `[line]`
    pub line: LineConfig,
    /// `[mailbox]`
    pub mailbox: MailboxConfig,
    /// `[relay]`
    pub relay: RelayConfig,
    /// `[log]`
    pub log: LogConfig,
}

/// Which circle the daemon lives in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CircleConfig {
    /// The circle's name.
    pub name: String,
    /// A file with the private circle's secret: 64 hexadecimal digits. Absent for the public
    /// circle. A relative path starts at the configuration file's directory.
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

/// How the daemon's identity is opened (spec §4).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdentityConfig {
    /// A file with the passphrase of the key file; its last line break does not count. A relative
    /// path starts at the configuration file's directory.
    pub passphrase_file: Option<PathBuf>,
}

/// Sockets and limits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// UDP addresses to bind, one socket each. Port 0: the port of the last run if it is
    /// free, else any.
    pub listen: Vec<SocketAddr>,
    /// Session keys kept ready: 2 to 10,000. See [`Config::session_keys`].
    pub session_keys: Option<u32>,
    /// Handshakes that may do RSA work at once: 1 to 64.
    pub handshakes: u32,
    /// Sessions that may be up at once.
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

/// The daemon's store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Days that events are kept, 1 to 3650.
    pub event_days: u32,
    /// Events that are kept at most, 1,000 or more.
    pub max_events: u64,
    /// Messages that may wait for one contact, 1 to 1,000,000.
    pub max_outbox: u32,
    /// Days that messages are kept, 1 to 36,500; 0 for ever.
    pub keep_days: u32,
    /// Bytes of content that are kept, 1,048,576 or more; 0 without a limit.
    pub keep_bytes: u64,
    /// Messages of one contact that are stored, 1,000 or more.
    pub contact_messages: u64,
    /// Bytes of content of one contact that are stored, 1,048,576 or more.
    pub contact_bytes: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            event_days: 30,
            max_events: 1_000_000,
            max_outbox: 100_000,
            keep_days: 0,
            keep_bytes: 0,
            contact_messages: 5_000_000,
            contact_bytes: 4 << 30,
        }
    }
}

/// Logging.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// error, warn, info, debug or trace; or a filter such as `info,m2_net=debug`.
    pub filter: String,
    /// One JSON object a line instead of text.
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

/// Why the configuration can't be used. Exit code 2.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not TOML, or has a key that does not exist or a value that does not fit.
    #[error("{path}: {message}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// The parser's message with line and key.
        message: String,
    },
    /// A value is out of its range.
    #[error("[{section}] {key} must be {expected}")]
    Range {
        /// The section's name.
        section: &'static str,
        /// The key's name.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The private circle's secret file does not hold 64 hexadecimal digits.
    #[error("{path}: a circle's secret is 64 hexadecimal digits")]
    CircleSecret {
        /// Which file.
        path: PathBuf,
    },
    /// A file with a secret can't be read, or others can read it.
    #[error(transparent)]
    SecretFile(#[from] PrivateFileError),
    /// A circle other than the public one has no secret.
    #[error("[circle] secret_file is missing: every circle but \"public\" needs one")]
    CircleWithoutSecret,
    /// An announced address is none that peers dial.
    #[error(
        "[privacy] announce: no peer dials {address}. Peers dial public and private addresses, at port \
         443 or 1024 and above (docs/spec/reach.md#addresses-that-others-name)"
    )]
    Announced {
        /// What the file says.
        address: SocketAddr,
    },
    /// A setting does nothing without another one.
    #[error("[{section}] {key} needs [{section}] {needs}")]
    Needs {
        /// The section's name.
        section: &'static str,
        /// The key's name.
        key: &'static str,
        /// The other key with its value.
        needs: &'static str,
    },
    /// Two settings exclude each other.
    #[error(
        "[{section}] serve needs sockets that others reach, and [privacy] ip = \"line-only\" opens none: serve from a daemon of its own"
    )]
    ServesUnseen {
        /// The section of the role.
        section: &'static str,
    },
}

impl Config {
    /// Whether the daemon listens on loopback alone: then addresses there mean something to those
    /// it talks to.
    pub fn is_loopback_only(&self) -> bool {
        let listen = &self.network.listen;
        !listen.is_empty() && listen.iter().all(|address| address.ip().is_loopback())
    }

    /// Reads and checks a file. A file that is absent is the default configuration when
    /// `optional`.
    pub fn load(path: &Path, optional: bool) -> Result<Self, ConfigError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if optional && error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                return Err(ConfigError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let mut config = Self::parse(&text).map_err(|message| ConfigError::Parse {
            path: path.to_owned(),
            message,
        })?;
        config.check_ranges()?;
        config.resolve_paths(path)?;
        if config.mailbox.holds_password() {
            private_file::check(path)?;
        }
        Ok(config)
    }

    /// Parses TOML text; the error holds line and key.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// The circle, its secret read from its file.
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

    /// Session keys kept ready, as configured or as the daemon's roles need.
    pub fn session_keys(&self) -> usize {
        match self.network.session_keys {
            Some(keys) => keys as usize,
            None if self.mailbox.serve || self.relay.serve => key_pool::ROLE_SIZE,
            None => key_pool::PERSONAL_SIZE,
        }
    }

    /// Sessions at once that the network may bring, those of parties of a relay included.
    pub fn max_sessions(&self) -> usize {
        let of_relay = if self.relay.serve {
            self.relay.max_sessions
        } else {
            0
        };
        self.network.max_sessions as usize + of_relay as usize
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        let range = |section, key, ok, expected| {
            if ok {
                Ok(())
            } else {
                Err(ConfigError::Range {
                    section,
                    key,
                    expected,
                })
            }
        };
        let (network, store) = (&self.network, &self.store);
        let listen = (1..=16).contains(&network.listen.len());
        range("network", "listen", listen, "1 to 16 addresses")?;
        let keys = (2..=10_000).contains(&self.session_keys());
        range("network", "session_keys", keys, "2 to 10,000")?;
        let handshakes = (1..=64).contains(&network.handshakes);
        range("network", "handshakes", handshakes, "1 to 64")?;
        let sessions = (1..=100_000).contains(&network.max_sessions);
        range("network", "max_sessions", sessions, "1 to 100,000")?;
        let after = (1..=86_400).contains(&self.mailbox.after_s);
        range("mailbox", "after_s", after, "1 to 86,400")?;
        range("mailbox", "delay_s", self.mailbox.delay_s <= 60, "0 to 60")?;
        let days = (1..=3_650).contains(&store.event_days);
        range("store", "event_days", days, "1 to 3,650")?;
        let events = store.max_events >= 1_000;
        range("store", "max_events", events, "1,000 or more")?;
        let outbox = (1..=1_000_000).contains(&store.max_outbox);
        range("store", "max_outbox", outbox, "1 to 1,000,000")?;
        self.store.check_kept()?;
        let name = (1..=64).contains(&self.circle.name.len());
        range("circle", "name", name, "1 to 64 bytes")?;
        self.mailbox.check_ranges()?;
        self.privacy.check_ranges()?;
        self.privacy.check_announced(self.is_loopback_only())?;
        self.relay.check_ranges()?;
        self.lookup.check_ranges()?;
        self.check_roles()
    }

    /// Who serves is reached at its address; who is line-only has none (spec §7).
    fn check_roles(&self) -> Result<(), ConfigError> {
        if self.privacy.ip != IpMode::LineOnly {
            return Ok(());
        }
        let roles = [("relay", self.relay.serve), ("mailbox", self.mailbox.serve)];
        match roles.into_iter().find(|(_, serves)| *serves) {
            Some((section, _)) => Err(ConfigError::ServesUnseen { section }),
            None => Ok(()),
        }
    }
}

impl StoreConfig {
    fn check_kept(&self) -> Result<(), ConfigError> {
        let megabyte = 1 << 20;
        let checks = [
            ("keep_days", self.keep_days <= 36_500, "0 to 36,500"),
            (
                "keep_bytes",
                self.keep_bytes == 0 || self.keep_bytes >= megabyte,
                "0, or 1,048,576 or more",
            ),
            (
                "contact_messages",
                self.contact_messages >= 1_000,
                "1,000 or more",
            ),
            (
                "contact_bytes",
                self.contact_bytes >= megabyte,
                "1,048,576 or more",
            ),
        ];
        let failed = checks.into_iter().find(|(_, holds, _)| !holds);
        failed.map_or(Ok(()), |(key, _, expected)| {
            Err(ConfigError::Range {
                section: "store",
                key,
                expected,
            })
        })
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
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Config::parse("[network]\nlisten = []\nlisten_on = 3\n").unwrap_err();
        assert!(error.contains("listen_on"), "{error}");
        assert!(error.contains("line 3"), "{error}");
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
    fn who_is_line_only_serves_nobody() {
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
