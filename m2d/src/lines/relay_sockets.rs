//! The sockets from which sessions with relays leave. In modes that hide this host's address they
//! are separate sockets. In direct mode they are those on which contacts dial, so that a relay can
//! report the address at which others reach them (`docs/spec/reach.md#where-one-is`).

use crate::config::IpMode;
use crate::connect::EndpointFactory;
use m2_crypto::PeerId;
use m2_crypto::handshake::Credential;
use m2_net::allow_list::AllowList;
use m2_net::endpoint::Endpoint;
use m2_net::wire::Purpose;
use m2_store::LineRow;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, watch};

/// Session keys kept ready. Each dial to an address of a relay uses one.
const KEYS: usize = 8;

/// Timeout of the test dial that must be held back.
const TRIED_FOR: Duration = Duration::from_millis(300);

/// This daemon's relays, as last read from the store.
#[derive(Debug, Clone, Default)]
pub struct OwnRelays(Vec<LineRow>);

impl OwnRelays {
    /// Wraps the rows.
    pub const fn new(rows: Vec<LineRow>) -> Self {
        Self(rows)
    }

    /// Iterates over the relays, the oldest first.
    pub fn rows(&self) -> impl Iterator<Item = &LineRow> {
        self.0.iter()
    }
}

/// The sockets from which sessions with relays leave. Separate sockets are bound at first use, as
/// most daemons have no lines.
pub struct RelaySockets {
    /// The endpoint on which contacts dial, if it is used for relays too.
    shared: Option<Arc<Endpoint>>,
    endpoints: EndpointFactory,
    listen: Vec<SocketAddr>,
    /// With [`IpMode::LineOnly`]: the only addresses to which packets are sent.
    allowed: Option<Arc<AllowList>>,
    /// `None` until the relays are read: a dial before that would bypass them.
    own: watch::Sender<Option<Arc<OwnRelays>>>,
    endpoint: OnceCell<Endpoint>,
}

impl RelaySockets {
    /// Uses sockets on the daemon's listen addresses with other ports. In direct mode uses `inside`
    /// itself.
    pub fn new(
        inside: &Arc<Endpoint>,
        endpoints: EndpointFactory,
        listen: Vec<SocketAddr>,
        mode: IpMode,
    ) -> Self {
        let shared = (mode == IpMode::Direct).then(|| inside.clone());
        let allowed = (mode == IpMode::LineOnly).then(Arc::<AllowList>::default);
        Self {
            shared,
            endpoints,
            listen,
            allowed,
            own: watch::Sender::new(None),
            endpoint: OnceCell::new(),
        }
    }

    /// Dials a host that is no relay of this daemon. Returns whether the socket blocked the
    /// packets; `None` in modes that allow them.
    pub async fn holds_back(&self) -> Option<bool> {
        let allowed = self.allowed.as_ref()?;
        let before = allowed.held_back();
        let Ok(endpoint) = self.endpoint().await else {
            // Without a socket no packet can leave.
            return Some(true);
        };
        for local in endpoint.local_addrs() {
            if reaches_unassigned(endpoint, local.ip()).await {
                return Some(false);
            }
        }
        Some(allowed.held_back() > before)
    }

    /// Returns this daemon's relays, once they are read.
    pub async fn own(&self) -> Arc<OwnRelays> {
        let mut own = self.own.subscribe();
        let read = own.wait_for(Option::is_some).await;
        // The sender lives as long as `self`, so there is no error.
        read.map_or_else(|_| Arc::default(), |own| own.clone().unwrap_or_default())
    }

    pub(super) fn set_own(&self, own: OwnRelays) {
        if let Some(allowed) = &self.allowed {
            let relays = own.rows();
            allowed.set(relays.flat_map(|row| row.addresses.iter().copied()));
        }
        self.own.send_replace(Some(Arc::new(own)));
    }

    /// Returns whether the address that relays observe is one at which contacts may dial.
    pub const fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Returns the endpoint, bound at the first call.
    ///
    /// Errors: the sockets cannot be bound.
    pub async fn endpoint(&self) -> io::Result<&Endpoint> {
        if let Some(shared) = &self.shared {
            return Ok(shared);
        }
        self.endpoint.get_or_try_init(async || self.bind()).await
    }

    fn bind(&self) -> io::Result<Endpoint> {
        let mut config = self.endpoints.outbound(&self.listen, KEYS);
        config.only_to = self.allowed.clone();
        Endpoint::bind(config)
    }
}

/// Dials an unassigned address from a socket on `local`. Returns whether there was an answer.
async fn reaches_unassigned(endpoint: &Endpoint, local: IpAddr) -> bool {
    let dialled = endpoint.dial_for(
        unassigned_address(local),
        PeerId::from_bytes([0; 32]),
        Credential::Anonymous,
        Purpose::Line,
        TRIED_FOR,
    );
    dialled.await.is_ok()
}

/// Returns an unassigned address that a socket on `local` can send to (RFC 5737, RFC 3849).
fn unassigned_address(local: IpAddr) -> SocketAddr {
    let address: IpAddr = match local {
        _ if local.is_loopback() => local,
        IpAddr::V4(_) => Ipv4Addr::new(198, 51, 100, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2).into(),
    };
    // The discard port (RFC 863).
    SocketAddr::new(address, 9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use m2_crypto::{Circle, Identity, provider};
    use m2_engine::clock::Clock;

    #[tokio::test(flavor = "multi_thread")]
    async fn no_dial_bypasses_own_relays_before_they_are_known() {
        let pem = include_str!("../../../tests/vectors/identities/alice.pem");
        let identity = Identity::from_pem(pem, None, provider::default()).unwrap();
        let identity = Arc::new(identity);
        let endpoints = EndpointFactory {
            circle: Circle::public(),
            identity,
            clock: Arc::new(Clock::new(0)),
            pads: false,
            suites: Arc::default(),
        };
        let inside = Arc::new(Endpoint::bind(endpoints.config(Vec::new(), 1)).unwrap());
        let relay_sockets = RelaySockets::new(&inside, endpoints, Vec::new(), IpMode::PreferLine);
        assert!(relay_sockets.own().now_or_never().is_none());
        relay_sockets.set_own(OwnRelays::default());
        assert!(relay_sockets.own().now_or_never().is_some());
    }
}
