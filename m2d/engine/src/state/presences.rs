//! Which contacts are online, as it was reported to event streams.

use m2_crypto::PeerId;
use m2_delivery::Path;
use std::collections::{HashMap, HashSet};

/// What was reported of contacts, and whose sessions have changed since.
#[derive(Debug, Default)]
pub(crate) struct Presences {
    /// The paths to the contacts that are online.
    reported: HashMap<PeerId, Path>,
    /// The peers of which a session may have changed since the last report.
    touched: HashSet<PeerId>,
    /// The number of the last change that was reported.
    number: u64,
}

impl Presences {
    /// Notes that a session of a peer may have changed.
    pub(crate) fn touch(&mut self, peer: PeerId) {
        self.touched.insert(peer);
    }

    /// Returns the peers of which a session may have changed since the last call.
    pub(crate) fn take_touched(&mut self) -> HashSet<PeerId> {
        std::mem::take(&mut self.touched)
    }

    /// Sets the path to a contact, `None` if it is offline. Returns the number of the change, if it is one.
    pub(crate) fn set(&mut self, peer: PeerId, path: Option<Path>) -> Option<u64> {
        let before = match path {
            Some(path) => self.reported.insert(peer, path),
            None => self.reported.remove(&peer),
        };
        (before != path).then(|| {
            self.number += 1;
            self.number
        })
    }

    /// Returns the path to a contact; `None` if it is offline.
    pub(crate) fn get(&self, peer: &PeerId) -> Option<Path> {
        self.reported.get(peer).copied()
    }

    /// Returns the number of the last change.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }
}
