//! Decides which incarnation of the peer is followed, and at which place it continues
//! (docs/spec/delivery.md#places).

use super::super::context::Context;
use super::super::error::Misdeed;
use super::super::id::MessageId;
use super::super::output::{Conflict, Write};
use super::super::payload::PayloadError;
use super::super::plaintext::Plaintext;
use super::{OpenedMessage, Receiving, Tools, parse};
use crate::places::Places;
use std::ops::Range;

impl Receiving {
    /// Reports that another session was established.
    pub(in super::super) const fn connected(&mut self) {
        self.reported = false;
    }

    /// Takes the peer's statement. Returns whether the peer goes back to an incarnation that was
    /// left: this side must then show the peer the newest grant that the peer signed in that one.
    pub(in super::super) fn on_places(&mut self, tools: &mut Tools<'_>, stated: &Places) -> bool {
        if let Some(conflict) = self.conflict(stated) {
            tools.out.write(Write::Conflict(conflict));
        }
        let is_known = self.epochs.known(stated.incarnation).is_some();
        let goes_back = is_known && self.following != stated.incarnation;
        self.follow(
            tools,
            stated.incarnation,
            stated.oldest,
            Some(&stated.settled),
        );
        goes_back
    }

    /// Returns the conflict that the statement reveals about the peer's store, judged by grants
    /// that the peer itself has signed.
    fn conflict(&self, stated: &Places) -> Option<Conflict> {
        let followed = self.epochs.known(self.following)?;
        let highest = followed.saved.highest_epoch;
        if self.following == stated.incarnation {
            return (highest > stated.epoch).then_some(Conflict::PeerOlder);
        }
        let goes_back = self.epochs.known(stated.incarnation).is_some() && highest > 0;
        goes_back.then_some(Conflict::PeerTwice)
    }

    /// Follows an incarnation and continues at its oldest place that is still offered. Places
    /// before it and settled places will not be filled any more, so nothing waits for them.
    fn follow(
        &mut self,
        tools: &mut Tools<'_>,
        incarnation: u64,
        oldest: u64,
        settled: Option<&[Range<u64>]>,
    ) {
        let is_known = self.epochs.known(incarnation).is_some();
        let before = std::mem::replace(&mut self.following, incarnation);
        if before != incarnation {
            tools.out.write(Write::Following { incarnation });
            self.release_others(tools, incarnation);
        }
        self.epochs.adopt(incarnation, oldest);
        self.bound_incarnations(tools, incarnation);
        let before_oldest = self.continue_at(tools, incarnation, oldest);
        let among = settled.map_or(0, |settled| self.settle(tools, incarnation, settled));
        // Settled places of an incarnation that was not known were taken in another one, or lost
        // with it.
        let lost = match is_known {
            true => before_oldest.saturating_add(among),
            false => before_oldest,
        };
        let starts_over = before != 0 && before != incarnation && !is_known;
        if lost > 0 || starts_over {
            let missing = u32::try_from(lost).unwrap_or(u32::MAX);
            self.report(tools, (lost > 0).then_some(missing));
        }
    }

    /// Writes at most one event per session.
    fn report(&mut self, tools: &mut Tools<'_>, missing: Option<u32>) {
        if !std::mem::replace(&mut self.reported, true) {
            tools.out.write(Write::HistoryLost { missing });
        }
    }

    fn release_others(&mut self, tools: &mut Tools<'_>, incarnation: u64) {
        for other in self.epochs.numbers() {
            if other != incarnation {
                self.release_all(tools, other);
            }
        }
    }

    /// Evicts the least recently used incarnations if the peer has had too many.
    pub(super) fn bound_incarnations(&mut self, tools: &mut Tools<'_>, newest: u64) {
        while let Some(other) = self.epochs.surplus(tools.limits, self.following, newest) {
            self.release_all(tools, other);
            self.epochs.forget(tools, other);
        }
    }

    /// Follows no incarnation and releases everything that is held: the two peers become contacts
    /// again.
    pub(in super::super) fn begin_again(&mut self, tools: &mut Tools<'_>) {
        self.release_others(tools, 0);
        self.reported = false;
        if std::mem::take(&mut self.following) != 0 {
            tools.out.write(Write::Following { incarnation: 0 });
        }
    }

    /// Takes a message that came in a letter (docs/spec/delivery.md#by-letter).
    pub(in super::super) fn on_letter(
        &mut self,
        cx: &Context<'_>,
        tools: &mut Tools<'_>,
        letter: OpenedMessage,
        own_outbox: &dyn Fn(&MessageId) -> bool,
    ) -> Result<(), Misdeed> {
        let OpenedMessage {
            incarnation,
            id,
            oldest,
            plaintext,
        } = letter;
        let Plaintext::Message(payload) = parse(plaintext)? else {
            return Err(Misdeed::Payload(PayloadError::Notice));
        };
        if !(1..=payload.sequence).contains(&oldest) {
            return Err(Misdeed::Payload(PayloadError::Oldest));
        }
        let is_new = self.epochs.known(incarnation).is_none();
        if incarnation == self.following || (self.following == 0 && is_new) {
            self.follow(tools, incarnation, oldest, None);
        } else {
            self.epochs.adopt(incarnation, oldest);
            self.bound_incarnations(tools, incarnation);
        }
        self.take(cx, tools, incarnation, id, payload, own_outbox)
    }

    /// Fills in the receiving half of a statement.
    pub(in super::super) fn state(&self, places: &mut Places) {
        let Some(followed) = self.epochs.known(self.following) else {
            return;
        };
        places.following = self.following;
        places.following_epoch = followed.saved.highest_epoch;
        places.expected = followed.after_last();
        places.newest_grant = followed.grant.clone();
    }
}
