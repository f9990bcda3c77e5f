//! Finds the engine of each datagram that a socket receives, by the key that reveals it
//! (docs/spec/obfuscation.md#packet-keys).

use crate::counters::{Counter, Counters};
use crate::dialled::{DialEngine, Dialled, DialledKeys, ENGINES};
use crate::gate::Gate;
use crate::line_address;
use m2_crypto::obfuscation::{Obfuscator, START_BYTES};
use std::net::SocketAddr;
use std::sync::Arc;

/// A QUIC engine of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The one that accepts sessions.
    Accepting,
    /// One of those that dial.
    Dialling(DialEngine),
}

/// The keys to try for the datagrams from one address.
pub(crate) struct SourceKeys {
    dialled: Option<DialledKeys>,
    /// Whether the local key is tried too.
    own: bool,
}

/// Reveals the datagrams of one socket and assigns them to its engines.
pub(crate) struct Sorter {
    own: Arc<Obfuscator>,
    accepting: Arc<Gate>,
    dialling: [Arc<Gate>; ENGINES],
    dialled: Arc<Dialled>,
    counters: Arc<Counters>,
}

impl Sorter {
    /// Creates a sorter. `own` has the key of the local peer id, `accepting` is the gate of the
    /// accepting engine and `dialling` are those of the dialling ones.
    pub(crate) fn new(
        own: Arc<Obfuscator>,
        accepting: Arc<Gate>,
        dialling: [Arc<Gate>; ENGINES],
        dialled: Arc<Dialled>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            own,
            accepting,
            dialling,
            dialled,
            counters,
        }
    }

    /// Returns the keys to try for datagrams from an address: those of the peers that are dialled
    /// there, and the local one. A channel of a line has one role, so only one kind is tried.
    pub(crate) fn keys(&self, source: SocketAddr) -> SourceKeys {
        let of_party = line_address::parse(&source).map(|(_, channel)| channel.is_of_party());
        SourceKeys {
            dialled: match of_party {
                None | Some(true) => self.dialled.keys(source),
                Some(false) => None,
            },
            own: of_party != Some(true),
        }
    }

    /// Reveals a datagram in place. Returns the engine that it is for; `None` if it must be dropped,
    /// which is counted.
    pub(crate) fn sort(
        &self,
        datagram: &mut [u8],
        source: SocketAddr,
        keys: &SourceKeys,
    ) -> Option<Engine> {
        if let Some((engine, gate)) = self.dialling_engine(datagram, keys) {
            let passed = self.counted(gate.check(datagram, source));
            return passed.then_some(Engine::Dialling(engine));
        }
        if !keys.own {
            self.counters.count(Counter::DatagramForeignId);
            return None;
        }
        let mut revealed = [0; START_BYTES];
        let start = self.own.start(datagram, &mut revealed);
        if !self.counted(self.accepting.check_start(start)) {
            return None;
        }
        self.own.apply(datagram);
        let passed = self.counted(self.accepting.check(datagram, source));
        passed.then_some(Engine::Accepting)
    }

    /// Reveals a datagram in place if the key of a dialled peer does so. Returns the engine that issued
    /// its destination id.
    fn dialling_engine(
        &self,
        datagram: &mut [u8],
        keys: &SourceKeys,
    ) -> Option<(DialEngine, &Gate)> {
        let keys = keys.dialled.as_ref()?.iter().zip(&self.dialling);
        for (engine, (key, gate)) in DialEngine::all().into_iter().zip(keys) {
            let Some(key) = key else { continue };
            let mut revealed = [0; START_BYTES];
            if gate.is_to_local_id(key.start(datagram, &mut revealed)) {
                key.apply(datagram);
                return Some((engine, gate));
            }
        }
        None
    }

    fn counted(&self, verdict: Result<(), Counter>) -> bool {
        verdict
            .map_err(|reason| self.counters.count(reason))
            .is_ok()
    }
}

#[cfg(test)]
mod tests;
