//! A bounded memory of the most recent entries.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Remembers the newest `capacity` keys with their values.
pub(super) struct Recent<K, V> {
    capacity: usize,
    values: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            values: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    pub(super) fn is_full(&self) -> bool {
        self.order.len() >= self.capacity
    }

    /// Returns the value of the key that was inserted first among those still remembered.
    pub(super) fn oldest(&self) -> Option<&V> {
        self.values.get(self.order.front()?)
    }

    /// Inserts a value and evicts the oldest key if the memory is full. Replacing the value of a
    /// known key keeps its age.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.values.insert(key, value).is_some() {
            return;
        }
        if self.is_full()
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
        self.order.push_back(key);
    }

    /// Removes a key, so that a later insert counts as new. Linear in the capacity: meant for small
    /// capacities.
    pub(super) fn remove(&mut self, key: &K) {
        if self.values.remove(key).is_some() {
            self.order.retain(|other| other != key);
        }
    }
}
