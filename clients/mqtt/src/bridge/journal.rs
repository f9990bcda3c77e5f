//! Which deliveries of the broker were seen, so that a repeated one is not sent again.

use crate::contact_id::ContactId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// The most entries. A broker has at most 32 unacknowledged deliveries; the others wait for the answer to a ping.
const MAX_ENTRIES: usize = 1_024;
/// The answers to pings after which an acknowledgement has surely reached the broker: the first ping may have overtaken it
/// in a queue.
const PONGS: u8 = 2;

/// An entry as it is stored: no content of a message can be read from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The packet identifier of the delivery.
    pub packet: u16,
    /// The idempotency key under which its message is sent.
    pub key: String,
    /// A hash of key, contact and text.
    pub digest: String,
}

/// The deliveries that were seen, by packet identifier.
#[derive(Debug, Default)]
pub(super) struct Journal {
    entries: BTreeMap<u16, Entry>,
    age: u64,
}

#[derive(Debug)]
struct Entry {
    record: Record,
    age: u64,
    /// Set when the message was sent or refused for good; then a repetition is acknowledged at once.
    settled: bool,
    /// The answers to pings since the acknowledgement; `None` before it.
    pongs: Option<u8>,
}

/// What a delivery is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The first one of a message.
    New { key: String },
    /// A repetition of one whose message has this key.
    Again { key: String, settled: bool },
}

impl Journal {
    pub(super) fn new(records: Vec<Record>) -> Self {
        let mut journal = Self::default();
        for record in records.into_iter().take(MAX_ENTRIES) {
            journal.put(record);
        }
        journal
    }

    /// Returns what a delivery is, and notes it. A repetition has the flag DUP, the packet identifier and the content of
    /// the earlier delivery.
    pub(super) fn deliver(
        &mut self,
        packet: u16,
        dup: bool,
        content: (&ContactId, &str),
        key: String,
    ) -> Delivery {
        if let Some(entry) = self.entries.get_mut(&packet)
            && dup
            && entry.record.digest == digest(&entry.record.key, content)
        {
            entry.pongs = None;
            return Delivery::Again {
                key: entry.record.key.clone(),
                settled: entry.settled,
            };
        }
        let digest = digest(&key, content);
        self.put(Record {
            packet,
            key: key.clone(),
            digest,
        });
        Delivery::New { key }
    }

    /// Notes that the message of a key was sent or refused for good.
    pub(super) fn settle(&mut self, key: &str) {
        let entries = self.entries.values_mut();
        for entry in entries.filter(|entry| entry.record.key == key) {
            entry.settled = true;
        }
    }

    /// Notes that a delivery is being acknowledged.
    pub(super) fn confirm(&mut self, packet: u16) {
        if let Some(entry) = self.entries.get_mut(&packet) {
            entry.pongs = Some(0);
        }
    }

    /// Notes that the connection ended: acknowledgements may not have arrived.
    pub(super) fn disconnect(&mut self) {
        for entry in self.entries.values_mut() {
            entry.pongs = None;
        }
    }

    /// Notes the answer to a ping. Forgets the deliveries whose acknowledgements have arrived: their packet identifiers may
    /// now belong to other messages.
    pub(super) fn pong(&mut self) {
        self.entries.retain(|_, entry| match &mut entry.pongs {
            Some(pongs) => {
                *pongs += 1;
                *pongs < PONGS
            }
            None => true,
        });
    }

    /// Forgets all deliveries, because the broker has forgotten them.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let entries = self.entries.values();
        entries.map(|entry| entry.record.clone()).collect()
    }

    fn put(&mut self, record: Record) {
        self.age += 1;
        let entry = Entry {
            age: self.age,
            settled: false,
            pongs: None,
            record,
        };
        self.entries.insert(entry.record.packet, entry);
        if self.entries.len() > MAX_ENTRIES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.age);
            if let Some(packet) = oldest.map(|(packet, _)| *packet) {
                self.entries.remove(&packet);
            }
        }
    }
}

fn digest(key: &str, (contact, text): (&ContactId, &str)) -> String {
    let mut hash = Sha256::new();
    for part in [key, "\0", &contact.to_string(), "\0", text] {
        hash.update(part.as_bytes());
    }
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(journal: &mut Journal, packet: u16, dup: bool, text: &str, key: &str) -> Delivery {
        let contact = ContactId::of("m2", "m21abc");
        journal.deliver(packet, dup, (&contact, text), key.to_owned())
    }

    fn new(key: &str) -> Delivery {
        let key = key.to_owned();
        Delivery::New { key }
    }

    #[test]
    fn only_a_repetition_gets_the_key_of_the_first_delivery() {
        let mut journal = Journal::default();
        assert_eq!(seen(&mut journal, 1, false, "open", "a"), new("a"));
        let again = |settled| Delivery::Again {
            key: "a".to_owned(),
            settled,
        };
        assert_eq!(seen(&mut journal, 1, true, "open", "b"), again(false));
        let mut restarted = Journal::new(journal.records());
        assert_eq!(seen(&mut restarted, 1, true, "open", "b"), again(false));
        journal.settle("a");
        assert_eq!(seen(&mut journal, 1, true, "open", "b"), again(true));
        // Another text, another packet, or a first delivery is another message.
        assert_eq!(seen(&mut journal, 2, true, "open", "c"), new("c"));
        assert_eq!(seen(&mut journal, 1, true, "shut", "d"), new("d"));
        assert_eq!(seen(&mut journal, 1, false, "shut", "e"), new("e"));
    }

    #[test]
    fn an_entry_is_forgotten_once_its_acknowledgement_has_arrived() {
        let mut journal = Journal::default();
        seen(&mut journal, 1, false, "open", "a");
        journal.pong();
        journal.confirm(1);
        journal.pong();
        journal.disconnect();
        journal.pong();
        journal.pong();
        assert_eq!(journal.records().len(), 1, "it may not have arrived");
        journal.confirm(1);
        journal.pong();
        assert_eq!(journal.records().len(), 1);
        journal.pong();
        assert!(journal.records().is_empty());
    }

    #[test]
    fn the_number_of_entries_is_bounded() {
        let mut journal = Journal::default();
        for packet in 0..u16::MAX {
            seen(&mut journal, packet, false, "open", "a");
        }
        assert_eq!(journal.records().len(), MAX_ENTRIES);
    }
}
