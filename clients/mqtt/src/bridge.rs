//! What the bridge decides: typed inputs, typed effects. No IO, no clock, no randomness.
//!
//! ```text
//!   daemon ── events ──▶ outbox ── publications ──▶ broker
//!   daemon ◀─ messages ─ inbox ◀──── commands ───── broker
//! ```
//!
//! The position in the daemon's event log moves only over events that the broker has acknowledged. A command is
//! acknowledged to the broker only when the daemon has stored its message, or has refused it for good.

mod effect;
mod inbox;
mod input;
mod journal;
#[cfg(test)]
mod model;
mod outbox;
mod report;
mod roster;
mod slots;
#[cfg(test)]
mod tests;

pub use effect::{Effect, Notice};
pub use input::{Content, Happening, Input, Kind, Message, Outcome, Peer, Sent};
pub use journal::Record;

use crate::contact_id::ContactId;
use crate::discovery;
use crate::topics::{About, OFFLINE, ONLINE, Topics};
use inbox::Inbox;
use outbox::Outbox;
use report::Report;
use roster::{Last, MAX_CONTACTS, Roster};
use slots::Slots;
use std::collections::{BTreeMap, BTreeSet};

/// The most publications of retained topics that wait for the broker's answer. As many events may.
const WINDOW: usize = 16;
/// How long the broker may take for an answer.
const SILENCE_MS: u64 = 60_000;
/// The time between two announcements of all devices.
const ANNOUNCE_MS: u64 = 10_000;
/// The pause after the daemon could not store the position.
const STORE_PAUSE_MS: u64 = 1_000;
/// The most contacts of earlier runs whose retained topics are cleared at once.
const MAX_STRAYS: usize = 1_024;
/// The longest pause after refusals.
const LONGEST_PAUSE_MS: u64 = 60_000;

/// The state of the bridge. `handle` takes one input and returns what is to be done, in order.
#[derive(Debug)]
pub struct Bridge {
    topics: Topics,
    roster: Roster,
    slots: Slots,
    outbox: Outbox,
    inbox: Inbox,
    flights: BTreeMap<u64, Flight>,
    token: u64,
    /// The largest packet that the broker takes; `None` without a connection.
    broker: Option<usize>,
    daemon_up: bool,
    can_send: bool,
    store_not_before_ms: u64,
    /// Contacts with a retained presence that no list of contacts has confirmed yet.
    strays: BTreeSet<ContactId>,
    announce: bool,
    announced_ms: Option<u64>,
}

/// A publication that waits for the broker's answer.
#[derive(Debug)]
struct Flight {
    about: Flying,
    size: usize,
    since_ms: u64,
}

#[derive(Clone, Debug)]
enum Flying {
    Event(u64),
    Slot(String, u64),
}

impl Bridge {
    /// Returns a bridge that uses these topics, with the journal of its earlier run.
    #[must_use]
    pub fn new(topics: Topics, journal: Vec<Record>) -> Self {
        let mut bridge = Self {
            roster: Roster::new(topics.prefix()),
            slots: Slots::default(),
            outbox: Outbox::default(),
            inbox: Inbox::new(journal),
            flights: BTreeMap::new(),
            token: 0,
            broker: None,
            daemon_up: false,
            can_send: true,
            store_not_before_ms: 0,
            strays: BTreeSet::new(),
            announce: false,
            announced_ms: None,
            topics,
        };
        let status = bridge.topics.bridge_status();
        bridge.slots.set(&status, ONLINE.to_owned());
        bridge.say_whether_the_daemon_answers();
        bridge
    }

