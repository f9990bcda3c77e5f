//! Orders of the engine for the dialer, one peer at a time.

use super::Route;
use m2_crypto::PeerId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// An order for one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Dial the peer by this route, after the backoff of this number of failures (immediately for
    /// 0), then repeatedly with exponential backoff. Running attempts by the same route continue.
    Want(Route, u32),
    /// Dial the peer unless the dialer already does, in which case its backoff is kept. For an
    /// engine that does not know its earlier orders. The number of failures is as above.
    Ensure(Route, u32),
    /// Shorten a long pause for a peer that is already wanted, as a message waits.
    Expedite,
    /// Make no further attempts: there is a session, or no session is wanted.
    Rest,
    /// Cancel running attempts too: there is a session that no attempt could improve.
    Settled,
}

/// The orders that the dialer has not taken yet: at most two for each peer.
#[derive(Debug, Default)]
struct Orders {
    pending: Mutex<HashMap<PeerId, Pending>>,
    changed: Notify,
}

/// The newest order for a peer, and whether to cut a long pause short.
#[derive(Debug)]
struct Pending {
    order: Option<Order>,
    expedite: bool,
}

/// Passes orders to the dialer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DialerHandle(Arc<Orders>);

impl DialerHandle {
    /// Adds an order. It replaces a pending one for the same peer.
    pub fn tell(&self, peer: PeerId, order: Order) {
        match self.lock().entry(peer) {
            Entry::Occupied(mut entry) => entry.get_mut().add(order),
            Entry::Vacant(entry) => entry.insert(Pending::NONE).add(order),
        }
        self.0.changed.notify_one();
    }

    /// Waits until there are orders.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Takes all orders. Those for one peer are in the order in which to follow them.
    pub(crate) fn take(&self) -> Vec<(PeerId, Order)> {
        let pending = std::mem::take(&mut *self.lock());
        let orders = pending.into_iter().flat_map(|(peer, pending)| {
            let expedite = pending.expedite.then_some(Order::Expedite);
            let orders = pending.order.into_iter().chain(expedite);
            orders.map(move |order| (peer, order))
        });
        orders.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Pending>> {
        // No update under this lock is ever left incomplete, so poisoning is ignored.
        let pending = self.0.pending.lock();
        pending.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    const NONE: Self = Self {
        order: None,
        expedite: false,
    };

    fn add(&mut self, order: Order) {
        match (&self.order, order) {
            (_, Order::Expedite) => self.expedite = true,
            // The pending order already demands it.
            (Some(Order::Want(..)), Order::Ensure(..)) => {}
            (_, order) => {
                self.expedite &= matches!(order, Order::Want(..) | Order::Ensure(..));
                self.order = Some(order);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::IpMode;

    const PEER: PeerId = PeerId::from_bytes([1; 32]);

    fn route() -> Route {
        Route {
            mode: IpMode::Direct,
            addresses: Vec::new(),
            lines: Vec::new(),
            one_died: false,
        }
    }

    fn after(orders: impl IntoIterator<Item = Order>) -> Vec<Order> {
        let handle = DialerHandle::default();
        for order in orders {
            handle.tell(PEER, order);
        }
        handle.take().into_iter().map(|(_, order)| order).collect()
    }

    #[test]
    fn the_newest_order_replaces_those_before() {
        let (want, ensure) = (Order::Want(route(), 3), Order::Ensure(route(), 0));
        let cases = [
            (want.clone(), Order::Rest, Order::Rest),
            (Order::Rest, want.clone(), want.clone()),
            (Order::Rest, ensure.clone(), ensure.clone()),
            (want.clone(), ensure.clone(), want.clone()),
            (ensure, want.clone(), want),
        ];
        for (first, second, expected) in cases {
            assert_eq!(after([first, second]), [expected]);
        }
    }

    #[test]
    fn expediting_is_kept_while_a_session_is_wanted() {
        let (want, ensure) = (Order::Want(route(), 3), Order::Ensure(route(), 0));
        assert_eq!(after([Order::Expedite]), [Order::Expedite]);
        for wanted in [want, ensure] {
            let both = [wanted.clone(), Order::Expedite];
            assert_eq!(after(both.clone()), both);
            assert_eq!(after([Order::Expedite, wanted.clone()]), both);
            assert_eq!(after([Order::Expedite, wanted, Order::Rest]), [Order::Rest]);
        }
    }
}
