//! The current knowledge of where this host may be reached.

use super::candidates::{MAX_CANDIDATES, Source, is_private};
use m2_crypto::PeerId;
use m2_crypto::address::{NamedAddress, Scope, Surroundings, Use};
use m2_discovery::{interfaces, networks};
use m2_net::endpoint::Endpoint;
use m2_net::line::Carrier;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// The most sessions with relays that are asked for the observed address.
const MAX_CARRIERS: usize = 8;
/// The most addresses observed by contacts that are kept.
const MAX_SEEN: usize = 8;
/// The most addresses observed by contacts that are sent to others, as contacts may lie.
const MAX_SEEN_TOLD: usize = 2;
/// How long an address observed by a contact is used.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// The filter for addresses sent to contacts. Private ones are sent too, as both may be in one
/// network.
const TO_CONTACTS: Use = Use::Contact {
    shares_public: false,
};
/// How long a relay may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_millis(800);

/// An address of this host, and its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The address, with the port on which contacts may dial.
    pub address: NamedAddress,
    /// The source.
    pub source: Source,
}

/// How the NATs in front of this host limit direct sessions (RFC 4787).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NatStatus {
    /// No external observer has reported an address yet.
    Unknown,
    /// An address of the host's own is observed unchanged.
    Open,
    /// The gateway forwards a port.
    Mapped,
    /// A NAT with endpoint-independent mapping, as far as observed.
    Nat,
    /// A NAT with another port for each destination (symmetric).
    SymmetricNat,
}

/// Knows where this host may be reached. It holds no addresses of peers, and exists in memory only.
pub struct Reachability {
    endpoint: Arc<Endpoint>,
    announced: Vec<SocketAddr>,
    loopback_only: bool,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    /// Addresses of the interfaces.
    interfaces: Vec<IpAddr>,
    /// The external address that the gateway forwards.
    mapped: Option<NamedAddress>,
    carriers: Vec<Carrier>,
    /// The addresses that relays observed last.
    by_relays: Vec<NamedAddress>,
    /// The addresses that contacts observed, the oldest first.
    by_contacts: Vec<Report>,
}

/// The address that one contact observed.
struct Report {
    contact: PeerId,
    seen: NamedAddress,
    at: Instant,
}

