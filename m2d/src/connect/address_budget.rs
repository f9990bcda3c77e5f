//! Limits the traffic that a contact can make this daemon send to unproved addresses
//! (`docs/spec/reach.md#addresses-that-others-name`).

use crate::driver::EngineHandle;
use m2_core::address_budget::{Budgets, Level};
use m2_crypto::PeerId;
use m2_engine::Input;
use m2_engine::clock::Clock;
use m2_net::sent::Sent;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;

/// The budgets of all contacts.
pub struct AddressBudgets {
    clock: Arc<Clock>,
    engine: EngineHandle,
    state: Mutex<Budgets>,
    /// Held while a level is read and queued for the engine.
    turn: tokio::sync::Mutex<()>,
}

/// The charge for a dial. When it is dropped, the unused part is refunded.
pub struct Charge {
    budgets: Arc<AddressBudgets>,
    contact: PeerId,
    sent: Arc<Sent>,
    dials: u64,
}

impl AddressBudgets {
    /// Restores the budgets as they were stored.
    pub fn new(clock: Arc<Clock>, engine: EngineHandle, stored: &[Level]) -> Arc<Self> {
        let budgets = Budgets::new(stored, clock.now_ms(), clock.steady_ms());
        Arc::new(Self {
            clock,
            engine,
            state: Mutex::new(budgets),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Charges a contact for dialling `peer` at addresses that the contact named. Addresses that
    /// proved that peer id are free. Returns `None` if the budget is spent.
    pub fn charge(
        self: &Arc<Self>,
        contact: PeerId,
        peer: PeerId,
        addresses: &[SocketAddr],
    ) -> Option<Charge> {
        let dials = self.take_dials(contact, peer, addresses)?;
        if dials > 0 {
            self.keep(contact);
        }
        Some(Charge {
            budgets: Arc::clone(self),
            contact,
            sent: Arc::default(),
            dials,
        })
    }

    /// Takes a dial for each unproved address. Returns their number; `None` if the budget is spent.
    fn take_dials(&self, contact: PeerId, peer: PeerId, addresses: &[SocketAddr]) -> Option<u64> {
        let (now_ms, mut state) = (self.clock.steady_ms(), self.state());
        let is_unproved = |address: &&SocketAddr| !state.is_proved(&peer, **address);
        let dials = addresses.iter().filter(is_unproved).count();
        let dials = u64::try_from(dials).unwrap_or(u64::MAX);
        state.take_dials(contact, dials, now_ms).then_some(dials)
    }

    /// Charges a contact for one datagram to an address that it named; an address that proved its
    /// peer id is free. Returns whether the datagram may be sent. Call [`Self::keep`] to store the
    /// charges.
    pub fn datagram(&self, contact: PeerId, address: SocketAddr, bytes: u64) -> bool {
        let (now_ms, mut state) = (self.clock.steady_ms(), self.state());
        state.is_proved(&contact, address) || state.take(contact, 1, bytes, now_ms)
    }

    /// Records that `peer` proved its id at an address.
    pub fn proved(&self, peer: PeerId, address: SocketAddr) {
        self.state().note_proved(peer, address);
    }

    /// Stores the rest of a contact's budget, so that a restart does not refill it.
    pub fn keep(self: &Arc<Self>, contact: PeerId) {
        // Without a runtime the store has ended as well.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let budgets = Arc::clone(self);
        runtime.spawn(async move {
            // One at a time, so that the levels reach the engine in the order of their times.
            let _turn = budgets.turn.lock().await;
            let Some(left) = budgets.left(contact) else {
                return;
            };
            let saved = budgets.engine.cast(Input::BudgetLeft(left));
            if saved.await.is_err() {
                tracing::debug!("the engine is gone");
            }
        });
    }

    fn left(&self, contact: PeerId) -> Option<Level> {
        let left = self.state().level(contact, self.clock.steady_ms())?;
        // The steady clock starts again with the daemon, so the row holds the wall clock's time.
        Some(Level {
            at_ms: self.clock.now_ms(),
            ..left
        })
    }

    fn state(&self) -> MutexGuard<'_, Budgets> {
        // No update under this lock is ever left incomplete, so poisoning is ignored.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Charge {
    /// Returns the counter for sent datagrams; `None` if the dial is free.
    pub fn meter(&self) -> Option<Arc<Sent>> {
        (self.dials > 0).then(|| Arc::clone(&self.sent))
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.dials == 0 {
            return;
        }
        let sent = (self.sent.datagrams(), self.sent.bytes());
        let now_ms = self.budgets.clock.steady_ms();
        let mut state = self.budgets.state();
        state.settle(self.contact, self.dials, sent, now_ms);
        drop(state);
        self.budgets.keep(self.contact);
    }
}
