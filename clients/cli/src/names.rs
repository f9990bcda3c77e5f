//! Names for peer ids and enum values of the API.

use std::collections::HashMap;

use m2_proto::api::v1::{
    ConflictKind, ContactState, DaemonState, IpMode, MailboxState, MessageState, Path,
};
use m2_proto::client::Client;

use crate::failure::Failure;
use crate::fetch;
use crate::sanitize;

/// The number of characters of a peer id that are shown for a peer without a name.
const SHORT_ID: usize = 12;

/// The contacts' names, for lines about peers.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: HashMap<String, String>,
}

impl Names {
    /// Fetches the names of all contacts from the daemon.
    pub(crate) async fn load(client: &Client) -> Result<Self, Failure> {
        let contacts = fetch::contacts(ContactState::Unspecified, client).await?;
        let names = contacts.into_iter().map(|c| (c.peer_id, c.name));
        Ok(Self {
            names: names.collect(),
        })
    }

    /// Records that this peer has no name, so that names are not fetched again for it.
    pub(crate) fn settle(&mut self, peer_id: &str) {
        self.names.entry(peer_id.to_owned()).or_default();
    }

    /// Returns whether the name of this peer was looked up.
    pub(crate) fn knows(&self, peer_id: &str) -> bool {
        self.names.contains_key(peer_id)
    }

    /// Returns the name, or the beginning of the peer id; safe to print.
    pub(crate) fn of(&self, peer_id: &str) -> String {
        match self.names.get(peer_id) {
            Some(name) if !name.is_empty() => sanitize::line(name),
            _ => short_id(peer_id),
        }
    }
}

/// Returns the description of a conflict of a contact's store; empty if there is none.
pub(crate) const fn conflict_text(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::Unspecified => "",
        ConflictKind::Older => {
            "its daemon's data was restored from an older copy, or is in use twice"
        }
        ConflictKind::Twice => "two daemons of it take turns, from copies of the same data",
    }
}

/// Returns the beginning of a peer id.
pub(crate) fn short_id(peer_id: &str) -> String {
    let id = sanitize::line(peer_id);
    if id.chars().count() <= SHORT_ID {
        return id;
    }
    format!("{}…", id.chars().take(SHORT_ID).collect::<String>())
}

/// Returns `delivered` for `MESSAGE_STATE_DELIVERED`.
pub(crate) fn message_state(state: i32) -> String {
    let known = MessageState::try_from(state).map(|state| state.as_str_name());
    short(known.ok(), "MESSAGE_STATE_")
}

/// Returns `request` for `CONTACT_STATE_REQUEST`.
pub(crate) fn contact_state(state: i32) -> String {
    let known = ContactState::try_from(state).map(|state| state.as_str_name());
    short(known.ok(), "CONTACT_STATE_")
}

/// Returns `open` for `MAILBOX_STATE_OPEN`.
pub(crate) fn mailbox_state(state: i32) -> String {
    let known = MailboxState::try_from(state).map(|state| state.as_str_name());
    short(known.ok(), "MAILBOX_STATE_")
}

/// Returns `direct` for `PATH_DIRECT`.
pub(crate) fn path(path: i32) -> String {
    let known = Path::try_from(path).map(|path| path.as_str_name());
    short(known.ok(), "PATH_")
}

/// Returns `line-only` for `IP_MODE_LINE_ONLY`.
pub(crate) fn ip_mode(mode: i32) -> String {
    let known = IpMode::try_from(mode).map(|mode| mode.as_str_name());
    short(known.ok(), "IP_MODE_").replace('_', "-")
}

/// Returns `ready` for `DAEMON_STATE_READY`.
pub(crate) fn daemon_state(state: i32) -> String {
    let known = DaemonState::try_from(state).map(|state| state.as_str_name());
    short(known.ok(), "DAEMON_STATE_")
}

fn short(name: Option<&str>, prefix: &str) -> String {
    let name = name.unwrap_or("unknown");
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}
