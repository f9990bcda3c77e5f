//! The start of a session: both sides state their places, and nothing is offered before the peer's
//! statement has come and fits (docs/spec/delivery.md#places).

use super::super::context::Context;
use super::super::id::{Path, Time};
use super::super::outbox::Progress;
use super::super::output::{Conflict, Write};
use super::super::own_place::{Verdict, judge};
use super::Sending;
use crate::places::Places;
use crate::tools::Tools;

/// The progress of the exchange of statements in the current session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// The peer's statement has not come yet.
    Awaited,
    /// The peer's statement has come: messages are offered.
    Done,
    /// The peer's statement does not fit, too soon after another that did not.
    Withheld,
}

impl Sending {
    /// Returns the path of the session once messages may be offered on it.
    pub(super) fn open_path(&self) -> Option<Path> {
        self.path.filter(|_| self.exchange == Exchange::Done)
    }

    pub(in super::super) fn connected(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        path: Path,
    ) {
        self.epochs.begin(cx);
        self.expire(cx, tools);
        self.path = Some(path);
        self.exchange = Exchange::Awaited;
        self.statement_due = true;
        self.retry = None;
        self.begin_session(tools);
    }

    /// Continues on an earlier session in which the current incarnation was already stated.
    pub(in super::super) fn resumed(
        &mut self,
        cx: &mut Context<'_>,
        tools: &mut Tools<'_>,
        path: Path,
    ) {
        self.epochs.begin(cx);
        self.expire(cx, tools);
        self.path = Some(path);
        self.exchange = Exchange::Awaited;
        self.retry = None;
        self.begin_session(tools);
    }

    /// Takes everything back that was sealed for another session.
    fn begin_session(&mut self, tools: &mut Tools<'_>) {
        self.epochs.close();
        tools.out.drop_offers();
        self.take_all_back();
    }

    pub(in super::super) fn disconnected(&mut self) {
        self.epochs.close();
        self.path = None;
        self.exchange = Exchange::Awaited;
        self.statement_due = false;
        self.retry = None;
        self.outbox.reset_all_offers();
    }

    fn take_all_back(&mut self) {
        self.outbox.reset_all_offers();
        self.cursor = 0;
    }

    /// Takes the peer's statement of its places.
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
                // Another run from a copy of this store has continued in this incarnation.
                if conflict == Conflict::OwnOlder {
                    self.renew(cx, tools);
                }
            }
            Verdict::Ahead => self.renew_unless_lately(cx, tools),
        }
        self.draw_jitter(cx);
        self.pump(cx, tools);
    }

    /// Takes a new incarnation at most once per renewal interval, so that a lying peer harms only
    /// its own conversation and causes little work.
    fn renew_unless_lately(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        let again = self.renewal_due(tools);
        // A time in the future was recorded by a clock that was wrong.
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

    /// Takes a new incarnation of this conversation, and states it if a session is established.
    /// Places continue from their current values; everything unacknowledged is sealed again when it
    /// is offered.
    pub(in super::super) fn renew(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        self.epochs.renew(cx);
        self.outbox.forget_epochs();
        self.take_all_back();
        tools.out.drop_offers();
        self.statement_due = self.path.is_some();
        tools.counters.renewed += 1;
        if self.exchange == Exchange::Withheld {
            self.exchange = Exchange::Done;
        }
    }

    /// Starts again because the two peers become contacts. They state their places after that.
    pub(in super::super) fn begin_again(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        self.renew(cx, tools);
        self.exchange = Exchange::Awaited;
        self.statement_due = false;
    }

    /// Takes a new incarnation at the driver's request and makes the offers that it allows.
    pub(in super::super) fn renew_now(&mut self, cx: &mut Context<'_>, tools: &mut Tools<'_>) {
        self.renew(cx, tools);
        self.pump(cx, tools);
    }

    /// Returns the local incarnation, beginning one if there is none, and the oldest place that is
    /// still offered.
    pub(in super::super) fn letter_place(&mut self, cx: &mut Context<'_>) -> (u64, u64) {
        self.epochs.begin(cx);
        (self.epochs.place().incarnation, self.oldest())
    }

    fn oldest(&self) -> u64 {
        self.outbox.oldest().unwrap_or(self.next_sequence)
    }

    /// Makes this side send its statement again in the current session.
    pub(in super::super) const fn state_again(&mut self) {
        self.statement_due = self.path.is_some();
    }

    /// Returns whether this side must send its statement, and clears the flag.
    pub(in super::super) fn take_statement_due(&mut self) -> bool {
        std::mem::take(&mut self.statement_due)
    }

    /// Returns whether the acknowledgement of a message means that its place is filled as well. The
    /// peer may have taken the message in an earlier incarnation, and may still wait for its place
    /// in the current one. So, while a session is up, the message must have been offered in that
    /// session.
    pub(super) const fn fills_its_place(&self, sealed: Option<u64>, progress: Progress) -> bool {
        match self.path {
            Some(_) => matches!(progress, Progress::Offered(_)),
            None => sealed.is_some(),
        }
    }

    pub(in super::super) const fn incarnation(&self) -> u64 {
        self.epochs.place().incarnation
    }

    /// Fills in the sending half of a statement.
    pub(in super::super) fn state(&self, places: &mut Places) {
        let place = self.epochs.place();
        places.incarnation = place.incarnation;
        places.epoch = place.epoch;
        places.oldest = self.oldest();
        places.next = self.next_sequence;
        places.settled = self.outbox.holes(self.next_sequence);
    }
}
