//! Reactions of contacts to messages.

use crate::state::State;
use m2_delivery::MessageId;
use m2_store::{ContactRowId, EventKind, MessageHead, MessageKind, StoreError};

/// Takes a contact's reaction. One to a message that is gone or unknown is dropped.
pub(crate) fn on_reaction(
    engine: &mut State,
    row: ContactRowId,
    target: MessageId,
    text: &str,
) -> Result<(), StoreError> {
    let head = engine.batch.store.message_head(&target.0)?;
    let Some(head) = head.filter(can_have) else {
        return Ok(());
    };
    if head.contact != row {
        engine.batch.counters.count("MESSAGE_NOT_THEIRS");
        return Ok(());
    }
    if !engine.batch.store.set_reaction(head.row, false, text)? {
        return Ok(());
    }
    engine.maintenance.note_content_changed();
    engine
        .batch
        .event(EventKind::MessageReacted, row, Some(head.row), 0)
}

/// Returns whether there can be reactions to a message.
pub(crate) fn can_have(head: &MessageHead) -> bool {
    !head.gone && head.kind == MessageKind::Content as i64
}
