//! The sockets that sessions with relays leave from. Who hides its address from contacts has some
//! of their own for that; who does not takes those on which it is called, so that a relay can tell
//! it where others reach them (spec §8).

use crate::clock::Clock;
use crate::config::IpMode;
use crate::store::LineRow;
use m2_crypto::handshake::Credential;
use m2_crypto::{Circle, Identity, PeerId, provider};
use m2_net::allow_list::AllowList;
use m2_net::endpoint::{Endpoint, EndpointConfig};
use m2_net::wire::Purpose;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, watch};

/// Session keys kept ready: one is used for each session with a relay.
const KEYS: usize = 8;

/// How long a call that must not leave is tried.
const TRIED_FOR: Duration = Duration::from_millis(300);

/// Our relays, as they were last read.
#[derive(Debug, Clone, Default)]
pub struct OwnRelays(Vec<LineRow>);

impl OwnRelays {
    /// These.
    pub const fn new(rows: Vec<LineRow>) -> Self {
        Self(rows)
    }

    /// All of them, the oldest first.
    pub fn rows(&self) -> impl Iterator<Item = &LineRow> {
        self.0.iter()
    }
}

/// Where sessions with relays leave from. Own sockets are bound at first use: most daemons have no
/// lines.
pub struct Outside {
    /// The sockets on which contacts call, if these serve here too.
    shared: Option<Arc<Endpoint>>,
    circle: Circle,
    identity: Arc<Identity>,
    clock: Arc<Clock>,
    listen: Vec<SocketAddr>,
    pads: bool,
    /// With [`IpMode::LineOnly`]: nothing leaves but for our relays.
    allowed: Option<Arc<AllowList>>,
    /// None until they were read: who calls before that would pass none of them.
    own: watch::Sender<Option<Arc<OwnRelays>>>,
    endpoint: OnceCell<Endpoint>,
}

impl Outside {
    /// Sockets on the addresses where the daemon listens, on other ports; or `inside` itself, where
    /// the mode is to be reached directly.
    pub fn new(
        inside: &Arc<Endpoint>,
        circle: Circle,
        identity: Arc<Identity>,
        clock: Arc<Clock>,
        listen: Vec<SocketAddr>,
        pads: bool,
        mode: IpMode,
    ) -> Self {
        let shared = (mode == IpMode::Direct).then(|| inside.clone());
        let allowed = (mode == IpMode::LineOnly).then(Arc::<AllowList>::default);
        Self {
            shared,
            circle,
            identity,
            clock,
            listen,
            pads,
            allowed,
            own: watch::Sender::new(None),
            endpoint: OnceCell::new(),
        }
    }

    /// Calls a host that is no relay of ours and says whether its socket held that back; none if
    /// it need not, as the mode is another one.
    pub async fn holds_back(&self) -> Option<bool> {
        let allowed = self.allowed.as_ref()?;
        let before = allowed.held_back();
        let Ok(endpoint) = self.endpoint().await else {
            // Without a socket nothing leaves.
            return Some(true);
        };
        for local in endpoint.local_addrs() {
            let called = endpoint.dial_for(
                of_nobody(local.ip()),
                PeerId::from_bytes([0; 32]),
                Credential::Anonymous,
                Purpose::Line,
                TRIED_FOR,
            );
            if called.await.is_ok() {
                return Some(false);
            }
        }
        Some(allowed.held_back() > before)
    }

    /// Our relays, once they were read.
    pub async fn own(&self) -> Arc<OwnRelays> {
        let mut own = self.own.subscribe();
        let read = own.wait_for(Option::is_some).await;
        // The sender lives as long as we do: there is no error.
        read.map_or_else(|_| Arc::default(), |own| own.clone().unwrap_or_default())
    }

    pub(super) fn set_own(&self, own: OwnRelays) {
        if let Some(allowed) = &self.allowed {
            let relays = own.rows();
            allowed.set(relays.flat_map(|row| row.addresses.iter().copied()));
        }
        self.own.send_replace(Some(Arc::new(own)));
    }

    /// Whether what relays see is where contacts may call.
    pub const fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// The sockets.
    ///
    /// Errors: they can't be bound.
    pub async fn endpoint(&self) -> io::Result<&Endpoint> {
        if let Some(shared) = &self.shared {
            return Ok(shared);
        }
        self.endpoint.get_or_try_init(async || self.bind()).await
    }

    fn bind(&self) -> io::Result<Endpoint> {
        let mut config = EndpointConfig::new(self.circle.clone(), self.identity.clone());
        let any_port = |address: &SocketAddr| (address.ip(), 0).into();
        config.listen = self.listen.iter().map(any_port).collect();
        config.provider = provider::default();
        config.key_pool_size = KEYS;
        config.dials_only = true;
        config.pad_to_mtu = self.pads;
        config.only_to = self.allowed.clone();
        let clock = self.clock.clone();
        config.clock = m2_net::clock::Clock::new(move || clock.now_ms());
        Endpoint::bind(config)
    }
}

/// An address that a socket there can send to and nobody has (RFC 5737, RFC 3849).
fn of_nobody(local: IpAddr) -> SocketAddr {
    let address: IpAddr = match local {
        _ if local.is_loopback() => local,
        IpAddr::V4(_) => Ipv4Addr::new(198, 51, 100, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2).into(),
    };
    // The port of what is thrown away (RFC 863).
    SocketAddr::new(address, 9)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::FutureExt;

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_passes_our_relays_by_before_they_are_known() {
        let pem = include_str!("../../../tests/vectors/identities/alice.pem");
        let identity = Identity::from_pem(pem, None, provider::default()).unwrap();
        let identity = Arc::new(identity);
        let inside = EndpointConfig::new(Circle::public(), identity.clone());
        let inside = Arc::new(Endpoint::bind(inside).unwrap());
        let outside = Outside::new(
            &inside,
            Circle::public(),
            identity,
            Arc::new(Clock::new(0)),
            Vec::new(),
            false,
            IpMode::PreferLine,
        );
        assert!(outside.own().now_or_never().is_none());
        outside.set_own(OwnRelays::default());
        assert!(outside.own().now_or_never().is_some());
    }
}
