//! What a node sends, and what it must have stored before.

use super::{Frame, Node};
use m2_delivery::{Ack, MessageId};

impl Node {
    pub(super) fn transmit(
        &mut self,
        id: Option<&MessageId>,
        session: &[u8; 8],
        grant: Option<&[u8]>,
        sealed: &[u8],
    ) -> Option<Frame> {
        if id.is_some_and(|id| !self.store.sent.contains_key(id)) {
            self.store.violate("a message is sent that is not stored");
        }
        // A session that does not serve any more takes nothing.
        let serving = self.sending.as_ref()?;
        (serving.session() == session).then(|| Frame::Envelope {
            grant: grant.map(<[u8]>::to_vec),
            sealed: sealed.to_vec(),
        })
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
