//! The settings, read and checked once.

use crate::args::Args;
use crate::topics::{Topics, slug};
use directories::BaseDirs;
use m2_proto::socket;
use m2_proto::token::{Token, TokenError};
use rumqttc::{TlsConfiguration, Transport};
use std::path::{Path, PathBuf};
use std::{env, fs, io};
use thiserror::Error;
use zeroize::Zeroizing;

/// The most bytes of a file with a password, a certificate or a key.
const MAX_FILE_BYTES: u64 = 256 * 1024;
/// The longest topic prefix. A topic has at most 65,535 bytes, and brokers often allow fewer.
const MAX_PREFIX: usize = 128;

/// The reason why the settings can't be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The URL of the broker is malformed.
    #[error("{0} is not the URL of a broker: write mqtt://HOST[:PORT] or mqtts://HOST[:PORT]")]
    Url(String),
    /// Files for TLS with a URL that has none.
    #[error("--ca-file and --cert-file need a URL that begins with mqtts://")]
    TlsFiles,
    /// A topic prefix has wildcards, is empty or too long.
    #[error(
        "{0:?} can't be the beginning of topics: use up to 128 characters, no # or +, no / at its ends"
    )]
    Prefix(String),
    /// The client name is malformed.
    #[error("{0:?} is not a client name: use 1 to 64 characters of a-z 0-9 . _ -")]
    Client(String),
    /// There is no access token. Without one, the bridge would have all rights of the user.
    #[error(
        "an access token is needed: make one with `m2 token create mqtt --scope events,send`, and name its file with \
         --token-file"
    )]
    NoToken,
    /// The access token can't be read.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A file can't be read.
    #[error("can't read {path}: {source}")]
    File {
        /// The path of the file.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// The authorities that the system trusts can't be read.
    #[error("the system's certificate authorities can't be used: name one with --ca-file ({0})")]
    Authorities(String),
    /// There is no place for the state.
    #[error("no place for the bridge's state is known: name a directory with --state-dir")]
    NoStateDir,
}

/// The settings of the bridge.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) broker: Broker,
    pub(crate) topics: Topics,
    pub(crate) client: String,
    pub(crate) token: Token,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) journal: PathBuf,
}

/// How to reach the broker.
pub(crate) struct Broker {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) transport: Transport,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) client_id: String,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Broker").finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the settings.
    ///
    /// Errors: [`SettingsError`].
    pub(crate) fn read(args: &Args) -> Result<Self, SettingsError> {
        check_prefix(&args.prefix)?;
        if !args.discovery.is_empty() {
            check_prefix(&args.discovery)?;
        }
        check_client(&args.client)?;
        let name = format!("{}-{}", slug(&args.prefix), args.client);
        Ok(Self {
            broker: Broker::read(args, format!("m2-mqtt-{name}"))?,
            topics: Topics::new(&args.prefix, &args.discovery),
            client: args.client.clone(),
            token: token(args)?,
            socket: args.socket.clone().or_else(socket::from_env),
            journal: state_dir(args)?.join(format!("{name}.json")),
        })
    }
}

impl Broker {
    fn read(args: &Args, client_id: String) -> Result<Self, SettingsError> {
        let (tls, host, port) = parse_url(&args.url)?;
        if !tls && (args.ca_file.is_some() || args.cert_file.is_some()) {
            return Err(SettingsError::TlsFiles);
        }
        if !tls && args.password_file.is_some() && !is_local(&host) {
            tracing::warn!(
                "the password and all messages cross the network unencrypted: use mqtts:// if the broker has TLS"
            );
        }
        let password = args.password_file.as_deref().map(read_line).transpose()?;
        let transport = if tls {
            transport(args)?
        } else {
            Transport::tcp()
        };
        Ok(Self {
            host,
            port,
            transport,
            user: args.user.clone(),
            password,
            client_id,
        })
    }
}

