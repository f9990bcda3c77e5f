//! Orders of the engine for the dial plan, one peer at a time.

use super::Route;
use m2_crypto::PeerId;
use std::collections::HashMap;

/// An order for one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Dial the peer by this route, after the backoff of this number of failures (immediately for
    /// 0), then repeatedly with exponential backoff. Running attempts by the same route continue.
    Want(Route, u32),
    /// Dial the peer unless the plan already does, in which case its backoff is kept. For an engine
    /// that does not know its earlier orders. The number of failures is as above.
    Ensure(Route, u32),
    /// Dial a peer that is already wanted before others, and shorten a long pause: a message waits.
    Expedite,
    /// Make no further attempts: there is a session, or no session is wanted.
    Rest,
    /// Cancel running attempts too: there is a session that no attempt could improve.
    Settled,
}

/// The orders that were not taken yet: at most two for each peer.
#[derive(Debug, Default)]
pub struct Orders(HashMap<PeerId, Pending>);

/// The newest order for a peer, and whether it is expedited.
#[derive(Debug, Default)]
struct Pending {
    order: Option<Order>,
    expedite: bool,
}

impl Orders {
    /// Adds an order. It replaces a pending one for the same peer.
    pub fn add(&mut self, peer: PeerId, order: Order) {
        self.0.entry(peer).or_default().add(order);
    }

    /// Takes all orders. Those for one peer are in the order in which to follow them.
    pub fn take(&mut self) -> Vec<(PeerId, Order)> {
        let pending = std::mem::take(&mut self.0);
        let orders = pending.into_iter().flat_map(|(peer, pending)| {
            let expedite = pending.expedite.then_some(Order::Expedite);
            let orders = pending.order.into_iter().chain(expedite);
            orders.map(move |order| (peer, order))
        });
        orders.collect()
    }
}

impl Pending {
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
    use crate::IpMode;

    const PEER: PeerId = PeerId::from_bytes([1; 32]);

    fn after(orders: impl IntoIterator<Item = Order>) -> Vec<Order> {
        let mut all = Orders::default();
        for order in orders {
            all.add(PEER, order);
        }
        all.take().into_iter().map(|(_, order)| order).collect()
    }

    #[test]
    fn the_newest_order_replaces_those_before() {
        let route = || Route::new(IpMode::Direct);
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
        let route = || Route::new(IpMode::Direct);
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
