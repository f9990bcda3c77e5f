//! The carriers of an endpoint, by number.

use super::carrier::Carrier;
use crate::line_address as address;
use crate::session::SessionHandle;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

/// The sessions with relays over which an endpoint dials and accepts sessions.
#[derive(Debug, Default)]
pub(crate) struct Carriers(RwLock<HashMap<u32, (Carrier, quinn::Endpoint)>>);

impl Carriers {
    pub(crate) fn insert(&self, carrier: Carrier, endpoint: quinn::Endpoint) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(carrier.number(), (carrier, endpoint));
    }

    pub(crate) fn remove(&self, number: u32) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.remove(&number);
    }

    /// Returns the QUIC endpoint that reaches an address on a line.
    pub(crate) fn endpoint_for(&self, address: &SocketAddr) -> Option<quinn::Endpoint> {
        let (number, _) = address::parse(address)?;
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&number).map(|(_, endpoint)| endpoint.clone())
    }

    /// Returns the QUIC endpoints of all carriers.
    pub(crate) fn endpoints(&self) -> Vec<quinn::Endpoint> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.values().map(|(_, endpoint)| endpoint.clone()).collect()
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
            carrier.leave(channel);
        }
    }
}
