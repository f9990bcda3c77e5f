//! Warnings about this daemon's boxes and those of contacts.

use crate::refusal::Refusal;
use crate::state::State;
use crate::warning::{Area, Warning};
use m2_core::PathFailure;
use m2_store::MailboxState;

/// Returns the warnings about boxes. They name no contact and no provider.
pub(crate) fn warnings(engine: &State) -> Result<Vec<Warning>, Refusal> {
    let boxes = engine.batch.store.mailboxes()?;
    let refused = boxes
        .iter()
        .filter(|row| row.state == MailboxState::Refused);
    let failed = |reason| {
        let failures = engine.mail.failures.values();
        failures.filter(|failure| **failure == reason).count()
    };
    let warnings = [
        refused_boxes(refused.count()),
        used_up(failed(PathFailure::NoToken)),
        full(failed(PathFailure::MailboxFull)),
    ];
    Ok(warnings.into_iter().flatten().collect())
}

fn refused_boxes(count: usize) -> Option<Warning> {
    (count > 0).then(|| {
        let text = format!(
            "{count} of this daemon's mailboxes were refused by their providers, and no letters wait there: `m2 \
             mailbox list` shows which. Register each with a new invitation of its provider, or remove it."
        );
        Warning::problem(Area::Mailboxes, text).mended_by("m2 mailbox list")
    })
}

fn used_up(count: usize) -> Option<Warning> {
    (count > 0).then(|| {
        let text = format!(
            "For {count} contacts the tokens for letters are used up: messages to them wait for the next session, \
             which brings new tokens. `m2 contact list` shows which."
        );
        Warning::new(Area::Mailboxes, text).mended_by("m2 contact list")
    })
}

fn full(count: usize) -> Option<Warning> {
    (count > 0).then(|| {
        let text = format!(
            "The mailboxes of {count} contacts are full: messages to them wait here until they collect their \
             letters. `m2 contact list` shows which. Tell them by other means."
        );
        Warning::new(Area::Mailboxes, text).mended_by("m2 contact list")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relations;
    use crate::testing::engine;
    use m2_core::ContactState;
    use m2_crypto::PeerId;
    use m2_store::{BoxRowId, MailboxRow};

    #[test]
    fn boxes_that_are_refused_used_up_or_full_are_counted() {
        let (_dir, mut engine) = engine();
        let state = &mut engine.state;
        assert_eq!(warnings(state).unwrap(), []);
        for (number, failure) in [
            (1, PathFailure::NoToken),
            (2, PathFailure::NoToken),
            (3, PathFailure::MailboxFull),
            (4, PathFailure::NoAnswer),
        ] {
            let peer = PeerId::from_bytes([number; 32]);
            let row = relations::begin(state, peer, ContactState::Contact, "").unwrap();
            state.mail.failures.insert(row, failure);
        }
        for (number, is_refused) in [(5, true), (6, false)] {
            let row = MailboxRow {
                row: BoxRowId::default(),
                provider: PeerId::from_bytes([number; 32]),
                addresses: Vec::new(),
                invite_token: None,
                state: match is_refused {
                    true => MailboxState::Refused,
                    false => MailboxState::Open,
                },
                key: None,
                key_known: false,
                created_ms: 1,
            };
            state.batch.store.put_mailbox(&row).unwrap();
        }
        let told = warnings(state).unwrap();
        let begins: Vec<&str> = told.iter().map(|it| &it.text[..17]).collect();
        assert_eq!(
            begins,
            [
                "1 of this daemon'",
                "For 2 contacts th",
                "The mailboxes of "
            ]
        );
        let problems: Vec<bool> = told.iter().map(|it| it.is_problem).collect();
        assert_eq!(problems, [true, false, false]);
    }
}
