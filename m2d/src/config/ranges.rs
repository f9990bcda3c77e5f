//! The values that the configuration accepts.

use super::{Config, ConfigError};
use m2_core::{IpMode, StoreLimits};

/// A section of the file, by its name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section(pub(super) &'static str);

impl Section {
    /// Returns an error that names the key and the accepted values, unless the value `holds`.
    pub(super) fn range(
        self,
        key: &'static str,
        holds: bool,
        expected: &'static str,
    ) -> Result<(), ConfigError> {
        let wrong = self.wrong(key, expected);
        holds.then_some(()).ok_or(wrong)
    }

    /// Returns the error of a key with another value than the `expected` ones.
    pub(super) fn wrong(self, key: &'static str, expected: &'static str) -> ConfigError {
        ConfigError::Range {
            section: self.0,
            key,
            expected,
        }
    }
}

impl Config {
    /// Checks all values.
    pub(super) fn check_ranges(&self) -> Result<(), ConfigError> {
        self.check_network()?;
        self.mailbox.check_delays()?;
        check_events(&self.store)?;
        check_kept(&self.store)?;
        let name = (1..=64).contains(&self.circle.name.len());
        Section("circle").range("name", name, "1 to 64 bytes")?;
        self.mailbox.check_ranges()?;
        self.privacy.check_ranges()?;
        self.privacy.check_announced(self.is_loopback_only())?;
        self.relay.check_ranges()?;
        self.lookup.check_ranges()?;
        self.access.check_ranges()?;
        self.check_roles()
    }

    fn check_network(&self) -> Result<(), ConfigError> {
        let (section, network) = (Section("network"), &self.network);
        let listen = (1..=16).contains(&network.listen.len());
        section.range("listen", listen, "1 to 16 addresses")?;
        let keys = (2..=10_000).contains(&self.session_keys());
        section.range("session_keys", keys, "2 to 10,000")?;
        let handshakes = (1..=64).contains(&network.handshakes);
        section.range("handshakes", handshakes, "1 to 64")?;
        let sessions = (1..=100_000).contains(&network.max_sessions);
        section.range("max_sessions", sessions, "1 to 100,000")
    }

    /// Refuses roles in line-only mode: a role needs an address at which it is reached, and a
    /// line-only daemon has none.
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

/// Checks the limits of the event log and the outbox.
fn check_events(store: &StoreLimits) -> Result<(), ConfigError> {
    let section = Section("store");
    let days = (1..=3_650).contains(&store.event_days);
    section.range("event_days", days, "1 to 3,650")?;
    let events = store.max_events >= 1_000;
    section.range("max_events", events, "1,000 or more")?;
    let outbox = (1..=1_000_000).contains(&store.max_outbox);
    section.range("max_outbox", outbox, "1 to 1,000,000")
}

/// Checks the limits of the messages that the store keeps.
fn check_kept(store: &StoreLimits) -> Result<(), ConfigError> {
    let (section, megabyte) = (Section("store"), 1 << 20);
    section.range("keep_days", store.keep_days <= 36_500, "0 to 36,500")?;
    let bytes = store.keep_bytes == 0 || store.keep_bytes >= megabyte;
    section.range("keep_bytes", bytes, "0, or 1,048,576 or more")?;
    let messages = store.contact_messages >= 1_000;
    section.range("contact_messages", messages, "1,000 or more")?;
    let bytes = store.contact_bytes >= megabyte;
    section.range("contact_bytes", bytes, "1,048,576 or more")
}
