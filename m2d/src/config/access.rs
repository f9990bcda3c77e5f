//! `[access]`: which users of this computer may use the daemon.

use super::ConfigError;
use super::ranges::Section;
use serde::{Deserialize, Serialize};

/// Which users of this computer may use the daemon. Its own user and root always may.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// The members of this group may use the daemon as its owner may. The socket belongs to the group.
    pub group: Option<String>,
    /// These users may use the daemon as its owner may: names or numbers.
    pub users: Vec<UserName>,
    /// All other users of this computer may connect, and do what the token permits that they show.
    pub tokens_for_all: bool,
}

/// A user of this computer.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum UserName {
    /// Its number.
    Id(u32),
    /// Its name.
    Name(String),
}

impl AccessConfig {
    pub(super) fn check_ranges(&self) -> Result<(), ConfigError> {
        let section = Section("access");
        section.range("users", self.users.len() <= 256, "at most 256 users")?;
        let group = self.group.as_deref() != Some("");
        section.range("group", group, "the name of a group")
    }
}
