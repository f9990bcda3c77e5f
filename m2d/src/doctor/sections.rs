//! The sections of the report, one for each place.

use super::{FailClosed, Settings, lookup};
use crate::config::IpMode;

/// Returns what the daemon's own relays see.
pub(super) fn relays(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    if settings.own() == 0 {
        said.push("Nothing: you have none.".to_owned());
        return said;
    }
    if settings.entries > 0 {
        said.push(format!(
            "{}: your IP address, when and how much you send, and which relays come next; not your \
             lines, and not your contacts.",
            count(settings.entries, "entry", "entries")
        ));
    }
    if settings.relays > 0 {
        let whose = if settings.entries > 0 {
            "the address of your entry"
        } else {
            "your IP address"
        };
        let lines = if settings.open {
            "how many lines you hold open, "
        } else {
            ""
        };
        said.push(format!(
            "{}: {whose}, {lines}and when and how much is sent on a line.",
            count(settings.relays, "meeting relay", "meeting relays")
        ));
    }
    if settings.ip == IpMode::Direct {
        said.push("They are asked at which address they see you.".to_owned());
    }
    said.push(
        "None of them learns your peer id, those of your contacts, or any content.".to_owned(),
    );
    said
}

/// Returns what mailbox providers see.
pub(super) fn providers(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    if settings.is_line_only() {
        said.push("Nothing: in line-only mode mailboxes are not used.".to_owned());
        return said;
    }
    if settings.boxes > 0 {
        said.push(
            "Your own: your peer id, your IP address, when you collect, and the number, sizes and \
             times of your letters; neither their senders nor their content."
                .to_owned(),
        );
    }
    if settings.writes_letters > 0 {
        said.push(format!(
            "Those of {}: the size and the time of each letter from your IP address, and its \
             recipient; neither its sender nor its content.",
            count(settings.writes_letters, "contact", "contacts")
        ));
    }
    if said.is_empty() {
        said.push("Nothing: you have no box, and deposit no letters.".to_owned());
    }
    said
}

/// Returns what an observer of all traffic of the daemon's own network sees.
pub(super) fn home(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    match (settings.ip, settings.own()) {
        (IpMode::LineOnly, 0) => said.push("Nothing: nothing is sent.".to_owned()),
        (IpMode::LineOnly, _) => said.push(
            "That you send only to your own relays, when, and how much.".to_owned(),
        ),
        (IpMode::PreferLine, _) => said.push(
            "The IP addresses of relays, and those of the contacts for which no line was available; \
             when and how much you send to each."
                .to_owned(),
        ),
        (IpMode::Direct, _) => said.push(
            "The IP addresses of the contacts that you talk to, and when and how much you send \
             to each."
                .to_owned(),
        ),
    }
    if !settings.is_line_only() && settings.line_only > 0 {
        said.push(format!(
            "For {} whose way is line-only: only the addresses of relays.",
            count(settings.line_only, "contact", "contacts")
        ));
    }
    if !settings.is_line_only() && settings.boxes + settings.writes_letters > 0 {
        said.push("The IP addresses of mailbox providers.".to_owned());
    }
    said.extend(lookup::at_home(settings));
    if settings.own() > 0 || !settings.is_line_only() {
        said.push(sizes(settings));
    }
    said
}

/// Returns what an observer of all traffic of a relay sees.
pub(super) fn at_relay(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    if settings.own() == 0 && settings.is_line_only() {
        said.push("Nothing about you: you use none.".to_owned());
        return said;
    }
    if settings.entries > 0 {
        said.push(
            "At the entry: your IP address and that of the next relay. At the relay where you \
             meet: the address of the entry instead of yours."
                .to_owned(),
        );
    } else {
        said.push(
            "Your IP address while you use the relay, and those of its other users.".to_owned(),
        );
    }
    said.push(
        "The bytes that enter have nothing in common with those that leave, except time and \
         amount: an observer who watches a relay for long can guess which two parties talk."
            .to_owned(),
    );
    said
}

/// Returns what contacts see.
pub(super) fn contacts(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    match settings.ip {
        IpMode::Direct => said.push(
            "Your IP address, in every session that is direct and in your invitations.".to_owned(),
        ),
        IpMode::PreferLine => said.push(
            "Your relays; and your IP address in your invitations, and when no line is available."
                .to_owned(),
        ),
        IpMode::LineOnly => said.push(
            "The addresses of your relays, except entries, and never your IP address.".to_owned(),
        ),
    }
    if !settings.is_line_only() && settings.prefer_line > 0 {
        said.push(format!(
            "{} are dialled over lines first.",
            count(settings.prefer_line, "contact", "contacts")
        ));
    }
    if !settings.is_line_only() && settings.line_only > 0 {
        said.push(format!(
            "{}: no session is direct. They keep what they learned before.",
            count(
                settings.line_only,
                "line-only contact",
                "line-only contacts"
            )
        ));
    }
    said.extend(lookup::contacts(settings));
    said.push("When you are online, and your peer id.".to_owned());
    said
}

/// Returns the result of the test of line-only mode.
pub(super) fn fail_closed(settings: &Settings) -> Vec<String> {
    let found = match settings.fail_closed {
        FailClosed::NotInForce => "Line-only mode is not in force: there is nothing to test.",
        FailClosed::Holds => {
            "Holds: a datagram to an address that is not one of your relays was tried and did not \
             leave."
        }
        FailClosed::Broken => {
            "BROKEN: a datagram to an address that is not one of your relays could leave."
        }
    };
    vec![found.to_owned()]
}

fn sizes(settings: &Settings) -> String {
    match (settings.padding, settings.cover) {
        (false, _) => {
            "The sizes of packets, and from them roughly how long your messages are.".to_owned()
        }
        (true, 0) => {
            "All data packets have one size; their number and time still tell when you talk."
                .to_owned()
        }
        (true, cover) => format!(
            "All data packets have one size, and every session with a contact sends {cover} data \
             packets a second, with or without messages: only its existence shows."
        ),
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{number} {noun}")
}
