//! Checks of contacts and of mailboxes.

use m2_proto::api::v1::{Contact, Mailbox, MailboxState};

use super::check::{Area, Check};
use super::daemon::unix_ms;
use super::facts::Asked;
use super::network::prefix;
use crate::names::short_id;

/// After this time without a session, in days, a contact is reported.
const SILENT_DAYS: u64 = 14;
const DAY_MS: u64 = 86_400_000;
/// The most lines of one kind; the others are counted.
const MOST: usize = 10;

/// Judges the contacts.
pub(super) fn peers(contacts: &Asked<Vec<Contact>>, now_ms: u64) -> Vec<Check> {
    let contacts = match contacts {
        Ok(contacts) => contacts,
        Err(why) => return vec![Check::not_checked(Area::Peers, why)],
    };
    let mut checks = Vec::new();
    let failing: Vec<&Contact> = contacts.iter().filter(|it| is_failing(it)).collect();
    add(&mut checks, &failing, Area::Peers, |it| failing_peer(it));
    let silent = contacts.iter().filter(|it| !is_failing(it));
    let silent: Vec<&Contact> = silent.filter(|it| is_silent(it, now_ms)).collect();
    add(&mut checks, &silent, Area::Peers, |it| {
        silent_peer(it, now_ms)
    });
    let unverified: Vec<&Contact> = contacts.iter().filter(|it| !it.verified).collect();
    add(&mut checks, &unverified, Area::Peers, |it| {
        unverified_peer(it)
    });
    if checks.is_empty() {
        let online = contacts.iter().filter(|contact| contact.online).count();
        let text = format!("{} contacts, {online} online", contacts.len());
        checks.push(Check::ok(Area::Peers, text));
    }
    checks
}

/// Adds a check for each, up to a limit, and the number of the others.
fn add<T>(checks: &mut Vec<Check>, found: &[T], area: Area, check: impl Fn(&T) -> Check) {
    checks.extend(found.iter().take(MOST).map(check));
    let others = found.len().saturating_sub(MOST);
    if others > 0 {
        let text = format!("{others} more of the same kind");
        checks.push(Check::warning(area, text).mended_by("m2 contact list"));
    }
}

/// Returns whether messages wait for a contact that can't be reached, or the daemon knows a problem of one that it
/// can reach. That a contact without messages is offline is no fault.
fn is_failing(contact: &Contact) -> bool {
    let is_offline = !contact.online && contact.last_failure == "NO_ANSWER";
    let waits = contact.queued_messages > 0;
    !contact.problem.is_empty() && (waits || !is_offline)
}

fn failing_peer(contact: &Contact) -> Check {
    let reason = match contact.last_failure.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    let text = format!("{}{reason}: {}", contact.name, contact.problem);
    let remedy = format!("m2 network probe {}", word(contact));
    Check::warning(Area::Peers, text).mended_by(remedy)
}

fn is_silent(contact: &Contact, now_ms: u64) -> bool {
    !contact.online && silent_days(contact, now_ms) >= SILENT_DAYS
}

fn silent_days(contact: &Contact, now_ms: u64) -> u64 {
    let seen = contact.last_seen.as_ref().or(contact.created.as_ref());
    seen.map_or(0, |seen| now_ms.saturating_sub(unix_ms(seen)) / DAY_MS)
}

fn silent_peer(contact: &Contact, now_ms: u64) -> Check {
    let days = silent_days(contact, now_ms);
    let text = format!("{} was not seen for {days} days.", contact.name);
    let remedy = format!("m2 network probe {}", word(contact));
    Check::warning(Area::Peers, text).mended_by(remedy)
}

fn unverified_peer(contact: &Contact) -> Check {
    let text = format!(
        "{} is not verified: a person that forwarded the invitation could have replaced it.",
        contact.name
    );
    let remedy = format!("m2 contact verify {}", word(contact));
    Check::warning(Area::Peers, text).mended_by(remedy)
}

/// Returns a contact as one word of a command. A name that a shell could misunderstand is replaced by the beginning
/// of the peer id.
fn word(contact: &Contact) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-';
    let name = contact.name.as_str();
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(is_plain) {
        return name.to_owned();
    }
    prefix(&contact.peer_id)
}