    /// Returns whether the bridge takes another event of the daemon. If not, events stay at the daemon.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Takes an input at a time in milliseconds. Returns what is to be done.
    pub fn handle(&mut self, input: Input, now_ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        match input {
            Input::DaemonUp { can_send } => self.daemon_up(can_send),
            Input::DaemonDown => {
                self.daemon_up = false;
                self.say_whether_the_daemon_answers();
            }
            Input::Contacts(list) => self.contacts(&list, &mut effects),
            Input::Event(happening) => self.event(&happening, &mut effects),
            Input::Presence(peer) => self.presence(&peer),
            Input::Acknowledged(stored) => self.acknowledged(stored, now_ms),
            Input::Sent { command, result } => {
                self.inbox.sent(command, result, now_ms, &mut effects);
            }
            Input::Recorded(stored) => self.inbox.recorded(stored, now_ms, &mut effects),
            Input::BrokerUp {
                session_present,
                max_packet,
            } => self.broker_up(session_present, max_packet),
            Input::BrokerDown { too_large } => self.broker_down(too_large, now_ms, &mut effects),
            Input::Published { token, outcome } => {
                self.published(token, outcome, now_ms, &mut effects);
            }
            Input::Message(message) => self.message(message, now_ms, &mut effects),
            Input::Pong => self.inbox.pong(),
            Input::Tick => self.tick(now_ms, &mut effects),
        }
        self.pump(now_ms, &mut effects);
        effects
    }

    fn daemon_up(&mut self, can_send: bool) {
        self.daemon_up = true;
        if self.can_send != can_send {
            self.can_send = can_send;
            self.announce_all();
        }
        self.say_whether_the_daemon_answers();
    }

    fn say_whether_the_daemon_answers(&mut self) {
        let status = if self.daemon_up { ONLINE } else { OFFLINE };
        let topic = self.topics.daemon_status();
        self.slots.set(&topic, status.to_owned());
    }

    fn contacts(&mut self, list: &[Peer], effects: &mut Vec<Effect>) {
        if list.len() > MAX_CONTACTS {
            effects.push(Effect::Tell(Notice::TooManyContacts));
        }
        for id in self.roster.missing(list) {
            self.forget(&id, effects);
        }
        self.roster.loaded = true;
        for peer in list {
            self.put(&peer.peer_id, &peer.name);
            self.presence(peer);
        }
        for id in std::mem::take(&mut self.strays) {
            self.stray(id, effects);
        }
        let unknown = self.inbox.contacts();
        for id in unknown.iter().filter(|id| !self.roster.has(id)) {
            self.inbox.forget(id, effects);
        }
    }

    /// Adds or renames a contact, and announces its device.
    fn put(&mut self, peer_id: &str, name: &str) {
        if let Some(id) = self.roster.put(peer_id, name)
            && let Some(topic) = self.topics.discovery(&id)
        {
            let device = discovery::device(&self.topics, &id, name, self.can_send);
            self.slots.set(&topic, device);
        }
    }

    fn presence(&mut self, peer: &Peer) {
        let id = self.roster.id(&peer.peer_id);
        if !self.roster.has(&id) {
            return;
        }
        self.put(&peer.peer_id, &peer.name);
        let online = if peer.online { "ON" } else { "OFF" };
        self.slots.set(&self.topics.online(&id), online.to_owned());
        self.slots.set(&self.topics.path(&id), peer.path.to_owned());
    }

    /// Removes the device of a contact, and all that the broker keeps about it.
    fn forget(&mut self, id: &ContactId, effects: &mut Vec<Effect>) {
        self.roster.remove(id);
        for topic in self.topics.retained(id) {
            self.slots.clear(&topic);
        }
        self.inbox.forget(id, effects);
    }

    fn event(&mut self, happening: &Happening, effects: &mut Vec<Effect>) {
        if self.outbox.contains(&happening.cursor) {
            return;
        }
        let id = self.roster.id(&happening.peer_id);
        match &happening.kind {
            Kind::Added => self.put(&happening.peer_id, &happening.name),
            Kind::Removed => self.forget(&id, effects),
            Kind::Dropped { .. } => effects.push(Effect::Tell(Notice::EventsDropped)),
            _ if self.roster.has(&id) && !happening.name.is_empty() => {
                self.put(&happening.peer_id, &happening.name);
            }
            _ => {}
        }
        let state = self.last_message(&id, &happening.kind);
        let topic = self.topics.event(&id);
        let report = Report::of(happening).map(|report| (topic, report));
        self.outbox.push(happening, report, state);
    }

