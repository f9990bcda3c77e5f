//! Dials a contact on one of its lines.

use super::used::Used;
use super::{RelaySockets, hops};
use crate::config::IpMode;
use crate::connect::{Charge, DialFailure, Direct, DirectError};
use crate::reach::Reachability;
use m2_core::ContactLine;
use m2_crypto::PeerId;
use m2_crypto::handshake::Credential;
use m2_engine::clock::Clock;
use m2_net::dial_error::DialError;
use m2_net::endpoint::Endpoint;
use m2_net::line::{Carrier, Hop, LineError};
use m2_net::session::Session;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Dials contacts on lines.
pub struct LineDialer {
    relay_sockets: Arc<RelaySockets>,
    inside: Arc<Endpoint>,
    reach: Arc<Reachability>,
    direct: Direct,
    clock: Arc<Clock>,
}

impl LineDialer {
    /// Creates a dialler whose sessions run on `inside`, over sessions with relays that leave from
    /// `relay_sockets`.
    pub const fn new(
        relay_sockets: Arc<RelaySockets>,
        inside: Arc<Endpoint>,
        reach: Arc<Reachability>,
        direct: Direct,
        clock: Arc<Clock>,
    ) -> Self {
        Self {
            relay_sockets,
            inside,
            reach,
            direct,
            clock,
        }
    }

    /// Dials a peer on a line, by one route after the other.
    pub async fn dial(
        &self,
        peer: PeerId,
        credential: Credential,
        line: &ContactLine,
        mode: IpMode,
        limit: Duration,
    ) -> Result<Session, DialFailure> {
        let target = Hop {
            relay: line.relay,
            addresses: self.direct.admitted(&line.addresses),
        };
        let own = self.relay_sockets.own().await;
        let ways = hops::to_contact(&own, mode, &target);
        let mut failure = DialFailure::NoOwnRelay;
        for way in ways {
            match self.by(&way, peer, &credential, line, limit).await {
                Ok(session) => return Ok(session),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn by(
        &self,
        way: &[Hop],
        peer: PeerId,
        credential: &Credential,
        line: &ContactLine,
        limit: Duration,
    ) -> Result<Session, DialFailure> {
        let token = line
            .tokens
            .of_day(self.clock.today())
            .ok_or(DialFailure::LineExpired)?;
        let relay_sockets = self
            .relay_sockets
            .endpoint()
            .await
            .map_err(|_| DialFailure::NoSocket)?;
        let session = self.dial_relay(relay_sockets, way, peer).await?;
        let carrier = self.inside.attach(session).map_err(DialFailure::Line)?;
        // A dial that is dropped half-way must not leave a session with the relay behind.
        let used = Used::new(carrier.clone());
        let address = carrier.join(token).await.map_err(DialFailure::Line)?;
        let credential = credential.clone();
        let dialled = self.inside.dial_within(address, peer, credential, limit);
        let session = dialled.await.map_err(DialFailure::WithinLine)?;
        used.release();
        if self.relay_sockets.is_shared() && way.len() == 1 {
            self.reach.ask_at(&carrier);
        }
        tokio::spawn(close_after(carrier));
        Ok(session)
    }
}

impl LineDialer {
    /// Dials the first relay: within the contact's budget if the contact named it, without a charge
    /// if it is one of this daemon's own.
    async fn dial_relay(
        &self,
        relay_sockets: &Endpoint,
        way: &[Hop],
        contact: PeerId,
    ) -> Result<Session, DialFailure> {
        let first = way.first().ok_or(DialFailure::NoOwnRelay)?;
        if first.addresses.is_empty() {
            return Err(DialFailure::Direct(DirectError::NotAdmitted));
        }
        let charge = self.charge(contact, first).await?;
        let session = relay_sockets.dial_relay_counted(way, charge.meter()).await;
        let session = session.map_err(|error| match error {
            LineError::Unreached(DialError::Refused) => DialFailure::RelayRefused,
            error => DialFailure::Line(error),
        })?;
        self.direct.proved(first.relay, session.remote_address());
        Ok(session)
    }

    /// Charges the contact for dialling a relay, unless the relay is one of this daemon's own.
    async fn charge(&self, contact: PeerId, first: &Hop) -> Result<Charge, DialFailure> {
        let own = self.relay_sockets.own().await;
        let is_ours = own.rows().any(|row| row.relay == first.relay);
        let named: &[SocketAddr] = if is_ours { &[] } else { &first.addresses };
        let charge = self.direct.charge(contact, first.relay, named);
        charge.map_err(DialFailure::Direct)
    }
}

/// Closes the session with the relay when the session that it carries has ended.
async fn close_after(carrier: Carrier) {
    tokio::select! {
        () = carrier.unused() => carrier.close(),
        _ = carrier.ended() => {}
    }
}
