//! Deletes the data of removed contacts in steps, so that other inputs are not delayed.

use super::Engine;
use crate::refusal::Refusal;
use m2_delivery::GiveUp;
use m2_store::Erasure;

/// Messages given up or erased in one step: some milliseconds.
pub(super) const ERASE_STEP: u32 = 32;

impl Engine {
    /// Begins to give up all messages queued for a contact and, with `history`, to erase its
    /// messages. The first step runs at once.
    pub(super) fn begin_erasure(&mut self, row: i64, history: bool) -> Result<(), Refusal> {
        self.store.begin_erasure(row, history)?;
        if history {
            // Readers do not show the messages any more.
            self.maintenance.note_content_changed();
        }
        if let Some(erasure) = self.store.erasure_of(row)? {
            self.erase(erasure)?;
        }
        let now = self.now_ms();
        self.maintenance.note_erasure(now);
        Ok(())
    }

    /// Runs the next step of any erasure. Returns whether more may remain.
    pub(super) fn erase_next(&mut self) -> Result<bool, Refusal> {
        let Some(erasure) = self.store.next_erasure()? else {
            return Ok(false);
        };
        self.erase(erasure)?;
        Ok(true)
    }

    /// Runs one step. Queued messages are given up first, as their content may be read from the
    /// messages that are erased afterwards.
    fn erase(&mut self, erasure: Erasure) -> Result<(), Refusal> {
        let row = erasure.contact;
        if erasure.is_giving_up() {
            for id in self.store.next_to_give_up(&erasure, ERASE_STEP)? {
                self.with_conversation(row, |conversation, cx| {
                    conversation.give_up(cx, id, GiveUp::ContactRemoved);
                })?;
            }
            if self.is_giving_up(row)? {
                return Ok(());
            }
            // A contact that was removed and added again could not begin its conversation before
            // this.
            let link = self.serving(row);
            if let Some(link) = link.filter(|_| self.is_contact(row)) {
                self.begin_talk(row, &link)?;
            }
        }
        if self.store.erase_history(&erasure, ERASE_STEP)? < ERASE_STEP {
            self.store.end_erasure(row)?;
            let now = self.now_ms();
            self.maintenance.note_freed(now);
        }
        Ok(())
    }

    /// Returns whether messages queued before a contact's removal are still being given up.
    pub(super) fn is_giving_up(&self, row: i64) -> Result<bool, Refusal> {
        let erasure = self.store.erasure_of(row)?;
        Ok(erasure.is_some_and(|erasure| erasure.is_giving_up()))
    }
}

#[cfg(test)]
mod tests;
