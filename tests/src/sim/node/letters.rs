//! Letters: deposited by one side, collected by the other.

use super::sessions::Stored;
use super::{Node, context};
use m2_delivery::{Context, MessageId, Misdeed, OpenedMessage, Payload, Time};

/// A letter in a mailbox: one message, as it is after the letter was opened.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The message's id.
    pub id: MessageId,
    /// The oldest place that the sender still offers.
    pub oldest: u64,
    /// The encoded payload.
    pub payload: Vec<u8>,
}

impl Node {
    /// Deposits an outbox message, if it is known. The letter leaves with the commit.
    pub fn deposit(&mut self, now: Time, id: MessageId) {
        let letter = self.letter(now, id);
        self.letters.extend(letter);
    }

    /// Returns the letters that left since the last call.
    pub fn take_posted(&mut self) -> Vec<Letter> {
        std::mem::take(&mut self.posted)
    }

    fn letter(&mut self, now: Time, id: MessageId) -> Option<Letter> {
        let payload = self.store.outbox.get(&id)?.payload.clone();
        self.conversation.on_deposited(context!(self, now), id);
        let (incarnation, oldest) = self.conversation.letter_place(context!(self, now));
        let payload = Payload::parse(payload.into()).ok()?;
        let oldest = oldest.min(payload.sequence);
        Some(Letter {
            incarnation,
            id,
            oldest,
            payload: payload.encode(),
        })
    }

    /// Receives a letter. As the peer is honest, a report of misbehaviour is a violation.
    pub fn collect(&mut self, now: Time, letter: &Letter) {
        if let Err(misdeed) = self.on_letter(now, letter) {
            self.store
                .violate(&format!("an honest peer's letter is blamed: {misdeed:?}"));
        }
    }

    /// Receives a letter of any peer.
    pub fn on_letter(&mut self, now: Time, letter: &Letter) -> Result<(), Misdeed> {
        let opened = OpenedMessage {
            incarnation: letter.incarnation,
            id: letter.id,
            oldest: letter.oldest,
            plaintext: letter.payload.clone().into(),
        };
        self.conversation.on_letter(context!(self, now), opened)
    }
}
