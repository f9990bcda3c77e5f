//! What an acknowledgement means for the message that it names.

use super::Sending;
use crate::context::Context;
use crate::error::Misdeed;
use crate::id::Ack;
use crate::output::{GiveUp, MessageState, Write};
use crate::payload::Payload;
use crate::tools::Tools;

impl Sending {
    pub(crate) fn on_acks(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        acks: &[Ack],
    ) -> Result<(), Misdeed> {
        let mut result = Ok(());
        for ack in acks {
            if !self.on_ack(tools, ack) {
                result = Err(Misdeed::AckMismatch);
            }
        }
        self.pump(cx, tools);
        result
    }

    /// Returns false if the acknowledgement names content that was never sent under this id.
    fn on_ack(&mut self, tools: &mut Tools<'_>, ack: &Ack) -> bool {
        let Some(entry) = self.outbox.by_id(&ack.id) else {
            tools.counters.unknown_acks += 1;
            return true;
        };
        let (saved, sealed, progress) = (entry.saved, entry.sealed, entry.progress);
        let has_copies = entry.has_copies;
        let as_sent = ack.hash == saved.hash;
        let as_replaced = saved.replaced == Some(ack.hash);
        let given_up = matches!(saved.state, MessageState::GivenUp(_));
        // An earlier run of a store that was later restored gave the message up.
        let as_skipped = !given_up && ack.hash == Payload::skip_hash(&ack.id);
        if !as_sent && !as_replaced && !as_skipped {
            return false;
        }
        if !self.fills_its_place(sealed, progress) {
            tools.counters.early_acks += 1;
            return true;
        }
        // If there are several copies of the message, it is unknown which one arrived.
        if let Some(epoch) = sealed.filter(|_| as_sent && !has_copies) {
            self.epochs.confirm(epoch);
        }
        if as_replaced || !given_up {
            let state = match as_skipped {
                true => MessageState::GivenUp(GiveUp::Earlier),
                false => MessageState::Delivered,
            };
            tools.out.write(Write::State {
                id: saved.id,
                state,
            });
        }
        self.outbox.remove(saved.sequence);
        tools.out.write(Write::OutboxRemove { id: saved.id });
        true
    }
}