impl Reachability {
    /// Creates the state from the sockets of `endpoint` and the configured addresses.
    /// `loopback_only` is true if the daemon is bound to loopback only, or would be if it accepted
    /// direct sessions.
    pub fn new(endpoint: Arc<Endpoint>, announced: Vec<SocketAddr>, loopback_only: bool) -> Self {
        Self {
            endpoint,
            announced,
            loopback_only,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// Returns the endpoint on which contacts dial.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Subscribes to changes of addresses. The value carries no information.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Sets the addresses of the interfaces.
    pub fn set_interfaces(&self, addresses: Vec<IpAddr>) {
        self.change(|state| {
            let differs = state.interfaces != addresses;
            if differs {
                // The observed addresses belonged to the earlier ones.
                state.by_contacts.clear();
                state.by_relays.clear();
            }
            state.interfaces = addresses;
            differs
        });
    }

    /// Sets the external address that the gateway forwards, or clears it.
    pub fn set_mapped(&self, address: Option<NamedAddress>) {
        self.change(|state| std::mem::replace(&mut state.mapped, address) != address);
    }

    /// Records the address at which a contact observed this host. It replaces the contact's earlier
    /// report.
    pub fn seen_by_contact(&self, contact: PeerId, seen: NamedAddress) {
        self.change(|state| {
            let known = state.by_contacts.iter().any(|report| report.seen == seen);
            let is_other = |report: &Report| report.contact != contact && report.seen != seen;
            state.by_contacts.retain(is_other);
            if state.by_contacts.len() >= MAX_SEEN {
                state.by_contacts.remove(0);
            }
            let at = Instant::now();
            state.by_contacts.push(Report { contact, seen, at });
            !known
        });
    }

    /// Adds a session with a relay that uses the sockets on which contacts dial. The relay is asked
    /// for the observed address now and before candidates are sent, until the session ends.
    pub fn ask_at(self: &Arc<Self>, carrier: &Carrier) {
        {
            let mut state = self.state();
            if state.carriers.len() >= MAX_CARRIERS {
                state.carriers.remove(0);
            }
            state.carriers.push(carrier.clone());
        }
        let (reach, carrier) = (Arc::downgrade(self), carrier.clone());
        tokio::spawn(async move {
            if let Some(reach) = reach.upgrade() {
                reach.ask().await;
            }
            carrier.ended().await;
            if let Some(reach) = reach.upgrade() {
                let mut state = reach.state();
                let number = carrier.number();
                state.carriers.retain(|kept| kept.number() != number);
            }
        });
    }

    /// Returns this host's candidates, the best first. Relays are asked again.
    pub async fn candidates(&self) -> Vec<NamedAddress> {
        self.ask().await;
        let mut candidates: Vec<NamedAddress> = Vec::new();
        let mut seen = 0;
        for known in self.known() {
            if known.source == Source::Contact {
                seen += 1;
            }
            let room = candidates.len() < MAX_CANDIDATES;
            if room && seen <= MAX_SEEN_TOLD && !candidates.contains(&known.address) {
                candidates.push(known.address);
            }
        }
        candidates
    }

    /// Returns all known addresses that may be sent to contacts, the best first.
    pub fn known(&self) -> Vec<Known> {
        let state = self.state();
        let from = |source| move |address: NamedAddress| Known { address, source };
        let fresh = state
            .by_contacts
            .iter()
            .rev()
            .filter(|report| report.at.elapsed() < BELIEVED)
            .map(|report| report.seen);
        let mapped = state.mapped.into_iter().map(from(Source::Mapped));
        let relays = state.by_relays.iter().copied().map(from(Source::Relay));
        let own = self.endpoint.addresses_on(&state.interfaces).into_iter();
        let own = own.filter_map(|own| self.for_peer(own));
        let announced = self.announced.iter().filter_map(|own| self.for_peer(*own));
        announced
            .map(from(Source::Announced))
            .chain(mapped)
            .chain(relays)
            .chain(fresh.map(from(Source::Contact)))
            .chain(own.map(from(Source::Interface)))
            .filter(|known| self.may_be_told(&known.address))
            .collect()
    }

    /// Applies the filter that contacts apply themselves.
    fn for_peer(&self, own: SocketAddr) -> Option<NamedAddress> {
        NamedAddress::for_peer(own, TO_CONTACTS, self.loopback_only)
    }

    fn may_be_told(&self, named: &NamedAddress) -> bool {
        match named.scope() {
            None => false,
            Some(Scope::Loopback) => self.loopback_only,
            Some(Scope::Public | Scope::Private) => true,
        }
    }

    /// Returns the state of this host that the address filter needs.
    pub fn surroundings(&self) -> Surroundings {
        let state = self.state();
        let sockets = self
            .endpoint
            .addresses_on(&interfaces::usable(true))
            .into_iter();
        let mut own: Vec<NamedAddress> = sockets.map(NamedAddress::new).collect();
        own.extend(self.announced.iter().copied().map(NamedAddress::new));
        // Addresses observed by relays are left out: a relay that a contact named could block any
        // address.
        own.extend(state.mapped);
        Surroundings {
            loopback_only: self.loopback_only,
            networks: networks::of_this_host(),
            own,
        }
    }

    /// Returns whether one of these addresses has the public IP address that relays or the gateway
    /// report for this host.
    pub fn shares_public(&self, named: &[NamedAddress]) -> bool {
        let state = self.state();
        let seen = state.mapped.iter().chain(&state.by_relays);
        let public = seen.filter(|own| own.scope() == Some(Scope::Public));
        let mut public = public.map(NamedAddress::ip);
        public.any(|own| named.iter().any(|other| other.ip() == own))
    }

    /// Returns the addresses of this host's interfaces.
    pub fn interfaces(&self) -> Vec<IpAddr> {
        let locals = self.endpoint.local_addrs().into_iter();
        let bound = locals.map(|local| local.ip());
        let mut all: Vec<IpAddr> = bound.filter(|ip| !ip.is_unspecified()).collect();
        all.extend(self.state().interfaces.iter().copied());
        all
    }

    /// Returns the IPv4 port on which other hosts may dial.
    pub fn port(&self) -> Option<u16> {
        let locals = self.endpoint.local_addrs().into_iter();
        let mut open = locals.filter(|local| local.is_ipv4() && !local.ip().is_loopback());
        open.next().map(|local| local.port())
    }

    /// Returns whether only peers on this machine can connect.
    pub fn is_bound_to_loopback(&self) -> bool {
        let locals = self.endpoint.local_addrs();
        !locals.is_empty() && locals.iter().all(|local| local.ip().is_loopback())
    }

    /// Classifies the NATs in front of this host by the observed addresses.
    pub fn standing(&self) -> NatStatus {
        let known = self.known();
        let seen: Vec<NamedAddress> = known
            .iter()
            .filter(|known| matches!(known.source, Source::Relay | Source::Contact))
            .map(|known| known.address)
            .collect();
        let own = self.interfaces();
        let by_relays = self.state().by_relays.clone();
        let differs = |one: &NamedAddress| {
            let same_host = by_relays.iter().filter(|other| other.ip() == one.ip());
            same_host.count() > 1
        };
        if seen
            .iter()
            .any(|seen| own.contains(&seen.ip()) && !is_private(&seen.ip()))
        {
            NatStatus::Open
        } else if known.iter().any(|known| known.source == Source::Mapped) {
            NatStatus::Mapped
        } else if by_relays.iter().any(differs) {
            NatStatus::SymmetricNat
        } else if seen.iter().any(|seen| !own.contains(&seen.ip())) {
            NatStatus::Nat
        } else {
            NatStatus::Unknown
        }
    }

    /// Asks all relays for the observed address.
    async fn ask(&self) {
        let carriers = self.state().carriers.clone();
        let asked = carriers.iter().map(|carrier| async {
            let seen = timeout(ANSWER_LIMIT, carrier.observed()).await;
            seen.ok().and_then(Result::ok)
        });
        let answers = futures::future::join_all(asked).await;
        let mut seen: Vec<NamedAddress> = answers.into_iter().flatten().collect();
        seen.sort();
        seen.dedup();
        self.change(|state| {
            let differs = state.by_relays != seen;
            state.by_relays = seen;
            differs
        });
    }

    fn change(&self, change: impl FnOnce(&mut State) -> bool) {
        let changed = change(&mut self.state());
        if changed {
            self.changed.send_replace(());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No update under this lock is ever left incomplete, so poisoning is ignored.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reachability(..)")
    }
}
