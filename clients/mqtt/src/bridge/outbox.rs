//! From the daemon to the broker: events, in order, each until the broker has it.

use super::backoff;
use super::effect::Notice;
use super::input::{Happening, Outcome};
use super::report::Report;
use std::collections::VecDeque;

/// The most events in memory. Further ones stay at the daemon.
pub(super) const MAX_EVENTS: usize = 64;
/// The most publications of events that wait for the broker's answer.
const WINDOW: usize = 16;
/// The bytes of an MQTT packet besides topic and payload, at most.
pub(super) const PACKET_HEAD: usize = 128;

/// The events whose positions are not stored at the daemon yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    events: VecDeque<Queued>,
    number: u64,
    in_flight: usize,
    refusals: u32,
    not_before_ms: u64,
    /// The position up to which all events are published, until the daemon has it.
    done: Option<String>,
    /// Set while the daemon stores a position.
    storing: Option<String>,
}

#[derive(Debug)]
struct Queued {
    number: u64,
    cursor: String,
    /// What is to be published; `None` once the broker has it.
    report: Option<(String, Report)>,
    in_flight: bool,
    /// A retained topic and its version, which the broker must have as well.
    state: Option<(String, u64)>,
}

/// An event to publish.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) number: u64,
    pub(super) topic: String,
    pub(super) payload: String,
}

impl Outbox {
    /// Returns whether there is room for another event.
    pub(super) fn has_room(&self) -> bool {
        self.events.len() < MAX_EVENTS
    }

    /// Takes an event with what is to be published for it. An event that is here already is ignored.
    pub(super) fn push(
        &mut self,
        happening: &Happening,
        report: Option<(String, Report)>,
        state: Option<(String, u64)>,
    ) {
        if self.contains(&happening.cursor) {
            return;
        }
        self.number += 1;
        self.events.push_back(Queued {
            number: self.number,
            cursor: happening.cursor.clone(),
            report,
            in_flight: false,
            state,
        });
        self.settle();
    }

    /// Returns whether an event is here already: the daemon repeats events after a restart.
    pub(super) fn contains(&self, cursor: &str) -> bool {
        self.events.iter().any(|event| event.cursor == cursor)
    }

    /// Returns the next event to publish, in a packet of at most `max_packet` bytes.
    pub(super) fn next(&mut self, max_packet: usize, now_ms: u64) -> Option<Publication> {
        if self.in_flight >= WINDOW || self.not_before_ms > now_ms {
            return None;
        }
        let waits = |event: &&mut Queued| event.report.is_some() && !event.in_flight;
        let event = self.events.iter_mut().find(waits)?;
        let (topic, report) = event.report.as_ref()?;
        let room = max_packet.saturating_sub(topic.len() + PACKET_HEAD);
        let publication = Publication {
            number: event.number,
            topic: topic.clone(),
            payload: report.to_json(room),
        };
        event.in_flight = true;
        self.in_flight += 1;
        Some(publication)
    }

    /// Notes what became of a publication.
    pub(super) fn published(
        &mut self,
        number: u64,
        outcome: Outcome,
        now_ms: u64,
    ) -> Option<Notice> {
        let mut events = self.events.iter_mut();
        let event = events.find(|event| event.number == number && event.in_flight)?;
        event.in_flight = false;
        self.in_flight = self.in_flight.saturating_sub(1);
        match outcome {
            Outcome::Acknowledged => {
                event.report = None;
                self.refusals = 0;
                self.settle();
                None
            }
            Outcome::BadContent => self.shrink(number),
            Outcome::Refused | Outcome::NotSent => {
                self.refusals += 1;
                self.not_before_ms = now_ms + backoff(self.refusals);
                (outcome == Outcome::Refused).then_some(Notice::BrokerRefuses)
            }
        }
    }

    /// Notes that the broker has a version of a retained topic.
    pub(super) fn has_state(&mut self, topic: &str, version: u64) {
        for event in &mut self.events {
            let waits = event.state.as_ref();
            if waits.is_some_and(|(waited, least)| waited == topic && *least <= version) {
                event.state = None;
            }
        }
        self.settle();
    }

    /// Notes that the connection to the broker ended: what it has not acknowledged is published again.
    pub(super) fn disconnect(&mut self) {
        for event in &mut self.events {
            event.in_flight = false;
        }
        self.in_flight = 0;
        self.not_before_ms = 0;
    }

    /// Returns the position to store at the daemon, if there is a new one.
    pub(super) fn acknowledge(&mut self) -> Option<String> {
        if self.storing.is_some() {
            return None;
        }
        self.storing = self.done.take();
        self.storing.clone()
    }

    /// Notes whether the daemon stored the position.
    pub(super) fn acknowledged(&mut self, stored: bool) {
        let cursor = self.storing.take();
        if !stored {
            self.done = self.done.take().or(cursor);
        }
    }

    /// Shortens the text of an event that the broker does not take. Without a text to shorten, the event counts as
    /// published: it must not stop all others.
    pub(super) fn shrink(&mut self, number: u64) -> Option<Notice> {
        let mut events = self.events.iter_mut();
        let event = events.find(|event| event.number == number)?;
        let shorter = event.report.as_mut().is_some_and(|it| it.1.shrink());
        if !shorter {
            event.report = None;
            self.settle();
        }
        Some(Notice::TextLeftOut)
    }

    /// Removes the events at the front that the broker has.
    fn settle(&mut self) {
        let is_done = |event: &Queued| event.report.is_none() && event.state.is_none();
        while self.events.front().is_some_and(is_done) {
            self.done = self.events.pop_front().map(|event| event.cursor);
        }
    }
}
