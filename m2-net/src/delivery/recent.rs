//! A bounded memory of the newest things.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Remembers the newest `capacity` keys and what goes with them.
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

    /// What was put in first of all that is still remembered.
    pub(super) fn oldest(&self) -> Option<&V> {
        self.values.get(self.order.front()?)
    }

    /// Puts a value in. A key that is there keeps its age.
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

    /// Forgets a key, so that it counts as new when it comes again. For small capacities: it
    /// looks at every key.
    pub(super) fn remove(&mut self, key: &K) {
        if self.values.remove(key).is_some() {
            self.order.retain(|other| other != key);
        }
    }
}
