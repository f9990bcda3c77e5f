//! The peers that are dialled at each address of one socket, and the keys of their sessions
//! (docs/spec/obfuscation.md#packet-keys).
//!
//! Datagrams that arrive from an address do not say for which peer id it was dialled. So each peer id
//! at an address belongs to another dialling engine, which recognises its own connection ids.

use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, PeerId, Provider};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::Notify;

/// The number of dialling engines of a socket, and so of peer ids that can be dialled at one address
/// at the same time.
pub(crate) const ENGINES: usize = 4;

/// The number of a dialling engine of a socket, below [`ENGINES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DialEngine(usize);

impl DialEngine {
    /// Returns the numbers of all dialling engines.
    pub(crate) fn all() -> [Self; ENGINES] {
        std::array::from_fn(Self)
    }

    /// Returns the position in a list of all dialling engines.
    pub(crate) const fn index(self) -> usize {
        self.0
    }
}

/// The keys of the peers that are dialled at one address, by engine.
pub(crate) type DialledKeys = [Option<Arc<Obfuscator>>; ENGINES];

/// The peers that are dialled at each address of one socket. It has an entry for each dial and each
/// dialled session, until QUIC has forgotten the connection.
pub(crate) struct Dialled {
    circle: Circle,
    provider: &'static dyn Provider,
    places: RwLock<HashMap<Place, [Option<Entry>; ENGINES]>>,
    /// Notified when an entry was removed.
    freed: Notify,
}

/// An address without the parts that a received datagram need not repeat.
type Place = (IpAddr, u16);

struct Entry {
    peer: PeerId,
    key: Arc<Obfuscator>,
    leases: usize,
}

impl Dialled {
    pub(crate) fn new(circle: Circle, provider: &'static dyn Provider) -> Self {
        Self {
            circle,
            provider,
            places: RwLock::default(),
            freed: Notify::new(),
        }
    }

    /// Assigns an engine to a dial of a peer at an address. Waits while [`ENGINES`] other peers are
    /// dialled there.
    pub(crate) async fn lease(self: &Arc<Self>, address: SocketAddr, peer: PeerId) -> Lease {
        loop {
            // Registered before the attempt, so that a removal in between is not missed.
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(lease) = self.try_lease(address, peer) {
                return lease;
            }
            freed.await;
        }
    }

    fn try_lease(self: &Arc<Self>, address: SocketAddr, peer: PeerId) -> Option<Lease> {
        let mut all = self.write();
        let places = all.entry(place(address)).or_default();
        let is_same = |entry: &Option<Entry>| entry.as_ref().is_some_and(|e| e.peer == peer);
        let same = places.iter().position(is_same);
        let index = same.or_else(|| places.iter().position(Option::is_none))?;
        let entry = places.get_mut(index)?.get_or_insert_with(|| Entry {
            peer,
            key: Arc::new(Obfuscator::of_responder(&self.circle, &peer, self.provider)),
            leases: 0,
        });
        entry.leases += 1;
        let (dialled, engine) = (Arc::clone(self), DialEngine(index));
        Some(Lease(Arc::new(Leased {
            dialled,
            address,
            engine,
        })))
    }

    /// Returns the key of the sessions that an engine has with an address.
    pub(crate) fn key(&self, address: SocketAddr, engine: DialEngine) -> Option<Arc<Obfuscator>> {
        let all = self.read();
        let entry = all.get(&place(address))?.get(engine.0)?.as_ref()?;
        Some(Arc::clone(&entry.key))
    }

    /// Returns the keys of all sessions with an address; `None` if no peer is dialled there.
    pub(crate) fn keys(&self, address: SocketAddr) -> Option<DialledKeys> {
        let all = self.read();
        let places = all.get(&place(address))?.each_ref();
        Some(places.map(|entry| entry.as_ref().map(|entry| Arc::clone(&entry.key))))
    }

