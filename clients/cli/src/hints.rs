//! The next command to run after a refusal that a command can fix. The API does not name commands,
//! because it also has other front-ends.

use m2_proto::reason::Reason;

/// Returns the command to run after a refusal, if there is one.
pub(crate) fn next_command(reason: &str) -> Option<&'static str> {
    Some(match reason.parse::<Reason>().ok()? {
        Reason::Locked => "m2 unlock",
        Reason::Stopping | Reason::Internal => "m2 status",
        Reason::InvitationUnknown => "m2 invite list",
        Reason::ContactUnknown | Reason::ContactAmbiguous | Reason::NameTaken => "m2 contact list",
        Reason::NotAContact => "m2 contact show CONTACT",
        Reason::NoRequest => "m2 contact requests",
        Reason::MailboxUnknown | Reason::MailboxAmbiguous => "m2 mailbox list",
        Reason::LineUnknown | Reason::LineAmbiguous => "m2 line list",
        Reason::MessageUnknown => "m2 history CONTACT --ids",
        Reason::CursorInvalid => "m2 listen --from start",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hint_is_a_command() {
        for reason in Reason::ALL {
            let Some(hint) = next_command(reason.as_str()) else {
                continue;
            };
            let words = hint.split_whitespace();
            let parsed = crate::args::command().try_get_matches_from(words);
            assert!(parsed.is_ok(), "{hint}: {}", parsed.unwrap_err());
        }
    }

    #[test]
    fn a_reason_of_a_newer_daemon_has_no_hint() {
        assert_eq!(next_command("BRAND_NEW"), None);
    }
}
