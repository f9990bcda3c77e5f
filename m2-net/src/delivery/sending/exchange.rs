//! The start of a session: both sides state their places, and nothing is offered before the peer's
//! statement came and fits.

use super::super::context::Context;
use super::super::id::{Path, Time};
use super::super::outbox::Progress;
use super::super::output::{Conflict, SavedOutbox, Write};
use super::super::own_place::{Verdict, judge};
use super::{Sending, Tools};
use crate::wire::Places;

/// How far the statements of the session at hand have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// The peer's statement did not come yet.
    Awaited,
    /// It came: messages are offered.
    Done,
    /// It came and does not fit, too soon after another that did not.
    Withheld,
}

impl Sending {
    /// The way of the session, once messages may be offered on it.
    pub(super) fn open_path(&self) -> Option<Path> {
        self.path.filter(|_| self.exchange == Exchange::Done)
    }

    pub(in super::super) fn connected(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        path: Path,
    ) {
        self.epochs.begin(cx, tools.out);
        self.expire(cx, tools);
        self.path = Some(path);
        self.exchange = Exchange::Awaited;
        self.statement_due = true;
        self.retry = None;
        self.take_all_back();
    }

    /// An earlier session serves again, in which the present incarnation is stated.
    pub(in super::super) fn resumed(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        path: Path,
    ) {
        self.epochs.begin(cx, tools.out);
        self.expire(cx, tools);
        self.path = Some(path);
        self.exchange = Exchange::Awaited;
        self.retry = None;
        self.take_all_back();
    }

    pub(in super::super) fn disconnected(&mut self) {
        self.path = None;
        self.exchange = Exchange::Awaited;
        self.statement_due = false;
        self.retry = None;
        self.outbox.take_back_all();
    }

    fn take_all_back(&mut self) {
        self.outbox.take_back_all();
        self.cursor = 0;
    }

    /// The peer stated its places.
    pub(in super::super) fn on_places(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        stated: &Places,
    ) {
        if self.path.is_none() {
            return;
        }
        self.exchange = Exchange::Done;
        match judge(cx, self.epochs.place(), self.next_sequence, stated) {
            Verdict::Fits => {}
            Verdict::Proven(conflict) => {
                tools.out.write(Write::Conflict(conflict));
                // Another life of this store has gone on in this incarnation.
                if conflict == Conflict::OwnOlder {
                    self.renew(cx, tools);
                }
            }
            Verdict::Ahead => self.renew_unless_lately(cx, tools),
        }
        self.draw_jitter(cx);
        self.pump(cx, tools);
    }

    /// A peer that lies costs itself alone, and not more than this.
    fn renew_unless_lately(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        let again = self.renewal_due(tools);
        // A stamp of the future was made by a clock that was wrong.
        let is_bogus = self.epochs.place().renewed > cx.now;
        if cx.now < again && !is_bogus {
            self.exchange = Exchange::Withheld;
            self.retry = Some(again);
            tools.counters.withheld += 1;
            return;
        }
        self.epochs.note_renewed(cx.now);
        self.renew(cx, tools);
    }

    fn renewal_due(&self, tools: &Tools<'_>) -> Time {
        match self.epochs.place().renewed {
            Time(0) => Time(0),
            renewed => renewed.plus(tools.limits.renewal_interval),
        }
    }

    pub(super) fn renew_in_time(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        if self.exchange == Exchange::Withheld && cx.now >= self.renewal_due(tools) {
            self.epochs.note_renewed(cx.now);
            self.renew(cx, tools);
            self.exchange = Exchange::Done;
            self.pump(cx, tools);
        }
    }

    /// Takes a new incarnation of this conversation, and states it if a session stands. Places go
    /// on where they were; everything unacknowledged is sealed again when it is offered.
    pub(in super::super) fn renew(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        self.epochs.renew(cx, tools.out);
        self.take_all_back();
        tools.out.drop_offers();
        self.statement_due = self.path.is_some();
        tools.counters.renewed += 1;
        if self.exchange == Exchange::Withheld {
            self.exchange = Exchange::Done;
        }
    }

    /// The two become contacts: they state their places after that.
    pub(in super::super) fn begin_again(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        self.renew(cx, tools);
        self.exchange = Exchange::Awaited;
        self.statement_due = false;
    }

    /// Takes a new incarnation for a reason from outside, with the offers that it allows.
    pub(in super::super) fn renew_now(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        self.renew(cx, tools);
        self.pump(cx, tools);
    }

    /// The own incarnation, made when there is none, and the oldest place that is still offered.
    pub(in super::super) fn letter_place(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
    ) -> (u64, u64) {
        self.epochs.begin(cx, tools.out);
        (self.epochs.place().incarnation, self.oldest())
    }

    fn oldest(&self) -> u64 {
        self.outbox.oldest().unwrap_or(self.next_sequence)
    }

    /// States the places again in the session that is up.
    pub(in super::super) const fn state_again(&mut self) {
        self.statement_due = self.path.is_some();
    }

    /// Whether the own statement is to be said, once.
    pub(in super::super) fn take_statement_due(&mut self) -> bool {
        std::mem::take(&mut self.statement_due)
    }

    /// Whether the acknowledgement of a message means that its place is filled as well. The peer may
    /// have taken the message in an earlier incarnation, and may still wait for its place in the
    /// present one. So, while a session is up, the message must have been offered in that session.
    pub(super) fn fills_its_place(&self, saved: &SavedOutbox, progress: Progress) -> bool {
        match self.path {
            Some(_) => matches!(progress, Progress::Offered(_)),
            None => self.epochs.knows(saved.epoch),
        }
    }

    pub(in super::super) const fn incarnation(&self) -> u64 {
        self.epochs.place().incarnation
    }

    /// The own half of a statement.
    pub(in super::super) fn state(&self, places: &mut Places) {
        let place = self.epochs.place();
        places.incarnation = place.incarnation;
        places.epoch = place.epoch;
        places.oldest = self.oldest();
        places.next = self.next_sequence;
        places.settled = self.outbox.holes(self.next_sequence);
    }
}