    fn end(&self, address: SocketAddr, engine: DialEngine) {
        let mut all = self.write();
        let Some(places) = all.get_mut(&place(address)) else {
            return;
        };
        if let Some(entry) = places.get_mut(engine.0) {
            let leases = entry.as_ref().map_or(0, |entry| entry.leases);
            match (leases, entry.as_mut()) {
                (2.., Some(entry)) => entry.leases -= 1,
                _ => *entry = None,
            }
        }
        if places.iter().all(Option::is_none) {
            all.remove(&place(address));
        }
        drop(all);
        self.freed.notify_waiters();
    }

    // No update under this lock can be interrupted halfway, so a poisoned lock is still consistent.
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Place, [Option<Entry>; ENGINES]>> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Place, [Option<Entry>; ENGINES]>> {
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(address: SocketAddr) -> Place {
    (address.ip(), address.port())
}

impl fmt::Debug for Dialled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialled(..)")
    }
}

/// The entry of one dial, and of the session that it leads to, until all clones are dropped.
#[derive(Debug, Clone)]
pub(crate) struct Lease(Arc<Leased>);

#[derive(Debug)]
struct Leased {
    dialled: Arc<Dialled>,
    address: SocketAddr,
    engine: DialEngine,
}

impl Lease {
    /// Returns the engine that must dial.
    pub(crate) fn engine(&self) -> DialEngine {
        self.0.engine
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.dialled.end(self.address, self.engine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::provider;

    fn table() -> Arc<Dialled> {
        Arc::new(Dialled::new(Circle::public(), provider::default()))
    }

    fn address(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    fn lease(table: &Arc<Dialled>, port: u16, peer: u8) -> Option<Lease> {
        table.try_lease(address(port), PeerId::from_bytes([peer; 32]))
    }

    fn engine(lease: &Option<Lease>) -> usize {
        lease.as_ref().unwrap().engine().index()
    }

    #[test]
    fn each_peer_at_an_address_has_an_engine_of_its_own() {
        let table = table();
        let (first, again) = (lease(&table, 1, 1), lease(&table, 1, 1));
        let (second, elsewhere) = (lease(&table, 1, 2), lease(&table, 2, 2));
        let engines = [&first, &again, &second, &elsewhere].map(engine);
        assert_eq!(engines, [0, 0, 1, 0]);
        let keys = table.keys(address(1)).unwrap();
        assert_eq!(keys.iter().flatten().count(), 2);
        let [one, other] = [0, 1].map(|number| {
            let mut datagram = [7; 40];
            keys[number].as_ref().unwrap().apply(&mut datagram);
            datagram
        });
        assert_ne!(one, other);
        assert!(table.keys(address(3)).is_none());
    }

    #[test]
    fn an_entry_lasts_until_the_last_of_its_leases_ends() {
        let table = table();
        let (first, again, second) = (
            lease(&table, 1, 1),
            lease(&table, 1, 1),
            lease(&table, 1, 2),
        );
        let copy = first.clone();
        drop((first, again));
        assert!(
            table
                .key(address(1), copy.as_ref().unwrap().engine())
                .is_some()
        );
        drop(copy);
        assert!(table.key(address(1), DialEngine(0)).is_none());
        assert!(table.key(address(1), DialEngine(1)).is_some());
        // The free engine serves the next peer.
        let third = lease(&table, 1, 3);
        assert_eq!(engine(&third), 0);
        drop((second, third));
        assert!(table.read().is_empty());
    }

    #[tokio::test]
    async fn one_peer_too_many_waits_for_the_end_of_another() {
        let table = table();
        let held: Vec<_> = (0..ENGINES as u8).map(|n| lease(&table, 1, n)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(lease(&table, 1, 9).is_none());
        assert!(lease(&table, 1, 2).is_some(), "one of the four");
        let waiting = {
            let table = Arc::clone(&table);
            tokio::spawn(async move { table.lease(address(1), PeerId::from_bytes([9; 32])).await })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held.into_iter().nth(2));
        assert!(waiting.await.unwrap().engine().index() < ENGINES);
    }
}
