//! A model of a daemon's store: rows, transactions, and a record of everything that has happened,
//! with which violations are detected.

use super::identities::Identified;
use m2_crypto::PeerId;
use m2_delivery::{
    Body, Committed, ContentHash, History, Limits, MessageId, MessageState, Payload, Queued, Saved,
    SavedHeld, SavedIncarnation, SavedOutbox, SavedPeerGrant, SavedPlace, Time, Write,
};
use std::collections::BTreeMap;

/// An event as a front-end sees it on the receiving side of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message was shown.
    Shown {
        /// The message's id.
        id: MessageId,
        /// The sender's incarnation.
        incarnation: u64,
        /// The message's place.
        sequence: u64,
        /// False if the message fills a gap that was reported before.
        in_order: bool,
    },
    /// Places are missing.
    Gap {
        /// The sender's incarnation.
        incarnation: u64,
        /// The first missing place.
        first: u64,
        /// The number of missing places.
        missing: u64,
    },
    /// Messages are lost because one side has forgotten them.
    Lost {
        /// The number of lost messages, if it is known.
        missing: Option<u32>,
    },
    /// A place was filled by a SKIP or a duplicate.
    Filled {
        /// The sender's incarnation.
        incarnation: u64,
        /// The filled place.
        sequence: u64,
    },
}

/// A received message.
#[derive(Debug, Clone)]
pub struct Received {
    /// The sender's incarnation.
    pub incarnation: u64,
    /// The message's place.
    pub sequence: u64,
    /// The content hash, which is acknowledged.
    pub hash: ContentHash,
    /// The message's body.
    pub body: Body,
    /// True once the message was shown.
    pub shown: bool,
}

/// A message that `send` accepted; kept for ever.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The content hash.
    pub hash: ContentHash,
    /// The message's body.
    pub body: Body,
    /// The message's latest state.
    pub state: MessageState,
    /// The era in which the message was last sent or pending. A new era begins with every store
    /// fault of the [`World`].
    ///
    /// [`World`]: super::World
    pub era: u32,
}

/// One row of the outbox.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    /// The row's index entry.
    pub entry: SavedOutbox,
    /// The encoded payload.
    pub payload: Vec<u8>,
}

/// The store of one side.
#[derive(Debug, Clone)]
pub struct ModelStore {
    peer: PeerId,
    limits: Limits,
    place: SavedPlace,
    following: u64,
    peer_grants: BTreeMap<u64, SavedPeerGrant>,
    next_sequence: u64,
    /// The outbox.
    pub outbox: BTreeMap<MessageId, OutboxRow>,
    /// All messages ever sent.
    pub sent: BTreeMap<MessageId, Sent>,
    /// The ids of sent messages, in the order of the calls to `send`.
    pub order: Vec<MessageId>,
    incarnations: BTreeMap<u64, SavedIncarnation>,
    /// The held places, by incarnation and sequence number.
    pub held: BTreeMap<(u64, u64), SavedHeld>,
    /// All messages ever received.
    pub received: BTreeMap<MessageId, Received>,
    /// The event log.
    pub events: Vec<Event>,
    /// Number of messages that were acknowledged after they had been given up.
    pub given_up_but_delivered: usize,
    /// The current era: the number of store faults so far.
    pub era: u32,
    /// Number of places that were ever held.
    pub ever_held: usize,
    /// The violations detected so far.
    pub violations: Vec<String>,
}

impl ModelStore {
    /// Creates an empty store for a conversation with `peer`.
    pub fn new(peer: &Identified, limits: Limits) -> Self {
        Self {
            peer: peer.id,
            limits,
            place: SavedPlace::default(),
            following: 0,
            peer_grants: BTreeMap::new(),
            era: 0,
            next_sequence: 0,
            outbox: BTreeMap::new(),
            sent: BTreeMap::new(),
            order: Vec::new(),
            incarnations: BTreeMap::new(),
            held: BTreeMap::new(),
            received: BTreeMap::new(),
            events: Vec::new(),
            given_up_but_delivered: 0,
            ever_held: 0,
            violations: Vec::new(),
        }
    }

    /// Commits one transaction.
    pub fn commit(&mut self, now: Time, writes: Vec<Write>) {
        for write in writes {
            self.apply(now, write);
        }
    }