    /// Updates the topic for the last message of a contact. Returns the topic and its version if that changed.
    fn last_message(&mut self, id: &ContactId, kind: &Kind) -> Option<(String, u64)> {
        let member = self.roster.get_mut(id)?;
        let shows = |id: &str| match &member.last {
            Last::Unknown => true,
            Last::Message(last) => last == id,
            Last::Nothing => false,
        };
        let (last, value) = match kind {
            Kind::Message(content) => (
                Last::Message(content.id.clone()),
                report::last_message(content),
            ),
            Kind::Edited(content) if member.last == Last::Message(content.id.clone()) => (
                Last::Message(content.id.clone()),
                report::last_message(content),
            ),
            Kind::Retracted { id } | Kind::Expired { id } if shows(id) => {
                (Last::Nothing, report::no_message())
            }
            _ => return None,
        };
        member.last = last;
        let topic = self.topics.message(id);
        let version = self.slots.set(&topic, value);
        Some((topic, version))
    }

    fn acknowledged(&mut self, stored: bool, now_ms: u64) {
        self.outbox.acknowledged(stored);
        if !stored {
            self.store_not_before_ms = now_ms + STORE_PAUSE_MS;
        }
    }

    fn broker_up(&mut self, session_present: bool, max_packet: usize) {
        self.broker = Some(max_packet);
        self.flights.clear();
        self.outbox.disconnect();
        self.inbox.connect(session_present);
        self.slots.repeat_all();
    }

    fn broker_down(&mut self, too_large: bool, now_ms: u64, effects: &mut Vec<Effect>) {
        let flights = self.flights.values();
        let largest = flights.max_by_key(|flight| flight.size);
        // If a packet was too large, the largest one was.
        if let Some(about) = largest
            .map(|flight| flight.about.clone())
            .filter(|_| too_large)
        {
            self.outcome(about, Outcome::BadContent, now_ms, effects);
        }
        self.broker = None;
        self.flights.clear();
        self.outbox.disconnect();
        self.inbox.disconnect();
        self.slots.repeat_all();
    }

    fn published(&mut self, token: u64, outcome: Outcome, now_ms: u64, effects: &mut Vec<Effect>) {
        if let Some(flight) = self.flights.remove(&token) {
            self.outcome(flight.about, outcome, now_ms, effects);
        }
    }

    fn outcome(&mut self, about: Flying, outcome: Outcome, now_ms: u64, effects: &mut Vec<Effect>) {
        let notice = match about {
            Flying::Event(number) => self.outbox.published(number, outcome, now_ms),
            Flying::Slot(topic, version) => {
                self.slots.published(&topic, version, outcome, now_ms);
                if matches!(outcome, Outcome::Acknowledged | Outcome::BadContent) {
                    self.outbox.has_state(&topic, version);
                }
                let refused = matches!(outcome, Outcome::Refused | Outcome::BadContent);
                refused.then_some(Notice::BrokerRefuses)
            }
        };
        effects.extend(notice.map(Effect::Tell));
    }

    fn message(&mut self, message: Message, now_ms: u64, effects: &mut Vec<Effect>) {
        match self.topics.about(&message.topic) {
            About::Command(id) => {
                let permitted = self.permitted(&id);
                return self.inbox.take(&id, message, permitted, now_ms, effects);
            }
            About::Presence(id) if !message.payload.is_empty() => self.stray(id, effects),
            About::HomeAssistant if message.payload == ONLINE.as_bytes() => self.announce = true,
            _ => {}
        }
        let packet = message.packet;
        effects.extend(packet.map(|packet| Effect::Confirm {
            packet,
            refused: false,
        }));
    }

    fn permitted(&self, id: &ContactId) -> Result<(), Notice> {
        if !self.can_send {
            return Err(Notice::MayNotSend);
        }
        // Before the contacts are known, a command waits.
        if self.roster.loaded && !self.roster.has(id) {
            return Err(Notice::UnknownContact);
        }
        Ok(())
    }