fn parse_url(url: &str) -> Result<(bool, String, u16), SettingsError> {
    let wrong = || SettingsError::Url(url.to_owned());
    let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
    let (tls, port) = match scheme {
        "mqtt" => (false, 1883),
        "mqtts" => (true, 8883),
        _ => return Err(wrong()),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match authority.rsplit_once(':') {
        // A colon inside brackets belongs to an IPv6 address.
        Some((host, digits)) if !digits.ends_with(']') => {
            (host, digits.parse().map_err(|_| wrong())?)
        }
        _ => (authority, port),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    let wrong_host = |character: char| character.is_whitespace() || "/@?#[]".contains(character);
    if host.is_empty() || host.contains(wrong_host) || (bare.is_none() && host.contains(':')) {
        return Err(wrong());
    }
    Ok((tls, host.to_owned(), port))
}

fn is_local(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Returns TLS with the authority of the settings, or with those of the system.
fn transport(args: &Args) -> Result<Transport, SettingsError> {
    let Some(ca) = &args.ca_file else {
        let system = TlsConfiguration::try_default_rustls();
        let system = system.map_err(|error| SettingsError::Authorities(error.to_string()))?;
        return Ok(Transport::tls_with_config(system));
    };
    let client_auth = match (&args.cert_file, &args.key_file) {
        (Some(certificate), Some(key)) => Some((read(certificate)?, read(key)?)),
        _ => None,
    };
    Ok(Transport::tls_with_config(TlsConfiguration::Simple {
        ca: read(ca)?,
        alpn: None,
        client_auth,
    }))
}

fn check_prefix(prefix: &str) -> Result<(), SettingsError> {
    let forbidden = |character: char| "#+".contains(character) || character.is_control();
    let ends = prefix.starts_with(['/', '$']) || prefix.ends_with('/');
    if prefix.is_empty() || prefix.len() > MAX_PREFIX || ends || prefix.contains(forbidden) {
        return Err(SettingsError::Prefix(prefix.to_owned()));
    }
    Ok(())
}

fn check_client(name: &str) -> Result<(), SettingsError> {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(allowed) {
        return Err(SettingsError::Client(name.to_owned()));
    }
    Ok(())
}

fn token(args: &Args) -> Result<Token, SettingsError> {
    let token = match &args.token_file {
        Some(path) => Token::read(path)?,
        None => Token::from_env()?,
    };
    if token.is_some() {
        Ok(token)
    } else {
        Err(SettingsError::NoToken)
    }
}

fn state_dir(args: &Args) -> Result<PathBuf, SettingsError> {
    if let Some(path) = &args.state_dir {
        return Ok(path.clone());
    }
    if let Some(path) = env::var_os("STATE_DIRECTORY").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    let dirs = BaseDirs::new().ok_or(SettingsError::NoStateDir)?;
    let base = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir());
    Ok(base.join("m2-mqtt"))
}

/// Returns the first line of a file.
fn read_line(path: &Path) -> Result<Zeroizing<String>, SettingsError> {
    let bytes = Zeroizing::new(read(path)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| SettingsError::File {
        path: path.display().to_string(),
        source: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"),
    })?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    let bytes = || {
        if fs::metadata(path)?.len() > MAX_FILE_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
        }
        fs::read(path)
    };
    bytes().map_err(|source| SettingsError::File {
        path: path.display().to_string(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_brokers() {
        let parsed = |url| parse_url(url).ok();
        let of = |tls, host: &str, port| Some((tls, host.to_owned(), port));
        assert_eq!(parsed("mqtt://localhost"), of(false, "localhost", 1883));
        assert_eq!(parsed("mqtts://ha.local/"), of(true, "ha.local", 8883));
        assert_eq!(parsed("mqtt://10.0.0.2:1884"), of(false, "10.0.0.2", 1884));
        assert_eq!(parsed("mqtts://[::1]:99"), of(true, "::1", 99));
        assert_eq!(parsed("mqtts://[::1]"), of(true, "::1", 8883));
        for wrong in [
            "localhost",
            "http://x",
            "mqtt://",
            "mqtt://:1",
            "mqtt://x:y",
            "mqtt://a@b",
            "mqtt://x/y",
            "mqtt://::1",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn prefixes_have_no_wildcards() {
        for right in ["m2", "home/m2", "häuser"] {
            assert!(check_prefix(right).is_ok(), "{right}");
        }
        for wrong in [
            "",
            "m2/",
            "/m2",
            "#",
            "a/+/b",
            "$SYS",
            "a\nb",
            &"x".repeat(129),
        ] {
            assert!(check_prefix(wrong).is_err(), "{wrong}");
        }
    }
}
