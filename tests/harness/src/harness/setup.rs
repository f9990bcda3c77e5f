//! The configuration of a daemon under test.

use crate::workspace;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// Describes a daemon before it is started. By default it listens on a free loopback port, and
/// look-up and port mapping are disabled.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    identity: Option<String>,
    pem: Option<String>,
    announce: Vec<SocketAddr>,
    network: String,
    privacy: String,
    lookup: String,
    tables: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    namespace: Option<String>,
    descriptors: Option<u32>,
}

impl Setup {
    /// Creates the setup of a daemon that generates its own identity, which takes about a second.
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses one of the committed test identities (alice, bob, carol), which saves that second.
    #[must_use]
    pub fn identity(mut self, name: &str) -> Self {
        self.identity = Some(name.to_owned());
        self
    }

    /// Uses an identity that the test generated, in PEM.
    #[must_use]
    pub fn pem(mut self, pem: &str) -> Self {
        self.pem = Some(pem.to_owned());
        self
    }

    /// Announces this address in invitations in place of the bound one, for example that of a
    /// [`Wire`](super::Wire).
    #[must_use]
    pub fn announce(mut self, address: SocketAddr) -> Self {
        self.announce.push(address);
        self
    }

    /// Adds a line to the `[network]` table.
    #[must_use]
    pub fn network(mut self, line: &str) -> Self {
        self.network.push_str(line);
        self.network.push('\n');
        self
    }

    /// Adds a line to the `[privacy]` table, other than `announce`.
    #[must_use]
    pub fn privacy(mut self, line: &str) -> Self {
        self.privacy.push_str(line);
        self.privacy.push('\n');
        self
    }

    /// Adds a line to the `[lookup]` table. Without any line, the table disables all look-up.
    #[must_use]
    pub fn lookup(mut self, line: &str) -> Self {
        self.lookup.push_str(line);
        self.lookup.push('\n');
        self
    }

    /// Adds whole tables to the configuration, other than `[network]`, `[lookup]` and
    /// `[privacy]`.
    #[must_use]
    pub fn tables(mut self, toml: &str) -> Self {
        self.tables.push_str(toml);
        self.tables.push('\n');
        self
    }

    /// Adds an argument to `m2d run`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Sets a variable in the daemon's environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs the daemon on a host of a [`Lab`](super::Lab).
    #[must_use]
    pub fn within(mut self, namespace: String) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Limits the number of file descriptors that the daemon may have open.
    #[must_use]
    pub fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    pub(super) const fn descriptor_limit(&self) -> Option<u32> {
        self.descriptors
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    pub(super) fn extra_arguments(&self) -> &[String] {
        &self.arguments
    }

    pub(super) fn extra_environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Returns the text of the configuration file.
    pub(super) fn toml(&self) -> String {
        let mut text = String::from("[network]\n");
        if !self.network.lines().any(|line| line.starts_with("listen")) {
            text.push_str("listen = [\"127.0.0.1:0\"]\n");
        }
        // Generating the 16 keys of the default takes more time than most tests.
        if !self.network.contains("session_keys") {
            text.push_str("session_keys = 6\n");
        }
        text.push_str(&self.network);
        text.push_str("\n[lookup]\n");
        text.push_str(match self.lookup.as_str() {
            "" => "lan = false\ndht = false\nmap_port = false\n",
            lines => lines,
        });
        if !self.announce.is_empty() || !self.privacy.is_empty() {
            let quoted: Vec<String> = self
                .announce
                .iter()
                .map(|address| format!("\"{address}\""))
                .collect();
            // Writing to a String does not fail.
            let _ = write!(text, "\n[privacy]\nannounce = [{}]\n", quoted.join(", "));
            text.push_str(&self.privacy);
        }
        text.push('\n');
        text.push_str(&self.tables);
        text
    }

    /// Writes the chosen identity to the daemon's key file.
    pub(super) fn place_identity(&self, data: &Path) -> anyhow::Result<()> {
        if let Some(pem) = &self.pem {
            let target = data.join("identity.pem");
            fs::write(&target, pem)?;
            return owner_only(&target, 0o600);
        }
        let Some(name) = &self.identity else {
            return Ok(());
        };
        let pem = workspace::root()?.join(format!("tests/vectors/identities/{name}.pem"));
        let target = data.join("identity.pem");
        fs::copy(&pem, &target).with_context(|| format!("no test identity {name}"))?;
        owner_only(&target, 0o600)
    }
}

/// Sets the mode of a file or directory; does nothing on systems other than Unix.
pub(super) fn owner_only(path: &Path, mode: u32) -> anyhow::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (path, mode);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_configuration_is_valid_toml() {
        let setup = Setup::new()
            .announce(SocketAddr::from(([127, 0, 0, 1], 7)))
            .network("session_keys = 4")
            .privacy("padding = \"full\"")
            .tables("[store]\nevent_days = 1");
        let table: toml::Table = setup.toml().parse().unwrap();
        let sections: Vec<&str> = table.keys().map(String::as_str).collect();
        assert_eq!(sections, ["lookup", "network", "privacy", "store"]);
    }
}
