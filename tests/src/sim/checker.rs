//! The reference model: the invariants of any world that has come to rest
//! (`docs/spec/delivery.md`).

use super::node::Node;
use super::store::{Event, ModelStore, Sent};
use m2_delivery::{MessageId, MessageState};
use std::collections::{BTreeMap, BTreeSet};

/// Returns all violated invariants. `rested` tells whether the world came to rest.
pub(super) fn check(a: &Node, b: &Node, rested: bool) -> Vec<String> {
    let mut broken = Vec::new();
    if !rested {
        broken.push("the world did not come to rest".to_owned());
    }
    for (name, sender, receiver) in [("a to b", a, b), ("b to a", b, a)] {
        let mut found = sender.store.violations.clone();
        check_direction(sender, &receiver.store, &mut found);
        broken.extend(found.iter().map(|what| format!("{name}: {what}")));
    }
    broken
}

fn check_direction(sender: &Node, receiver: &ModelStore, broken: &mut Vec<String>) {
    let era = sender.store.era;
    for (id, sent) in &sender.store.sent {
        check_end(sent, broken);
        // Messages from before the last fault may be lost, as a store may have forgotten them.
        if sent.era == era {
            check_message(id, sent, receiver, broken);
        }
    }
    check_once(receiver, broken);
    check_order(&sender.store, receiver, broken);
    if era > 0 {
        return;
    }
    for id in receiver.received.keys() {
        if !sender.store.sent.contains_key(id) {
            broken.push("something arrived that was never sent".to_owned());
        }
    }
    check_places(receiver, broken);
}

/// Checks that the message is in a final state.
fn check_end(sent: &Sent, broken: &mut Vec<String>) {
    if let MessageState::Queued | MessageState::Sent(_) | MessageState::Deposited = sent.state {
        broken.push(format!("a message ends as {:?}", sent.state));
    }
}

/// Checks that a message is shown if it is `Delivered`, is not shown if it was given up, and is
/// unaltered.
fn check_message(id: &MessageId, sent: &Sent, receiver: &ModelStore, broken: &mut Vec<String>) {
    let received = receiver.received.get(id);
    let shown = received.is_some_and(|received| received.shown);
    match sent.state {
        MessageState::Delivered if !shown => broken.push("a delivered message is lost".to_owned()),
        MessageState::GivenUp(_) if shown => {
            broken.push("a message that was given up is shown".to_owned());
        }
        _ => {}
    }
    if received.is_some_and(|received| received.shown && received.body != sent.body) {
        broken.push("a message arrived altered".to_owned());
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

/// Walks the sequence numbers of every incarnation: each place must follow the previous one, except
/// for gaps, and for messages that fill a gap later.
fn check_places(receiver: &ModelStore, broken: &mut Vec<String>) {
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
                (incarnation, space.shown(*sequence, *in_order))
            }
            Event::Filled {
                incarnation,
                sequence,
            } => {
                let space = spaces.entry(*incarnation).or_default();
                (incarnation, space.filled(*sequence))
            }
            Event::Gap {
                incarnation,
                first,
                missing,
            } => {
                let space = spaces.entry(*incarnation).or_default();
                (incarnation, space.gap(*first, *missing))
            }
            Event::Lost { .. } => {
                broken.push("messages are lost, and no store was rolled back".to_owned());
                continue;
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
    fn shown(&mut self, sequence: u64, in_order: bool) -> bool {
        if !in_order {
            return self.missing.remove(&sequence);
        }
        let fits = sequence == self.next;
        self.next = sequence + 1;
        fits
    }

    fn filled(&mut self, sequence: u64) -> bool {
        if sequence < self.next {
            return self.missing.remove(&sequence);
        }
        self.shown(sequence, true)
    }

    fn gap(&mut self, first: u64, missing: u64) -> bool {
        let fits = first == self.next && missing > 0;
        self.next = first + missing;
        self.missing.extend(first..self.next);
        fits
    }
}

/// Checks that messages of one incarnation that are shown in order are in the order of the calls to
/// `send`.
fn check_order(sender: &ModelStore, receiver: &ModelStore, broken: &mut Vec<String>) {
    let mut last: BTreeMap<u64, usize> = BTreeMap::new();
    for event in &receiver.events {
        let Event::Shown {
            id,
            incarnation,
            in_order: true,
            ..
        } = event
        else {
            continue;
        };
        // A store that was rolled back has forgotten the messages it has sent since.
        let Some(place) = sender.order.iter().position(|sent| sent == id) else {
            continue;
        };
        let before = last.insert(*incarnation, place);
        if before.is_some_and(|before| before >= place) {
            broken.push("messages are not shown in the order in which they were sent".to_owned());
        }
    }
}