/// Judges this daemon's mailboxes and those of contacts.
pub(super) fn boxes(mailboxes: &Asked<Vec<Mailbox>>, contacts: &Asked<Vec<Contact>>) -> Vec<Check> {
    let (mailboxes, contacts) = match (mailboxes, contacts) {
        (Ok(mailboxes), Ok(contacts)) => (mailboxes, contacts),
        (Err(why), _) | (_, Err(why)) => return vec![Check::not_checked(Area::Boxes, why)],
    };
    let mut checks: Vec<Check> = mailboxes.iter().filter_map(own_box).collect();
    let failing = contacts.iter().filter(|it| !it.mailbox_failure.is_empty());
    let failing: Vec<&Contact> = failing.collect();
    add(&mut checks, &failing, Area::Boxes, |it| contacts_box(it));
    if checks.is_empty() {
        let text = match mailboxes.len() {
            0 => "none is used".to_owned(),
            count => format!("{count} open"),
        };
        checks.push(Check::ok(Area::Boxes, text));
    }
    checks
}

fn own_box(mailbox: &Mailbox) -> Option<Check> {
    let name = short_id(&mailbox.provider_id);
    let remove = format!("m2 mailbox remove {}", prefix(&mailbox.provider_id));
    match mailbox.state() {
        MailboxState::Refused => {
            let text = format!(
                "The provider {name} refused the mailbox: register it again with a new invitation of the provider, \
                 or remove it."
            );
            Some(Check::problem(Area::Boxes, text).mended_by(remove))
        }
        _ if !mailbox.online && !mailbox.last_failure.is_empty() => {
            let text = format!(
                "The provider {name} is not reached ({}): letters wait there.",
                mailbox.last_failure
            );
            Some(Check::warning(Area::Boxes, text).mended_by("m2 mailbox collect"))
        }
        MailboxState::Asked => {
            let text = format!("the provider {name} has not answered the registration yet");
            Some(Check::not_checked(Area::Boxes, text))
        }
        MailboxState::Leaving => {
            let text = format!("the mailbox at {name} is being removed");
            Some(Check::not_checked(Area::Boxes, text))
        }
        _ => None,
    }
}

