//! What is seen at each place.

use super::{FailClosed, Settings, lookup};
use crate::config::IpMode;

/// What the own relays see.
pub(super) fn relays(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    if settings.own() == 0 {
        said.push("Nothing: you have none.".to_owned());
        return said;
    }
    if settings.entries > 0 {
        said.push(format!(
            "{}: your IP address, when and how much you send, and which relays come next; not on \
             which lines, nor with whom.",
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
            "{}: {whose}, {lines}and when and how much is said on a line.",
            count(settings.relays, "meeting relay", "meeting relays")
        ));
    }
    if settings.ip == IpMode::Direct {
        said.push("They are asked at which address they see you.".to_owned());
    }
    said.push(
        "None of them learns your peer id, those of your contacts, or anything that is said."
            .to_owned(),
    );
    said
}

/// What providers of mailboxes see.
pub(super) fn providers(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    if settings.is_line_only() {
        said.push("Nothing: in line-only mode mailboxes are not used.".to_owned());
        return said;
    }
    if settings.boxes > 0 {
        said.push(
            "Your own: your peer id, your IP address, when you collect, and how many letters of \
             which size come when; not from whom, nor what is in them."
                .to_owned(),
        );
    }
    if settings.writes_letters > 0 {
        said.push(format!(
            "Those of {}: that a letter of some size comes from your IP address, whom it is for, \
             and when; not from whom, nor what is in it.",
            count(settings.writes_letters, "contact", "contacts")
        ));
    }
    if said.is_empty() {
        said.push("Nothing: you have no box, and write to none.".to_owned());
    }
    said
}

/// What somebody sees who watches all that leaves and enters the daemon's own network.
pub(super) fn home(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    match (settings.ip, settings.own()) {
        (IpMode::LineOnly, 0) => said.push("Nothing: nothing is sent.".to_owned()),
        (IpMode::LineOnly, _) => said.push(
            "That you send to your own relays and to nobody else, when, and how much.".to_owned(),
        ),
        (IpMode::PreferLine, _) => said.push(
            "The IP addresses of relays, and those of the contacts with whom no line could be \
             had; when and how much you send to each."
                .to_owned(),
        ),
        (IpMode::Direct, _) => said.push(
            "The IP addresses of the contacts with whom you talk, and when and how much you send \
             to each."
                .to_owned(),
        ),
    }
    if !settings.is_line_only() && settings.line_only > 0 {
        said.push(format!(
            "Of {} whose way is line-only: the addresses of relays alone.",
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

/// What somebody sees who watches all that enters and leaves a relay.
pub(super) fn at_relay(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    if settings.own() == 0 && settings.is_line_only() {
        said.push("Nothing of you: you use none.".to_owned());
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
            "Your IP address while you use the relay, and those of all others who do.".to_owned(),
        );
    }
    said.push(
        "The bytes that enter share nothing with those that leave, but their time and amount do: \
         who watches a relay for long can guess which two parties talk."
            .to_owned(),
    );
    said
}

/// What the own contacts see.
pub(super) fn contacts(settings: &Settings) -> Vec<String> {
    let mut said = Vec::new();
    match settings.ip {
        IpMode::Direct => said.push(
            "Your IP address, in every session that is direct and in your invitations.".to_owned(),
        ),
        IpMode::PreferLine => said.push(
            "Your relays; and your IP address in your invitations, and when no line can be had."
                .to_owned(),
        ),
        IpMode::LineOnly => said.push(
            "The addresses of your relays, but for entries, and never your IP address.".to_owned(),
        ),
    }
    if !settings.is_line_only() && settings.prefer_line > 0 {
        said.push(format!(
            "{} are called over lines first.",
            count(settings.prefer_line, "contact", "contacts")
        ));
    }
    if !settings.is_line_only() && settings.line_only > 0 {
        said.push(format!(
            "{}: no session is direct. What was learned before stays learned.",
            count(
                settings.line_only,
                "line-only contact",
                "line-only contacts"
            )
        ));
    }
    said.extend(lookup::contacts(settings));
    said.push("When you are there, and your peer id.".to_owned());
    said
}

/// What was found about line-only mode.
pub(super) fn fail_closed(settings: &Settings) -> Vec<String> {
    let found = match settings.fail_closed {
        FailClosed::NotInForce => "Line-only mode is not in force: there is nothing to test.",
        FailClosed::Holds => {
            "Holds: a datagram to an address that is no relay of yours was tried and did not \
             leave."
        }
        FailClosed::Broken => {
            "BROKEN: a datagram to an address that is no relay of yours could leave."
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
             packets a second, said or not: what shows is that it is up."
        ),
    }
}

fn count(number: usize, one: &str, many: &str) -> String {
    let noun = if number == 1 { one } else { many };
    format!("{number} {noun}")
}
