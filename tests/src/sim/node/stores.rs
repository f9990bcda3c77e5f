//! Faults of a side's store: it is rolled back, lost or copied.

use super::super::store::ModelStore;
use super::Node;
use m2_delivery::Conversation;
use rand::Rng;

impl Node {
    /// Keeps a snapshot of the store, to which it may later be rolled back.
    pub fn take_snapshot(&mut self) {
        self.snapshots.push(self.store.clone());
    }

    /// Rolls the store back to one of the snapshots; without a snapshot, the store stays as it is.
    /// With `told`, the next start is told of the rollback.
    pub fn restore(&mut self, pick: u8, told: bool) {
        let count = self.snapshots.len().max(1);
        if let Some(snapshot) = self.snapshots.get(usize::from(pick) % count) {
            let broken = std::mem::take(&mut self.store.violations);
            self.store = snapshot.clone();
            self.store.violations.extend(broken);
        }
        if told {
            self.store.end_incarnation();
        }
        self.restores += 1;
        self.restart();
    }

    /// Loses the store; only the identity key remains.
    pub fn lose_everything(&mut self) {
        let broken = std::mem::take(&mut self.store.violations);
        self.store = ModelStore::new(self.peer, self.limits.clone());
        self.store.violations = broken;
        self.restores += 1;
        self.restart();
    }

    /// Kills and restarts the side.
    pub fn restart(&mut self) {
        self.counters = self.counters();
        self.crash = None;
        self.pipeline.clear();
        self.letters.clear();
        self.conversation = Conversation::new(self.limits.clone(), self.store.saved());
        self.connected = false;
        self.placed = false;
        self.sending = None;
        self.receiving.clear();
        self.grants.clear();
        self.renewal_due = false;
    }

    /// Creates a second daemon that runs from a copy of this side's store.
    pub fn copy(&mut self) -> Self {
        let seed = self.rng.next_u64();
        let mut copy = Self::new(self.me, self.peer, self.limits.clone(), seed, &self.ledger);
        copy.store = self.store.clone();
        copy.store.violations.clear();
        copy.restores = self.restores;
        copy.restart();
        copy
    }
}
