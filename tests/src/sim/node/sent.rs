//! What a node sends, and what it must have stored before.

use super::{Frame, Node};
use m2_delivery::{Ack, MessageId};

impl Node {
    pub(super) fn transmit(
        &mut self,
        id: &MessageId,
        epoch: u64,
        grant: Option<&[u8]>,
    ) -> Option<Frame> {
        let Some(row) = self.store.outbox.get(id) else {
            // The message was acknowledged in the meantime, or else was never stored.
            if !self.store.sent.contains_key(id) {
                self.store.violate("a message is sent that is not stored");
            }
            return None;
        };
        if row.entry.epoch != epoch {
            return None;
        }
        let (grant, sealed) = (grant.map(<[u8]>::to_vec), row.sealed.clone());
        Some(Frame::Envelope { grant, sealed })
    }

    pub(super) fn check_sealed(&mut self, sealed: Option<&[u8]>, frame: Option<&Frame>) {
        if let (Some(sealed), Some(Frame::Envelope { sealed: stored, .. })) = (sealed, frame)
            && sealed != stored
        {
            self.store.violate("other bytes are sent than are stored");
        }
    }

    pub(super) fn check_acks(&mut self, acks: &[Ack]) {
        for ack in acks {
            let known = self.store.received.get(&ack.id);
            if known.is_none_or(|known| known.hash != ack.hash) {
                self.store
                    .violate("a message is acknowledged that is not stored");
            }
        }
    }
}
