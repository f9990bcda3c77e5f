//! Passes the engine's orders to the dialer.

use m2_core::dial::{Order, Orders};
use m2_crypto::PeerId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Passes orders to the dialer. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DialerHandle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    orders: Mutex<Orders>,
    changed: Notify,
}

impl DialerHandle {
    /// Adds an order. It replaces a pending one for the same peer.
    pub fn tell(&self, peer: PeerId, order: Order) {
        self.lock().add(peer, order);
        self.0.changed.notify_one();
    }

    /// Waits until there are orders.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// Takes all orders. Those for one peer are in the order in which to follow them.
    pub(crate) fn take(&self) -> Vec<(PeerId, Order)> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        // No update under this lock is ever left incomplete, so poisoning is ignored.
        let orders = self.0.orders.lock();
        orders.unwrap_or_else(PoisonError::into_inner)
    }
}
