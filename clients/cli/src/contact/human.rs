//! Formats contacts for people.

use m2_proto::api::v1::{Contact, ContactState, IpMode, Path};

use super::policy::words;
use crate::names::{conflict_text, contact_state, ip_mode};
use crate::output::{Output, Style};
use crate::{sanitize, table, time};

/// Formats contacts as a table.
pub(super) fn list(out: &Output, contacts: &[Contact]) -> String {
    let header = ["NAME", "STATE", "VERIFIED", "ONLINE", "QUEUED", "PEER ID"];
    let rows: Vec<Vec<String>> = contacts
        .iter()
        .map(|contact| {
            vec![
                sanitize::line(&contact.name),
                contact_state(contact.state),
                yes(contact.verified),
                yes(contact.online),
                contact.queued_messages.to_string(),
                sanitize::line(&contact.peer_id),
            ]
        })
        .collect();
    let mut text = table::columns(out, &header, &rows);
    for contact in contacts.iter().filter(|contact| is_told(contact)) {
        let mark = out.paint("!", Style::Warning);
        let (name, problem) = (&contact.name, &contact.problem);
        text.push_str(&format!(
            "\n{mark} {}: {}",
            sanitize::line(name),
            sanitize::line(problem)
        ));
    }
    text
}

/// Returns whether a contact's problem is shown below the table. Being offline is not.
fn is_told(contact: &Contact) -> bool {
    let is_away = matches!(contact.last_failure.as_str(), "NO_ANSWER" | "NO_ADDRESS");
    !contact.problem.is_empty() && !is_away
}

/// Formats contact requests as a table.
pub(super) fn requests(out: &Output, contacts: &[Contact]) -> String {
    let rows: Vec<Vec<String>> = contacts
        .iter()
        .map(|contact| {
            vec![
                sanitize::line(&contact.name),
                time::local(contact.created.as_ref()),
                sanitize::line(&contact.peer_id),
            ]
        })
        .collect();
    table::columns(out, &["SUGGESTED NAME", "SINCE", "PEER ID"], &rows)
}

/// Formats all details of a contact.
pub(super) fn show(out: &Output, contact: &Contact) -> String {
    let name = sanitize::line(&contact.name);
    let state = contact_state(contact.state);
    let failure = sanitize::line(&contact.last_failure);
    table::fields(
        out,
        &[
            ("name", out.paint(&name, Style::Strong)),
            ("peer id", sanitize::line(&contact.peer_id)),
            ("state", state_with_hint(contact, state)),
            ("verified", verified(out, contact)),
            ("online", online(contact)),
            ("last seen", time::local(contact.last_seen.as_ref())),
            ("since", time::local(contact.created.as_ref())),
            ("addresses", sanitize::line(&contact.addresses.join(", "))),
            ("queued", contact.queued_messages.to_string()),
            ("last failure", out.paint(&failure, Style::Warning)),
            ("problem", sanitize::line(&contact.problem)),
            ("mailbox", mailbox(contact)),
            ("ip", ip(contact)),
            ("kept", kept(contact)),
            ("received", received(out, contact)),
            (
                "warning",
                out.paint(conflict_text(contact.conflict()), Style::Warning),
            ),
        ],
    )
}

/// Formats the amount of data that the contact made the daemon store.
fn received(out: &Output, contact: &Contact) -> String {
    let (rows, bytes) = (contact.received_messages, contact.received_bytes);
    let text = format!("{rows} messages, {bytes} bytes");
    if contact.quota_reached {
        let full = "the quota is reached: further messages are not accepted";
        return format!("{text}; {}", out.paint(full, Style::Warning));
    }
    text
}

/// Formats how long its messages are kept.
fn kept(contact: &Contact) -> String {
    let keep = contact
        .policy
        .as_ref()
        .and_then(|policy| policy.keep.as_ref());
    match keep.map(|keep| keep.seconds) {
        None => "default".to_owned(),
        Some(seconds) if seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        Some(seconds) => format!("{}h", seconds / 3_600),
    }
}

/// Formats the policy of a contact.
pub(super) fn policy(out: &Output, contact: &Contact) -> String {
    table::fields(
        out,
        &[
            ("mailbox", mailbox(contact)),
            ("ip", ip(contact)),
            ("kept", kept(contact)),
        ],
    )
}

/// Formats the paths that its sessions may take.
fn ip(contact: &Contact) -> String {
    match contact.policy.as_ref().map(|policy| policy.ip()) {
        None | Some(IpMode::Unspecified) => "default".to_owned(),
        Some(mode) => ip_mode(mode.into()),
    }
}

fn online(contact: &Contact) -> String {
    match (contact.online, contact.path()) {
        (true, Path::Line) => "yes, over a line".to_owned(),
        (online, _) => yes(online),
    }
}

/// Formats the use of mailboxes for a contact.
fn mailbox(contact: &Contact) -> String {
    let words = contact.policy.as_ref().map_or("off", words);
    let offered = match (contact.mailbox_offered, contact.mailbox_tokens) {
        (false, _) => String::new(),
        (true, 1) => ", it has room for one message from you".to_owned(),
        (true, tokens) => format!(", it has room for {tokens} messages from you"),
    };
    let failure = match contact.mailbox_failure.as_str() {
        "" => String::new(),
        reason => format!(", the last deposit failed: {}", sanitize::line(reason)),
    };
    format!("{words}{offered}{failure}")
}

fn state_with_hint(contact: &Contact, state: String) -> String {
    match contact.state() {
        ContactState::Request => format!("{state} (accept, decline or block it)"),
        ContactState::Asked => format!("{state} (waiting for its answer)"),
        _ => state,
    }
}

fn verified(out: &Output, contact: &Contact) -> String {
    if contact.verified {
        out.paint("yes", Style::Good)
    } else {
        "no (compare codes with `m2 contact verify`)".to_owned()
    }
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}
