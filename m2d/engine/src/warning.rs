//! Conditions that need the user's attention.

/// What a condition concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// The daemon itself: its parts, its configuration, its front-ends.
    Daemon,
    /// The clock of this computer, or those of contacts.
    Clock,
    /// The space on the disk.
    Disk,
    /// Files to which other users of the computer have access.
    Permissions,
    /// The identity's key.
    Key,
    /// The store.
    Store,
    /// Backups.
    Backup,
    /// Contacts.
    Peers,
    /// Relays and lines.
    Relays,
    /// Mailboxes.
    Mailboxes,
    /// Events that no front-end handles.
    Events,
}

/// A condition that needs the user's attention. It names no contact and no address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What it concerns.
    pub area: Area,
    /// True if something does not work or is exposed; false if it could be better.
    pub is_problem: bool,
    /// What is wrong and what to do, in one or more sentences.
    pub text: String,
    /// A command or a setting that mends it; empty if none does.
    pub remedy: String,
}

impl Warning {
    /// Returns a warning about something that works.
    #[must_use]
    pub fn new(area: Area, text: impl Into<String>) -> Self {
        Self {
            area,
            is_problem: false,
            text: text.into(),
            remedy: String::new(),
        }
    }

    /// Returns a warning about something that does not work, or that exposes secrets.
    #[must_use]
    pub fn problem(area: Area, text: impl Into<String>) -> Self {
        Self {
            is_problem: true,
            ..Self::new(area, text)
        }
    }

    /// Returns the warning with a command or a setting that mends it.
    #[must_use]
    pub fn mended_by(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}
