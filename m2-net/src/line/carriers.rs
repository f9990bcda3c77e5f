//! The carriers of an endpoint, by number.

use super::carrier::Carrier;
use crate::engines::Engines;
use crate::line_address as address;
use crate::session::SessionHandle;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

/// The sessions with relays over which an endpoint dials and accepts sessions.
#[derive(Debug, Default)]
pub(crate) struct Carriers(RwLock<HashMap<u32, (Carrier, Arc<Engines>)>>);

impl Carriers {
    pub(crate) fn insert(&self, carrier: Carrier, engines: Arc<Engines>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(carrier.number(), (carrier, engines));
    }

    pub(crate) fn remove(&self, number: u32) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(&number);
    }

    /// Returns the QUIC engines that reach an address on a line.
    pub(crate) fn engines_for(&self, address: &SocketAddr) -> Option<Arc<Engines>> {
        let (number, _) = address::parse(address)?;
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&number).map(|(_, engines)| Arc::clone(engines))
    }

    /// Returns the QUIC engines of all carriers.
    pub(crate) fn engines(&self) -> Vec<Arc<Engines>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let engines = all.values().map(|(_, engines)| Arc::clone(engines));
        engines.collect()
    }

    /// Ties a session to its channel: each ends when the other does.
    pub(crate) fn bind(&self, session: &SessionHandle) {
        let Some((number, channel)) = address::parse(&session.remote_address()) else {
            return;
        };
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((carrier, _)) = all.get(&number) {
            session.is_on(carrier.occupy(channel));
            tokio::spawn(carrier.clone().end_with(channel, session.downgrade()));
        }
    }

    /// Leaves the channel of a failed dial.
    pub(crate) fn leave(&self, address: &SocketAddr) {
        let Some((number, channel)) = address::parse(address) else {
            return;
        };
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((carrier, _)) = all.get(&number) {
            carrier.leave_soon(channel);
        }
    }
}
