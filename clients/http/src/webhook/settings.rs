//! A webhook of the configuration.

use super::signature::Secrets;
use hyper::Uri;
use m2_proto::api::v1::{EventKind, SubscribeRequest};
use m2_proto::limits::MAX_CLIENT_NAME_BYTES;
use m2_proto::token::{Token, TokenError};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};
use thiserror::Error;
use zeroize::Zeroizing;

/// The longest secret file, in bytes.
const MAX_SECRET_FILE: u64 = 4_096;
/// How often the daemon says how far the stream has come, so that the position moves while no selected event arrives.
const HEARTBEAT: pbjson_types::Duration = pbjson_types::Duration {
    seconds: 60,
    nanos: 0,
};

/// A table `[[webhook]]` as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookTable {
    pub(crate) name: String,
    url: String,
    secret_file: PathBuf,
    token_file: PathBuf,
    client: Option<String>,
    #[serde(default)]
    kinds: Vec<String>,
    #[serde(default)]
    contacts: Vec<String>,
    timeout_seconds: Option<u64>,
    longest_pause_seconds: Option<u64>,
    #[serde(default)]
    allow_http: bool,
}

/// A webhook with valid settings.
#[derive(Debug)]
pub(crate) struct Webhook {
    pub(crate) name: String,
    /// The name under which the daemon keeps the position.
    pub(crate) client: String,
    pub(crate) kinds: Vec<i32>,
    pub(crate) timeout: Duration,
    pub(super) url: Uri,
    pub(super) longest_pause: Duration,
    pub(super) secrets: Secrets,
    token_file: PathBuf,
    contacts: Vec<String>,
}

/// The reason why the settings of a webhook are not valid.
#[derive(Debug, Error)]
pub(crate) enum WebhookError {
    #[error("`{key}` is {value:?}; it has 1 to {most} characters of a-z 0-9 . _ -")]
    Name {
        key: &'static str,
        value: String,
        most: usize,
    },
    #[error("`url` is not the URL of a receiver: write https://HOST/PATH")]
    Url,
    #[error(
        "`url` has a user name or a password, which is not supported: receivers check the signature instead"
    )]
    Password,
    #[error(
        "`url` begins with http://, so that messages would cross the network in the clear: use https://, or set `allow_http = true` in a network that you trust"
    )]
    PlainHttp,
    #[error(
        "`kinds` has {0:?}, which is no kind of event: messageReceived, messageState, contactRequest, …"
    )]
    Kind(String),
    #[error("`{key}` must be from {range} seconds")]
    Range {
        key: &'static str,
        range: &'static str,
    },
    #[error("can't read the secret file {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the secret file {path} is open to other users of the computer: `chmod o= {path}`", path = path.display())]
    Open { path: PathBuf },
    #[error("the secret file {path} has no secret: one line with whsec_ and 24 to 64 random bytes in Base64", path = path.display())]
    Secret { path: PathBuf },
    #[error("{0}")]
    Token(#[from] TokenError),
}

impl Webhook {
    /// Checks the settings and reads the secret. Relative paths start at `directory`.
    ///
    /// Errors: [`WebhookError`].
    pub(crate) fn new(table: WebhookTable, directory: &Path) -> Result<Self, WebhookError> {
        let prefix = "webhook-";
        check_name("name", &table.name, MAX_CLIENT_NAME_BYTES - prefix.len())?;
        let client = match table.client {
            Some(client) => client,
            None => format!("{prefix}{}", table.name),
        };
        check_name("client", &client, MAX_CLIENT_NAME_BYTES)?;
        let token_file = directory.join(table.token_file);
        Token::read(&token_file)?;
        let kinds = table.kinds.iter();
        let longest = table.longest_pause_seconds;
        Ok(Self {
            client,
            kinds: kinds.map(|kind| number(kind)).collect::<Result<_, _>>()?,
            timeout: seconds(
                "timeout_seconds",
                table.timeout_seconds,
                10,
                (60, "1 to 60"),
            )?,
            url: url(&table.url, table.allow_http)?,
            longest_pause: seconds("longest_pause_seconds", longest, 300, (3_600, "1 to 3,600"))?,
            secrets: secrets(&directory.join(table.secret_file))?,
            token_file,
            contacts: table.contacts,
            name: table.name,
        })
    }

    /// Reads the token, which may have been replaced since the start.
    pub(super) fn token(&self) -> Result<Token, TokenError> {
        Token::read(&self.token_file)
    }

    /// Returns the request for the events.
    pub(super) fn request(&self) -> SubscribeRequest {
        SubscribeRequest {
            client: self.client.clone(),
            kinds: self.kinds.clone(),
            contacts: self.contacts.clone(),
            heartbeat: Some(HEARTBEAT),
            ..SubscribeRequest::default()
        }
    }
}

fn check_name(key: &'static str, value: &str, most: usize) -> Result<(), WebhookError> {
    let is_known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    if (1..=most).contains(&value.len()) && value.chars().all(is_known) {
        return Ok(());
    }
    Err(WebhookError::Name {
        key,
        value: value.to_owned(),
        most,
    })
}

/// Returns the kind of event with this name in JSON. Notices are not among them: they are in no log.
fn number(name: &str) -> Result<i32, WebhookError> {
    let mut constant = "EVENT_KIND_".to_owned();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            constant.push('_');
        }
        constant.push(c.to_ascii_uppercase());
    }
    match EventKind::from_str_name(&constant) {
        None | Some(EventKind::Unspecified | EventKind::Typing | EventKind::Presence) => {
            Err(WebhookError::Kind(name.to_owned()))
        }
        Some(kind) => Ok(kind.into()),
    }
}

fn seconds(
    key: &'static str,
    value: Option<u64>,
    default: u64,
    (most, range): (u64, &'static str),
) -> Result<Duration, WebhookError> {
    match value.unwrap_or(default) {
        value if (1..=most).contains(&value) => Ok(Duration::from_secs(value)),
        _ => Err(WebhookError::Range { key, range }),
    }
}

fn url(text: &str, allow_http: bool) -> Result<Uri, WebhookError> {
    let url: Uri = text.parse().map_err(|_| WebhookError::Url)?;
    let authority = url.authority().ok_or(WebhookError::Url)?;
    if authority.as_str().contains('@') {
        return Err(WebhookError::Password);
    }
    match url.scheme_str() {
        Some("https") => Ok(url),
        Some("http") if allow_http || is_local(authority.host()) => Ok(url),
        Some("http") => Err(WebhookError::PlainHttp),
        _ => Err(WebhookError::Url),
    }
}

fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.is_loopback();
    host == "localhost" || address.parse().is_ok_and(is_loopback)
}

/// Returns whether users who are neither the owner nor in the group have a permission.
#[cfg(unix)]
fn is_open(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o007 != 0
}

/// Elsewhere, the directory of the file protects it.
#[cfg(not(unix))]
const fn is_open(_: &fs::Metadata) -> bool {
    false
}

fn secrets(path: &Path) -> Result<Secrets, WebhookError> {
    let failed = |source| WebhookError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    if is_open(&metadata) {
        return Err(WebhookError::Open {
            path: path.to_owned(),
        });
    }
    let malformed = || WebhookError::Secret {
        path: path.to_owned(),
    };
    if metadata.len() > MAX_SECRET_FILE {
        return Err(malformed());
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    Secrets::parse(&text).ok_or_else(malformed)
}
