//! Dials addresses that others named, if the address filter admits them and the contact's budget
//! allows it (`docs/spec/reach.md#addresses-that-others-name`).

use super::AddressBudgets;
use super::address_budget::Charge;
use crate::reach::Reachability;
use m2_core::PathFailure;
use m2_core::dial::Target;
use m2_crypto::PeerId;
use m2_crypto::address::{NamedAddress, Use};
use m2_crypto::handshake::Credential;
use m2_net::dial_error::DialError;
use m2_net::endpoint::Endpoint;
use m2_net::session::Session;
use m2_net::wire::Purpose;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why a direct dial failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectError {
    /// The address filter does not admit the address.
    NotAdmitted,
    /// The contact's budget is spent. It fills up within a minute.
    BudgetSpent,
    /// The dial failed.
    Dial(DialError),
}

impl DirectError {
    /// Returns the reason as front-ends see it.
    pub const fn reason(self) -> PathFailure {
        match self {
            Self::NotAdmitted => PathFailure::NotAllowed,
            Self::BudgetSpent => PathFailure::BudgetSpent,
            Self::Dial(error) => super::of_dial(error),
        }
    }
}

/// Dials addresses that others named. Cheap to clone.
#[derive(Clone)]
pub struct Direct {
    endpoint: Arc<Endpoint>,
    reach: Arc<Reachability>,
    budgets: Arc<AddressBudgets>,
}

impl Direct {
    /// Creates a dialler that sends from `endpoint`.
    pub const fn new(
        endpoint: Arc<Endpoint>,
        reach: Arc<Reachability>,
        budgets: Arc<AddressBudgets>,
    ) -> Self {
        Self {
            endpoint,
            reach,
            budgets,
        }
    }

    /// Returns the budgets.
    pub const fn budgets(&self) -> &Arc<AddressBudgets> {
        &self.budgets
    }

    /// Dials a contact for a session of purpose PEER, for at most `limit`.
    ///
    /// Errors: see [`DirectError`].
    pub async fn dial(
        &self,
        contact: PeerId,
        target: Target,
        credential: Credential,
        limit: Duration,
    ) -> Result<Session, DirectError> {
        let address = match target {
            Target::Proved(address) => {
                self.budgets.proved(contact, address);
                address
            }
            Target::Named(named, wanted) => named
                .admit(&self.reach.surroundings(), wanted)
                .ok_or(DirectError::NotAdmitted)?,
        };
        self.dial_admitted(contact, address, credential, limit)
            .await
    }

    /// Dials a contact at an address that the filter has admitted.
    pub async fn dial_admitted(
        &self,
        contact: PeerId,
        address: SocketAddr,
        credential: Credential,
        limit: Duration,
    ) -> Result<Session, DirectError> {
        let charge = self.charge(contact, contact, &[address])?;
        let dialled = self.endpoint.dial_counted(
            address,
            contact,
            credential,
            Purpose::Peer,
            limit,
            charge.meter(),
        );
        let session = dialled.await.map_err(DirectError::Dial)?;
        self.budgets.proved(contact, address);
        Ok(session)
    }

    /// Charges a contact for dialling `peer`: the contact itself, or a relay or provider that it
    /// named.
    pub fn charge(
        &self,
        contact: PeerId,
        peer: PeerId,
        addresses: &[SocketAddr],
    ) -> Result<Charge, DirectError> {
        let charge = self.budgets.charge(contact, peer, addresses);
        charge.ok_or(DirectError::BudgetSpent)
    }

    /// Returns those addresses of a relay or provider that may be dialled.
    pub fn admitted(&self, named: &[NamedAddress]) -> Vec<SocketAddr> {
        let here = self.reach.surroundings();
        let admitted = named
            .iter()
            .filter_map(|named| named.admit(&here, Use::Service));
        admitted.collect()
    }

    /// Records that `peer` proved its id at an address.
    pub fn proved(&self, peer: PeerId, address: SocketAddr) {
        self.budgets.proved(peer, address);
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Direct(..)")
    }
}
