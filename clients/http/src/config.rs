//! The configuration file, which has the webhooks.

use crate::webhook::{Webhook, WebhookError, WebhookTable};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The most webhooks: each has a connection to the daemon and one to its receiver.
const MAX_WEBHOOKS: usize = 32;

/// The reason why the configuration can't be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("can't read the configuration {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the configuration {path} is not valid: {source}", path = path.display())]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("the configuration {path} is not valid: webhook {name:?}: {source}", path = path.display())]
    Webhook {
        path: PathBuf,
        name: String,
        source: WebhookError,
    },
    #[error("the configuration {path} has two webhooks with the client name {name:?}: give one of them another `name` or `client`", path = path.display())]
    Twice { path: PathBuf, name: String },
    #[error("the configuration {path} has more than {MAX_WEBHOOKS} webhooks: remove some, or run a second gateway", path = path.display())]
    TooMany { path: PathBuf },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    webhook: Vec<WebhookTable>,
}

/// Reads the webhooks of a configuration file; without a file, there are none.
///
/// Errors: [`ConfigError`].
pub(crate) fn read(path: Option<&Path>) -> Result<Vec<Webhook>, ConfigError> {
    let Some(path) = path else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Vec<Webhook>, ConfigError> {
    let config: Config = toml::from_str(text).map_err(|source| ConfigError::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    if config.webhook.len() > MAX_WEBHOOKS {
        return Err(ConfigError::TooMany {
            path: path.to_owned(),
        });
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut clients = BTreeSet::new();
    let mut webhooks = Vec::new();
    for table in config.webhook {
        let name = table.name.clone();
        let webhook = Webhook::new(table, directory).map_err(|source| ConfigError::Webhook {
            path: path.to_owned(),
            name,
            source,
        })?;
        if !clients.insert(webhook.client.clone()) {
            return Err(ConfigError::Twice {
                path: path.to_owned(),
                name: webhook.client,
            });
        }
        webhooks.push(webhook);
    }
    Ok(webhooks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_proto::api::v1::EventKind;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    const MINIMAL: &str = r#"
        name = "ops"
        url = "https://ops.example/m2"
        secret_file = "secret"
        token_file = "token"
    "#;

    /// Parses a configuration next to a secret and a token.
    fn parsed(text: &str) -> Result<Vec<Webhook>, String> {
        let directory = tempfile::tempdir().unwrap();
        let secret = directory.path().join("secret");
        fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        let token = directory.path().join("token");
        fs::write(&token, "m2t_1\n").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        parse(text, &directory.path().join("m2-http.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_webhook_needs_four_lines() {
        let webhooks = parsed(&format!("[[webhook]]\n{MINIMAL}")).unwrap();
        assert_eq!(webhooks[0].client, "webhook-ops");
        assert_eq!(webhooks[0].timeout.as_secs(), 10);
        let more = r#"
            kinds = ["messageReceived", "contactRequest"]
            contacts = ["ann"]
            timeout_seconds = 3
        "#;
        let webhooks = parsed(&format!("[[webhook]]\n{MINIMAL}{more}")).unwrap();
        let kinds = [EventKind::MessageReceived, EventKind::ContactRequest];
        assert_eq!(webhooks[0].kinds, kinds.map(i32::from));
        assert!(parsed("").unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named() {
        let one = format!("[[webhook]]\n{MINIMAL}");
        for (text, told) in [
            ("x = 1".to_owned(), "`x`"),
            (format!("{one}timeout = 3"), "`timeout`"),
            (format!("{one}timeout_seconds = 0"), "1 to 60"),
            (format!("{one}kinds = [\"message\"]"), "\"message\""),
            (format!("{one}kinds = [\"typing\"]"), "\"typing\""),
            (one.replace("https:", "ftp:"), "http"),
            (one.replace("https:", "http:"), "allow_http"),
            (one.replace("ops.example", "u:p@ops.example"), "password"),
            (one.replace("\"ops\"", "\"Ops\""), "a-z"),
            (one.replace("\"secret\"", "\"absent\""), "absent"),
            (one.replace("\"secret\"", "\"token\""), "whsec_"),
            (one.replace("\"token\"", "\"secret\""), "m2t_"),
            (format!("{one}{one}"), "two webhooks"),
            (one.repeat(33), "more than 32"),
        ] {
            let error = parsed(&text).unwrap_err();
            assert!(error.contains(told), "{told}: {error}");
            assert!(!error.contains("MfKQ9r8"), "{error}");
        }
        assert!(parsed(&one.replace("https://ops.example", "http://127.0.0.1:1")).is_ok());
        assert!(
            parsed(&format!(
                "{}allow_http = true",
                one.replace("https:", "http:")
            ))
            .is_ok()
        );
    }
}