fn contacts_box(contact: &Contact) -> Check {
    let name = &contact.name;
    let show = format!("m2 contact show {}", word(contact));
    let text = match contact.mailbox_failure.as_str() {
        "MAILBOX_FULL" => format!(
            "The mailbox of {name} is full: messages wait here until {name} collects the letters. Tell them by \
             other means."
        ),
        "NO_TOKEN" => format!(
            "The tokens for letters to {name} are used up: messages wait for the next session, which brings new ones."
        ),
        "OWN_PROVIDER" => {
            let text = format!(
                "{name} has a mailbox at a provider of this daemon, which could link the two: no letters are left \
                 there."
            );
            let setting = "[mailbox] deposit_at_own_provider = true";
            return Check::warning(Area::Boxes, text).mended_by(setting);
        }
        reason => format!("The last letter to {name} could not be deposited ({reason})."),
    };
    Check::warning(Area::Boxes, text).mended_by(show)
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;
    use m2_proto::wkt::Timestamp;

    const NOW: u64 = 1_800_000_000_000;
    const ID: &str = "m2qqqqqqqqqqqqqqqqqqqqqqqq";

    fn contact(name: &str) -> Contact {
        Contact {
            name: name.to_owned(),
            peer_id: ID.to_owned(),
            verified: true,
            online: true,
            last_seen: Some(Timestamp::from_unix_millis(NOW)),
            ..Contact::default()
        }
    }

    fn offline(name: &str, queued: u64, failure: &str) -> Contact {
        Contact {
            online: false,
            queued_messages: queued,
            last_failure: failure.to_owned(),
            problem: "It does not answer.".to_owned(),
            ..contact(name)
        }
    }

    fn judged(contact: Contact) -> Check {
        let mut checks = peers(&Ok(vec![contact]), NOW);
        assert_eq!(checks.len(), 1, "{checks:?}");
        checks.remove(0)
    }

    #[test]
    fn a_contact_that_is_only_offline_is_no_fault() {
        assert_eq!(judged(contact("bob")).text, "1 contacts, 1 online");
        assert_eq!(judged(offline("bob", 0, "NO_ANSWER")).result, Outcome::Ok);
        let waits = judged(offline("bob", 1, "NO_ANSWER"));
        assert_eq!(waits.text, "bob (NO_ANSWER): It does not answer.");
        assert_eq!(waits.remedy, "m2 network probe bob");
        let wrong = judged(offline("bob", 0, "WRONG_KEY"));
        assert_eq!(wrong.result, Outcome::Warning);
    }

    #[test]
    fn silent_and_unverified_contacts_are_told() {
        let mut silent = offline("bob", 0, "NO_ANSWER");
        silent.last_seen = Some(Timestamp::from_unix_millis(NOW - SILENT_DAYS * DAY_MS));
        let found = judged(silent);
        assert_eq!(found.text, "bob was not seen for 14 days.");
        let mut unverified = contact("bob");
        unverified.verified = false;
        assert_eq!(judged(unverified).remedy, "m2 contact verify bob");
    }

    #[test]
    fn a_name_never_becomes_part_of_a_shells_command() {
        for name in ["$(reboot)", "a;b", "-rf", "", "a b", "bobʼs"] {
            let mut unverified = contact(name);
            unverified.verified = false;
            let remedy = judged(unverified).remedy;
            assert_eq!(remedy, "m2 contact verify m2qqqqqqqqqqqqqq");
        }
    }

    #[test]
    fn many_contacts_of_one_kind_are_counted() {
        let crowd = (0..MOST + 5).map(|number| offline(&format!("c{number}"), 1, "NO_ANSWER"));
        let checks = peers(&Ok(crowd.collect()), NOW);
        assert_eq!(checks.len(), MOST + 1);
        assert_eq!(checks[MOST].text, "5 more of the same kind");
        assert_eq!(
            peers(&Err("no".to_owned()), NOW)[0].result,
            Outcome::NotChecked
        );
    }

    #[test]
    fn each_state_of_a_mailbox_has_its_line() {
        let of = |state: MailboxState, failure: &str| {
            let mailbox = Mailbox {
                provider_id: ID.to_owned(),
                state: state.into(),
                last_failure: failure.to_owned(),
                ..Mailbox::default()
            };
            let checks = boxes(&Ok(vec![mailbox]), &Ok(Vec::new()));
            (checks[0].result, checks[0].remedy.clone())
        };
        let (result, remedy) = of(MailboxState::Refused, "");
        assert_eq!(result, Outcome::Problem);
        assert_eq!(remedy, "m2 mailbox remove m2qqqqqqqqqqqqqq");
        assert_eq!(of(MailboxState::Open, "NO_ANSWER").0, Outcome::Warning);
        assert_eq!(of(MailboxState::Asked, "").0, Outcome::NotChecked);
        assert_eq!(of(MailboxState::Leaving, "").0, Outcome::NotChecked);
        assert_eq!(of(MailboxState::Open, "").0, Outcome::Ok);
        let none = boxes(&Ok(Vec::new()), &Ok(Vec::new()));
        assert_eq!(none, [Check::ok(Area::Boxes, "none is used")]);
    }

    #[test]
    fn each_failure_of_a_letter_has_its_line() {
        for (failure, words) in [
            ("MAILBOX_FULL", "is full"),
            ("NO_TOKEN", "used up"),
            ("OWN_PROVIDER", "could link"),
            ("MAILBOX_REFUSED", "MAILBOX_REFUSED"),
        ] {
            let mut bob = contact("bob");
            bob.mailbox_failure = failure.to_owned();
            let checks = boxes(&Ok(Vec::new()), &Ok(vec![bob]));
            assert_eq!((checks.len(), checks[0].result), (1, Outcome::Warning));
            assert!(checks[0].text.contains(words), "{checks:?}");
        }
    }
}
