//! The reference model: what must be true of any world that came to rest (spec §6).

use super::node::Node;
use super::store::{Event, ModelStore, Sent};
use m2_net::delivery::{MessageId, MessageState};
use std::collections::{BTreeMap, BTreeSet};

/// What is broken.
pub(super) fn check(a: &Node, b: &Node, rested: bool) -> Vec<String> {
    let mut broken = Vec::new();
    if !rested {
        broken.push("the world does not come to rest".to_owned());
    }
    for (name, sender, receiver) in [("a to b", a, b), ("b to a", b, a)] {
        let mut found = sender.store.violations.clone();
        check_direction(sender, &receiver.store, &mut found);
        broken.extend(found.iter().map(|what| format!("{name}: {what}")));
    }
    broken
}

fn check_direction(sender: &Node, receiver: &ModelStore, broken: &mut Vec<String>) {
    for (id, sent) in &sender.store.sent {
        check_message(id, sent, receiver, broken);
    }
    for id in receiver.received.keys() {
        if !sender.store.sent.contains_key(id) {
            broken.push("something arrived that was never sent".to_owned());
        }
    }
    check_once(receiver, broken);
    check_places(receiver, sender.restores > 0, broken);
    if sender.restores == 0 {
        check_order(&sender.store, receiver, broken);
    }
}

/// Sent means shown once and `Delivered`, or given up and not shown.
fn check_message(id: &MessageId, sent: &Sent, receiver: &ModelStore, broken: &mut Vec<String>) {
    let received = receiver.received.get(id);
    let shown = received.is_some_and(|received| received.shown);
    match sent.state {
        _ if sent.abandoned => {}
        MessageState::Delivered if !shown => broken.push("a delivered message is lost".to_owned()),
        MessageState::GivenUp(_) if shown => {
            broken.push("a message that was given up is shown".to_owned());
        }
        MessageState::Queued | MessageState::Sent(_) | MessageState::Deposited => {
            broken.push(format!("a message ends as {:?}", sent.state));
        }
        MessageState::Delivered | MessageState::GivenUp(_) => {}
    }
    if received.is_some_and(|received| received.shown && received.body != sent.body) {
        broken.push("a message arrives altered".to_owned());
    }
}

fn check_once(receiver: &ModelStore, broken: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for event in &receiver.events {
        if let Event::Shown { id, .. } = event
            && !seen.insert(id)
        {
            broken.push("a message has two events".to_owned());
        }
    }
}

/// Walks every sequence space: each place in turn, but for gaps, and what comes after its gap.
fn check_places(receiver: &ModelStore, restored: bool, broken: &mut Vec<String>) {
    let mut spaces: BTreeMap<u64, Space> = BTreeMap::new();
    for event in &receiver.events {
        let (incarnation, fits) = match event {
            Event::Shown {
                incarnation,
                sequence,
                in_order,
                ..
            } => {
                let space = spaces.entry(*incarnation).or_default();
                (incarnation, space.shown(*sequence, *in_order, restored))
            }
            Event::Filled {
                incarnation,
                sequence,
            } => {
                let space = spaces.entry(*incarnation).or_default();
                (incarnation, space.filled(*sequence, restored))
            }
            Event::Gap {
                incarnation,
                first,
                missing,
            } => {
                let space = spaces.entry(*incarnation).or_default();
                (incarnation, space.gap(*first, *missing, restored))
            }
        };
        if !fits {
            let space = spaces.entry(*incarnation).or_default();
            broken.push(format!("out of order: {event:?} at {}", space.next));
        }
    }
}

struct Space {
    next: u64,
    missing: BTreeSet<u64>,
}

impl Default for Space {
    fn default() -> Self {
        Self {
            next: 1,
            missing: BTreeSet::new(),
        }
    }
}

impl Space {
    /// A restored sender's duplicates fill places without an event.
    const fn at(&self, sequence: u64, restored: bool) -> bool {
        sequence == self.next || (restored && sequence > self.next)
    }

    fn shown(&mut self, sequence: u64, in_order: bool, restored: bool) -> bool {
        if !in_order {
            return self.missing.remove(&sequence);
        }
        let fits = self.at(sequence, restored);
        self.next = sequence + 1;
        fits
    }

    fn filled(&mut self, sequence: u64, restored: bool) -> bool {
        if sequence < self.next {
            return self.missing.remove(&sequence);
        }
        self.shown(sequence, true, restored)
    }

    fn gap(&mut self, first: u64, missing: u64, restored: bool) -> bool {
        let fits = self.at(first, restored) && missing > 0;
        self.next = first + missing;
        self.missing.extend(first..self.next);
        fits
    }
}

/// What is shown in order is shown in the order of the calls to `send`.
fn check_order(sender: &ModelStore, receiver: &ModelStore, broken: &mut Vec<String>) {
    let mut last = 0;
    for event in &receiver.events {
        let Event::Shown {
            id, in_order: true, ..
        } = event
        else {
            continue;
        };
        let place = sender.order.iter().position(|sent| sent == id);
        let place = place.map_or(0, |place| place + 1);
        if place <= last {
            broken.push("messages are shown in another order than they were sent".to_owned());
        }
        last = place;
    }
}
