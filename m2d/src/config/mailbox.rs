//! `[mailbox]`: keeping mailboxes for others, and depositing letters into those of contacts
//! (docs/spec/mailbox.md).

use super::ConfigError;
use super::ranges::Section;
use serde::{Deserialize, Serialize};

const SECTION: Section = Section("mailbox");

/// Both sides of mailboxes.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailboxConfig {
    /// How many seconds without a session with a contact pass before its messages are deposited in
    /// its mailbox, if both have consented: 1 to 86,400.
    pub after_s: u32,
    /// The maximum of the random delay before a letter is deposited, in seconds: 0 to 60.
    pub delay_s: u32,
    /// Deposits letters also at providers that keep a box of this daemon, which could link the two by
    /// the IP address.
    pub deposit_at_own_provider: bool,
    /// Keeps mailboxes for owners that come with an invitation.
    pub serve: bool,
    /// The maximum number of boxes on the server, 1 to 1,000,000.
    pub max_boxes: u64,
    /// The maximum bytes of all letters, 1 MiB or more.
    pub max_bytes: u64,
    /// The maximum number of letters in a box, 1 to 1,000,000.
    pub box_letters: u64,
    /// The maximum bytes of the letters in a box, 64 KiB or more.
    pub box_bytes: u64,
    /// The maximum number of taken letters that a box remembers, for up to two months: 1 to
    /// 100,000,000.
    pub box_spent: u64,
    /// The maximum number of concurrently connected owners, 1 to 100,000.
    pub max_owners: u32,
    /// The maximum number of concurrent depositing sessions, 1 to 100,000.
    pub max_depositors: u32,
    /// The servers of a NATS cluster that keeps the letters. If empty, a file of this daemon keeps
    /// them.
    pub nats: Vec<String>,
    /// The number of replicas in the cluster, 1 to 5.
    pub replicas: u32,
}

impl Default for MailboxConfig {
    fn default() -> Self {
        Self {
            after_s: 30,
            delay_s: 30,
            deposit_at_own_provider: false,
            serve: false,
            max_boxes: 10_000,
            max_bytes: 16 << 30,
            box_letters: 10_000,
            box_bytes: 64 << 20,
            box_spent: 65_536,
            max_owners: 10_000,
            max_depositors: 1_000,
            nats: Vec::new(),
            replicas: 3,
        }
    }
}

impl MailboxConfig {
    /// Returns whether a server's address contains the password of the cluster.
    pub(super) fn holds_password(&self) -> bool {
        self.nats.iter().any(|server| server.contains('@'))
    }

    /// Checks when letters are deposited.
    pub(super) fn check_delays(&self) -> Result<(), ConfigError> {
        let after = (1..=86_400).contains(&self.after_s);
        SECTION.range("after_s", after, "1 to 86,400")?;
        SECTION.range("delay_s", self.delay_s <= 60, "0 to 60")
    }

    /// Checks the limits of the server.
    pub(super) fn check_ranges(&self) -> Result<(), ConfigError> {
        let million = "1 to 1,000,000";
        let boxes = (1..=1_000_000).contains(&self.max_boxes);
        SECTION.range("max_boxes", boxes, million)?;
        SECTION.range("max_bytes", self.max_bytes >= 1 << 20, "1,048,576 or more")?;
        let letters = (1..=1_000_000).contains(&self.box_letters);
        SECTION.range("box_letters", letters, million)?;
        SECTION.range("box_bytes", self.box_bytes >= 1 << 16, "65,536 or more")?;
        let spent = (1..=100_000_000).contains(&self.box_spent);
        SECTION.range("box_spent", spent, "1 to 100,000,000")?;
        let owners = (1..=100_000).contains(&self.max_owners);
        SECTION.range("max_owners", owners, "1 to 100,000")?;
        let depositors = (1..=100_000).contains(&self.max_depositors);
        SECTION.range("max_depositors", depositors, "1 to 100,000")?;
        let servers = self.nats.len() <= 16 && self.nats.iter().all(|server| !server.is_empty());
        SECTION.range("nats", servers, "at most 16 addresses of servers")?;
        let replicas = (1..=5).contains(&self.replicas);
        SECTION.range("replicas", replicas, "1 to 5")
    }
}