    /// Notes that the broker keeps a contact's presence. If there is no such contact, its topics are cleared: it was
    /// removed while no bridge ran.
    fn stray(&mut self, id: ContactId, effects: &mut Vec<Effect>) {
        if !self.roster.loaded {
            if self.strays.len() < MAX_STRAYS {
                self.strays.insert(id);
            }
        } else if !self.roster.has(&id) && self.slots.len() < 8 * MAX_CONTACTS {
            self.forget(&id, effects);
        }
    }

    fn tick(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let late = |flight: &Flight| flight.since_ms + SILENCE_MS <= now_ms;
        if self.flights.values().any(late) {
            self.broker_down(false, now_ms, effects);
            effects.push(Effect::Tell(Notice::BrokerSilent));
            effects.push(Effect::Disconnect);
        }
    }

    fn announce_all(&mut self) {
        let names: Vec<(ContactId, String)> = self
            .roster
            .names()
            .map(|(id, name)| (id.clone(), name.to_owned()))
            .collect();
        for (id, name) in names {
            if let Some(topic) = self.topics.discovery(&id) {
                let device = discovery::device(&self.topics, &id, &name, self.can_send);
                self.slots.set(&topic, device);
                self.slots.repeat(&topic);
            }
        }
    }

    fn pump(&mut self, now_ms: u64, effects: &mut Vec<Effect>) {
        let announced = self.announced_ms;
        if self.announce && announced.is_none_or(|at| at + ANNOUNCE_MS <= now_ms) {
            self.announce = false;
            self.announced_ms = Some(now_ms);
            self.announce_all();
        }
        if let Some(max_packet) = self.broker {
            while self.publish_slot(max_packet, now_ms, effects) {}
            while self.publish_event(max_packet, now_ms, effects) {}
        }
        if self.daemon_up {
            self.inbox.pump(&self.roster, now_ms, effects);
            if self.store_not_before_ms <= now_ms {
                effects.extend(self.outbox.acknowledge().map(Effect::Acknowledge));
            }
        }
    }

    fn publish_slot(&mut self, max_packet: usize, now_ms: u64, effects: &mut Vec<Effect>) -> bool {
        let flights = self.flights.values();
        let slots = flights.filter(|flight| matches!(flight.about, Flying::Slot(..)));
        if slots.count() >= WINDOW {
            return false;
        }
        let Some(value) = self.slots.next(now_ms) else {
            return false;
        };
        let size = value.topic.len() + value.payload.len();
        if size + outbox::PACKET_HEAD > max_packet {
            let outcome = Outcome::BadContent;
            self.slots
                .published(&value.topic, value.version, outcome, now_ms);
            self.outbox.has_state(&value.topic, value.version);
            effects.push(Effect::Tell(Notice::PacketTooSmall));
            return true;
        }
        let about = Flying::Slot(value.topic.clone(), value.version);
        self.fly(about, value.topic, value.payload, true, now_ms, effects);
        true
    }

    fn publish_event(&mut self, max_packet: usize, now_ms: u64, effects: &mut Vec<Effect>) -> bool {
        let Some(event) = self.outbox.next(max_packet, now_ms) else {
            return false;
        };
        let size = event.topic.len() + event.payload.len();
        if size + outbox::PACKET_HEAD > max_packet {
            self.outbox
                .published(event.number, Outcome::BadContent, now_ms);
            effects.push(Effect::Tell(Notice::PacketTooSmall));
            return true;
        }
        let about = Flying::Event(event.number);
        self.fly(about, event.topic, event.payload, false, now_ms, effects);
        true
    }

    fn fly(
        &mut self,
        about: Flying,
        topic: String,
        payload: String,
        retain: bool,
        now_ms: u64,
        effects: &mut Vec<Effect>,
    ) {
        self.token += 1;
        let flight = Flight {
            about,
            size: topic.len() + payload.len(),
            since_ms: now_ms,
        };
        self.flights.insert(self.token, flight);
        effects.push(Effect::Publish {
            token: self.token,
            topic,
            payload,
            retain,
        });
    }
}

/// Returns the pause after a number of refusals, in milliseconds.
fn backoff(failures: u32) -> u64 {
    (500_u64 << failures.min(16)).min(LONGEST_PAUSE_MS)
}