    fn apply(&mut self, now: Time, write: Write) {
        match write {
            Write::Place(place) => self.place = place,
            Write::NextSequence { next } => {
                self.check(next > self.next_sequence, "a sequence number decreases");
                self.next_sequence = next;
            }
            Write::Outbox { entry, payload } => self.put_outbox(entry, payload.encode()),
            Write::OutboxRemove { id } => {
                let there = self.outbox.remove(&id).is_some();
                self.check(there, "an outbox row is removed twice");
            }
            Write::State { id, state } => self.set_state(id, state),
            other => self.apply_received(now, other),
        }
    }

    fn apply_received(&mut self, now: Time, write: Write) {
        match write {
            Write::Incarnation(row) => self.put_incarnation(row),
            Write::IncarnationRemove { incarnation } => {
                self.incarnations.remove(&incarnation);
                self.peer_grants.remove(&incarnation);
            }
            Write::PeerGrant(row) => drop(self.peer_grants.insert(row.incarnation, row)),
            Write::Following { incarnation } => self.following = incarnation,
            Write::HistoryLost { missing } => self.events.push(Event::Lost { missing }),
            Write::Deliver {
                id,
                incarnation,
                payload,
                hash,
                in_order,
            } => {
                let sequence = payload.sequence;
                self.insert(id, incarnation, &payload, hash, true);
                self.events.push(Event::Shown {
                    id,
                    incarnation,
                    sequence,
                    in_order,
                });
            }
            Write::Skip {
                id,
                incarnation,
                sequence,
                hash,
            } => {
                let payload = Payload {
                    sequence,
                    sent: now,
                    ttl_s: 0,
                    body: Body::Skip,
                    as_sent: None,
                };
                self.insert(id, incarnation, &payload, hash, false);
                self.events.push(Event::Filled {
                    incarnation,
                    sequence,
                });
            }
            Write::Hold {
                held,
                payload,
                hash,
            } => self.hold(held, payload.as_ref(), hash),
            Write::Release {
                id,
                incarnation,
                sequence,
                show,
            } => self.release(id, incarnation, sequence, show),
            Write::Gap {
                incarnation,
                first,
                missing,
            } => self.gap(now, incarnation, first, missing),
            _ => {}
        }
    }

    fn put_outbox(&mut self, entry: SavedOutbox, payload: Vec<u8>) {
        let body = Payload::parse(payload.clone().into())
            .expect("the machine encodes valid payloads")
            .body;
        if entry.replaced.is_none() {
            let sent = Sent {
                hash: entry.hash,
                body,
                state: entry.state,
                era: self.era,
            };
            self.sent.entry(entry.id).or_insert(sent);
            self.order.push(entry.id);
        } else {
            let there = self.outbox.contains_key(&entry.id);
            self.check(there, "a SKIP replaces no message");
        }
        let row = OutboxRow { entry, payload };
        self.outbox.insert(entry.id, row);
    }

    fn set_state(&mut self, id: MessageId, state: MessageState) {
        if let Some(row) = self.outbox.get_mut(&id) {
            row.entry.state = state;
        }
        let Some(sent) = self.sent.get_mut(&id) else {
            self.violate("a state of a message that was never sent");
            return;
        };
        let before = std::mem::replace(&mut sent.state, state);
        use MessageState::{Delivered, Deposited, GivenUp, Queued, Sent as Under};
        let legal = matches!(
            (before, state),
            (
                Queued | Under(_),
                Under(_) | Deposited | Delivered | GivenUp(_)
            ) | (Deposited, Delivered | GivenUp(_))
                | (GivenUp(_), Delivered)
        );
        let found = matches!((before, state), (GivenUp(_), Delivered));
        self.given_up_but_delivered += usize::from(found);
        self.check(legal, &format!("state {before:?} becomes {state:?}"));
    }

    fn put_incarnation(&mut self, row: SavedIncarnation) {
        let before = self.incarnations.insert(row.incarnation, row);
        let forward = before.is_none_or(|before| {
            row.highest_epoch >= before.highest_epoch && row.next_sequence >= before.next_sequence
        });
        self.check(forward, "an incarnation's row decreases");
    }

