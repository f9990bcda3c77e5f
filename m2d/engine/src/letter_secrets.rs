//! The secrets that sessions leave for letters (`docs/spec/letter.md#letter-secrets`).

use crate::refusal::Refusal;
use crate::state::{Session, State};
use m2_crypto::envelope::SESSION_NAME_BYTES;
use m2_store::ContactRowId;
use m2_wire::Message;
use m2_wire::mailbox::Mailbox;
use std::sync::Arc;

/// Stores the letter secret of a session with a contact. Does nothing if it is stored.
pub(crate) fn keep(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
) -> Result<(), Refusal> {
    let Some(secret) = engine.sessions.letter_secret(link.id) else {
        return Ok(());
    };
    let mut secrets = engine.batch.store.letter_secrets(row)?;
    let before = secrets.clone();
    secrets.take(secret);
    if secrets != before {
        engine.batch.store.put_letter_secrets(row, &secrets)?;
    }
    Ok(())
}

/// Tells a contact which letter secrets this side has stored and seals with, if letters may be
/// exchanged with it.
pub(crate) fn announce(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
) -> Result<(), Refusal> {
    if !engine.mail.policies.contains_key(&row) || !engine.sessions.has_begun(link.id) {
        return Ok(());
    }
    let secrets = engine.batch.store.letter_secrets(row)?;
    let Some(newest) = secrets.kept().first() else {
        return Ok(());
    };
    let frame = Mailbox::LetterSecrets {
        stored: *newest.secret.session(),
        seals_with: secrets.sealing().map(|secret| *secret.session()),
    };
    engine
        .batch
        .push_frame(link.id, Message::Mailbox(Box::new(frame)));
    Ok(())
}

/// Handles a contact's statement about its letter secrets. Names of unknown sessions are ignored.
pub(crate) fn on_statement(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
    stored: &[u8; SESSION_NAME_BYTES],
    seals_with: Option<&[u8; SESSION_NAME_BYTES]>,
) -> Result<(), Refusal> {
    let now = engine.batch.now_ms();
    let before = engine.batch.store.letter_secrets(row)?;
    let mut secrets = before.clone();
    secrets.peer_committed(stored);
    if let Some(session) = seals_with {
        secrets.peer_seals_with(session, now / 1_000);
    }
    if secrets == before {
        return Ok(());
    }
    engine.batch.store.put_letter_secrets(row, &secrets)?;
    engine.mail.note(now);
    engine.mail.keys_due = 0;
    if secrets.sealing().map(|it| it.session()) != before.sealing().map(|it| it.session()) {
        announce(engine, row, link)?;
    }
    Ok(())
}
