//! What the engine wants of the dialer, for one peer at a time.

use super::Route;
use m2_crypto::PeerId;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What is wanted of a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// A session is wanted, by one of these ways. It is tried after the pause that follows this number
    /// of failures, without failures at once, then again with growing pauses. Attempts that are under
    /// way by the same route go on.
    Want(Route, u32),
    /// A session is wanted, and the engine does not know whether it has asked for one: a peer that is
    /// being dialled keeps its pauses. The number of failures is as above.
    Ensure(Route, u32),
    /// There is something to send to a peer that is wanted already: a long pause is cut short.
    Hurry,
    /// There is a session, or none is wanted any more: no further attempts.
    Rest,
    /// There is a session that no attempt could better: attempts that are under way end, too.
    Settled,
}

/// The orders that the dialer has not taken yet: at most two for each peer.
#[derive(Debug, Default)]
struct Orders {
    pending: Mutex<HashMap<PeerId, Pending>>,
    changed: Notify,
}

/// The newest order for a peer, and whether something waits for it.
#[derive(Debug)]
struct Pending {
    order: Option<Order>,
    hurry: bool,
}

/// Tells the dialer what is wanted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DialerHandle(Arc<Orders>);

impl DialerHandle {
    /// Gives an order. It replaces one for the same peer that was not taken yet.
    pub fn tell(&self, peer: PeerId, order: Order) {
        match self.lock().entry(peer) {
            Entry::Occupied(mut entry) => entry.get_mut().add(order),
            Entry::Vacant(entry) => entry.insert(Pending::NONE).add(order),
        }
        self.0.changed.notify_one();
    }

    /// Returns once there are orders.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Takes all orders, in the order in which those for a peer are to be followed.
    pub(crate) fn take(&self) -> Vec<(PeerId, Order)> {
        let pending = std::mem::take(&mut *self.lock());
        let orders = pending.into_iter().flat_map(|(peer, pending)| {
            let hurry = pending.hurry.then_some(Order::Hurry);
            let orders = pending.order.into_iter().chain(hurry);
            orders.map(move |order| (peer, order))
        });
        orders.collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Pending>> {
        // Nothing is ever half done under this lock.
        let pending = self.0.pending.lock();
        pending.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    const NONE: Self = Self {
        order: None,
        hurry: false,
    };

    fn add(&mut self, order: Order) {
        match (&self.order, order) {
            (_, Order::Hurry) => self.hurry = true,
            // What it asks for is under way.
            (Some(Order::Want(..)), Order::Ensure(..)) => {}
            (_, order) => {
                self.hurry &= matches!(order, Order::Want(..) | Order::Ensure(..));
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
    fn haste_stays_with_what_is_wanted() {
        let (want, ensure) = (Order::Want(route(), 3), Order::Ensure(route(), 0));
        assert_eq!(after([Order::Hurry]), [Order::Hurry]);
        for wanted in [want, ensure] {
            let both = [wanted.clone(), Order::Hurry];
            assert_eq!(after(both.clone()), both);
            assert_eq!(after([Order::Hurry, wanted.clone()]), both);
            assert_eq!(after([Order::Hurry, wanted, Order::Rest]), [Order::Rest]);
        }
    }
}
