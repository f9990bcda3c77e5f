//! Sessions with relays, and the sessions that travel over them (docs/spec/line.md).

use super::Endpoint;
use crate::dial_error::DialError;
use crate::engines::Engines;
use crate::line::{self, Carrier, Hop, LineError};
use crate::race;
use crate::sent::Sent;
use crate::session::{CloseCode, Session};
use crate::wire::Purpose;
use m2_crypto::handshake::Credential;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The timeout of a dial to one address of a relay.
const RELAY_LIMIT: Duration = Duration::from_secs(5);

impl Endpoint {
    /// Opens an anonymous session with the last relay of `hops`, extended over the ones before it.
    ///
    /// Errors: [`LineError`]; [`DialError::Local`] within it if `hops` is empty.
    pub async fn dial_relay(&self, hops: &[Hop]) -> Result<Session, LineError> {
        self.dial_relay_counted(hops, None).await
    }

    /// Like [`Self::dial_relay`], and counts in `sent` the datagrams sent to the first relay until
    /// it has proved its id.
    pub async fn dial_relay_counted(
        &self,
        hops: &[Hop],
        sent: Option<Arc<Sent>>,
    ) -> Result<Session, LineError> {
        let (first, further) = hops.split_first().ok_or(DialError::Local)?;
        let dialled = race::of_addresses(&first.addresses, |address| {
            self.dial_counted(
                address,
                first.relay,
                Credential::Anonymous,
                Purpose::Line,
                RELAY_LIMIT,
                sent.clone(),
            )
        });
        let dialled = dialled.await;
        let mut session = dialled.map_err(|failure| failure.unwrap_or(DialError::Local))?;
        line::extend(&mut session, further).await?;
        Ok(session)
    }

    /// Dials and accepts sessions over a session that [`Self::dial_relay`] returned, on this
    /// endpoint or another one.
    ///
    /// Errors: [`LineError::Ended`] if the peer accepts no datagrams, or the carrier can't be
    /// started.
    pub fn attach(&self, session: Session) -> Result<Carrier, LineError> {
        let number = self.next_carrier.fetch_add(1, Ordering::Relaxed);
        let carrier = Carrier::start(number, session)?;
        let (config, server) = (
            Arc::clone(&self.engine_config),
            self.acceptor.config.clone(),
        );
        let engines = Engines::start(config, server, carrier.medium());
        let engines = Arc::new(engines.map_err(|_| LineError::Ended)?);
        self.carriers.insert(carrier.clone(), Arc::clone(&engines));
        let (acceptor, carriers) = (Arc::clone(&self.acceptor), Arc::clone(&self.carriers));
        let ended = carrier.clone();
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        while loops.try_join_next().is_some() {}
        loops.spawn(async move {
            tokio::select! {
                () = acceptor.serve(engines.accepting()) => {}
                _ = ended.ended() => {}
            }
            carriers.remove(number);
            engines.close(crate::ending::on_wire(CloseCode::Done));
        });
        drop(loops);
        Ok(carrier)
    }
}
