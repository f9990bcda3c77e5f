//! Topics with a retained message: only the newest value of each is published.

use super::backoff;
use super::input::Outcome;
use std::collections::{BTreeMap, VecDeque};

/// The values of all such topics. At most one publication of each is on its way.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: BTreeMap<String, Slot>,
    /// The topics to publish. Each is in it at most once.
    waiting: VecDeque<String>,
}

#[derive(Debug, Default)]
struct Slot {
    payload: String,
    version: u64,
    /// The newest version that the broker has acknowledged on this connection.
    acknowledged: u64,
    /// The version that the broker can't take: it is not published again.
    unfit: u64,
    waits: bool,
    in_flight: bool,
    /// Set when the topic is cleared: it is forgotten once the broker has that.
    gone: bool,
    refusals: u32,
    not_before_ms: u64,
}

/// A value to publish.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) topic: String,
    pub(super) version: u64,
    pub(super) payload: String,
}

impl Slots {
    /// Sets the value of a topic. Returns its version.
    pub(super) fn set(&mut self, topic: &str, payload: String) -> u64 {
        let slot = self.slots.entry(topic.to_owned()).or_default();
        if slot.version == 0 || slot.gone || slot.payload != payload {
            slot.payload = payload;
            slot.gone = false;
            slot.version += 1;
        }
        let version = slot.version;
        self.wait(topic);
        version
    }

    /// Clears a topic: the broker forgets its retained message.
    pub(super) fn clear(&mut self, topic: &str) {
        let slot = self.slots.entry(topic.to_owned()).or_default();
        if !slot.gone {
            slot.payload.clear();
            slot.gone = true;
            slot.version += 1;
        }
        self.wait(topic);
    }

    /// Publishes the value of a topic again.
    pub(super) fn repeat(&mut self, topic: &str) {
        if let Some(slot) = self.slots.get_mut(topic) {
            slot.version += 1;
            self.wait(topic);
        }
    }

    /// Publishes all values again, because the broker may have lost them.
    pub(super) fn repeat_all(&mut self) {
        let topics: Vec<String> = self.slots.keys().cloned().collect();
        for topic in topics {
            if let Some(slot) = self.slots.get_mut(&topic) {
                slot.acknowledged = 0;
                slot.in_flight = false;
                slot.not_before_ms = 0;
            }
            self.wait(&topic);
        }
    }

    /// Returns the next value to publish.
    pub(super) fn next(&mut self, now_ms: u64) -> Option<Value> {
        for _ in 0..self.waiting.len() {
            let topic = self.waiting.pop_front()?;
            let Some(slot) = self.slots.get_mut(&topic) else {
                continue;
            };
            if slot.in_flight || slot.not_before_ms > now_ms {
                self.waiting.push_back(topic);
                continue;
            }
            slot.waits = false;
            slot.in_flight = true;
            return Some(Value {
                version: slot.version,
                payload: slot.payload.clone(),
                topic,
            });
        }
        None
    }

    /// Notes what became of a publication.
    pub(super) fn published(&mut self, topic: &str, version: u64, outcome: Outcome, now_ms: u64) {
        let Some(slot) = self.slots.get_mut(topic) else {
            return;
        };
        slot.in_flight = false;
        if matches!(outcome, Outcome::Acknowledged | Outcome::BadContent) {
            if outcome == Outcome::BadContent {
                slot.unfit = version;
            }
            slot.acknowledged = version;
            slot.refusals = 0;
        } else {
            slot.refusals += 1;
            slot.not_before_ms = now_ms + backoff(slot.refusals);
        }
        if slot.acknowledged < slot.version {
            self.wait(topic);
        } else if slot.gone {
            self.slots.remove(topic);
        }
    }

    fn wait(&mut self, topic: &str) {
        if let Some(slot) = self.slots.get_mut(topic)
            && slot.acknowledged < slot.version
            && slot.unfit < slot.version
            && !slot.waits
        {
            slot.waits = true;
            self.waiting.push_back(topic.to_owned());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_value_is_published() {
        let mut slots = Slots::default();
        assert_eq!(slots.set("a", "1".to_owned()), 1);
        assert_eq!(slots.set("a", "2".to_owned()), 2);
        assert_eq!(slots.set("a", "2".to_owned()), 2);
        let value = slots.next(0).unwrap();
        assert_eq!((value.payload.as_str(), value.version), ("2", 2));
        slots.set("a", "3".to_owned());
        assert!(slots.next(0).is_none(), "one at a time");
        slots.published("a", 2, Outcome::Acknowledged, 0);
        assert_eq!(slots.next(0).unwrap().payload, "3");
        slots.published("a", 3, Outcome::Acknowledged, 0);
        assert!(slots.next(0).is_none());
    }

    #[test]
    fn a_refused_value_is_published_later() {
        let mut slots = Slots::default();
        slots.set("a", "1".to_owned());
        slots.next(0).unwrap();
        slots.published("a", 1, Outcome::Refused, 0);
        assert!(slots.next(0).is_none());
        assert_eq!(slots.next(60_000).unwrap().version, 1);
    }

    #[test]
    fn a_cleared_topic_is_forgotten_once_the_broker_has_it() {
        let mut slots = Slots::default();
        slots.set("a", "1".to_owned());
        slots.clear("a");
        let value = slots.next(0).unwrap();
        assert_eq!(value.payload, "");
        slots.repeat_all();
        let value = slots.next(0).unwrap();
        slots.published("a", value.version, Outcome::Acknowledged, 0);
        assert_eq!(slots.len(), 0);
    }
}