    fn insert(
        &mut self,
        id: MessageId,
        incarnation: u64,
        payload: &Payload,
        hash: ContentHash,
        shown: bool,
    ) {
        let received = Received {
            incarnation,
            sequence: payload.sequence,
            hash,
            body: payload.body.clone(),
            shown,
        };
        let twice = self.received.insert(id, received).is_some();
        self.check(!twice, "a message enters the conversation twice");
    }

    fn hold(&mut self, held: SavedHeld, payload: Option<&Payload>, hash: ContentHash) {
        match payload {
            Some(payload) => self.insert(held.id, held.incarnation, payload, hash, false),
            None => {
                let known = self.received.contains_key(&held.id);
                self.check(known, "a place is held for a message that isn't there");
            }
        }
        self.ever_held += 1;
        let place = (held.incarnation, held.sequence);
        let twice = self.held.insert(place, held).is_some();
        self.check(!twice, "a place is held twice");
    }

    fn release(&mut self, id: MessageId, incarnation: u64, sequence: u64, show: bool) {
        let row = self.held.remove(&(incarnation, sequence));
        self.check(
            row.is_some_and(|row| row.id == id && row.show == show),
            "a place is released that was not held",
        );
        if !show {
            self.events.push(Event::Filled {
                incarnation,
                sequence,
            });
            return;
        }
        let Some(received) = self.received.get_mut(&id) else {
            self.violate("a message is released that was not received");
            return;
        };
        let twice = std::mem::replace(&mut received.shown, true);
        self.check(!twice, "a message is shown twice");
        self.events.push(Event::Shown {
            id,
            incarnation,
            sequence,
            in_order: true,
        });
    }

    /// Checks that a gap has a reason: a held message has waited for the holding time, or more
    /// messages are held than allowed.
    fn gap(&mut self, now: Time, incarnation: u64, first: u64, missing: u64) {
        let overdue = self.held.values().any(|row| {
            row.incarnation == incarnation && now.since(row.received) >= self.limits.hold
        });
        let many = self.held.len() > self.limits.max_held;
        self.check(overdue || many, "a gap is released too early");
        self.events.push(Event::Gap {
            incarnation,
            first,
            missing,
        });
    }

    /// Returns the rows from which a conversation is restored.
    pub fn saved(&self) -> Saved {
        Saved {
            place: self.place,
            following: self.following,
            peer_grants: self.peer_grants.values().cloned().collect(),
            next_sequence: self.next_sequence,
            outbox: self.outbox.values().map(|row| row.entry).collect(),
            incarnations: self.incarnations.values().copied().collect(),
            held: self.held.values().copied().collect(),
        }
    }

    /// Marks the store as rolled back by the user: the next start takes a new incarnation.
    pub fn end_incarnation(&mut self) {
        self.place.incarnation = 0;
        self.place.grant_hash = [0; 32];
    }

    /// Returns the number of the peer's incarnations of which rows are kept.
    pub fn incarnations(&self) -> usize {
        self.incarnations.len()
    }

    /// Begins a new era after a fault. Pending messages and later ones belong to it.
    pub fn begin_era(&mut self, era: u32) {
        self.era = era;
        for id in self.outbox.keys() {
            if let Some(sent) = self.sent.get_mut(id) {
                sent.era = era;
            }
        }
    }

    fn check(&mut self, holds: bool, what: &str) {
        if !holds {
            self.violate(what);
        }
    }

    /// Records a violation.
    pub fn violate(&mut self, what: &str) {
        self.violations.push(what.to_owned());
    }
}

impl History for ModelStore {
    fn committed(&self, id: &MessageId) -> Option<Committed> {
        let peer = self.peer;
        if let Some(received) = self.received.get(id) {
            return Some(Committed {
                peer,
                received: true,
                incarnation: received.incarnation,
                hash: received.hash,
            });
        }
        self.sent.get(id).map(|sent| Committed {
            peer,
            received: false,
            incarnation: 0,
            hash: sent.hash,
        })
    }

    fn queued(&self, id: &MessageId) -> Queued {
        match self.outbox.get(id) {
            Some(row) => Queued::Payload(row.payload.clone().into()),
            None => Queued::Missing,
        }
    }
}
