//! What contacts exchange about letters in each session (`docs/spec/mailbox.md#tokens`).

use crate::refusal::Refusal;
use crate::state::{Session, State};
use crate::{contact_boxes, letter_secrets, token_giving};
use m2_store::ContactRowId;
use std::sync::Arc;

/// Exchanges what letters need with a contact with a mailbox policy: boxes, tokens and secrets.
///
/// Does nothing in a session in which this was done, or that has not begun.
pub(crate) fn greet(
    engine: &mut State,
    row: ContactRowId,
    link: &Arc<Session>,
) -> Result<(), Refusal> {
    let Some(progress) = engine.sessions.progress_mut(link.id) else {
        return Ok(());
    };
    if !progress.begun || !engine.mail.policies.contains_key(&row) || progress.greeted {
        return Ok(());
    }
    progress.greeted = true;
    token_giving::offer(engine, row)?;
    letter_secrets::announce(engine, row, link)?;
    contact_boxes::ask_for_tokens(engine, row, link)
}
