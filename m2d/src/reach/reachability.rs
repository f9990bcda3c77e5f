//! Where this host may be reached, as far as is known now.

use super::candidates::{MAX_CANDIDATES, Source, is_private};
use m2_crypto::PeerId;
use m2_crypto::address::{NamedAddress, Scope, Surroundings, Use};
use m2_net::endpoint::Endpoint;
use m2_net::line::Carrier;
use m2_net::lookup::networks;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// Sessions with relays that are asked where they see us.
const MAX_CARRIERS: usize = 8;
/// What contacts saw that is kept.
const MAX_SEEN: usize = 8;
/// What contacts saw that is told: they may lie.
const MAX_SEEN_TOLD: usize = 2;
/// How long what a contact saw is believed.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// Contacts are told private addresses too: they may be in the same network.
const TO_CONTACTS: Use = Use::Contact {
    shares_public: false,
};
/// How long a relay may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_millis(800);

/// An address of this host, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// With the port on which contacts may call.
    pub address: NamedAddress,
    /// Who says so.
    pub source: Source,
}

/// How others can reach this host from socket to socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody outside has told yet.
    Unknown,
    /// An address of its own is seen outside as it is.
    Open,
    /// The gateway forwards a port.
    Mapped,
    /// A NAT stands between that shows one address to everybody.
    Nat,
    /// A NAT stands between that shows another port to everybody.
    SymmetricNat,
}

/// Knows where this host may be reached. Addresses of peers are not in it, and what it knows is
/// in memory alone.
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
    /// What the gateway forwards to us.
    mapped: Option<NamedAddress>,
    carriers: Vec<Carrier>,
    /// What relays said last.
    by_relays: Vec<NamedAddress>,
    /// What contacts said, the oldest first.
    by_contacts: Vec<Report>,
}

/// What one contact said.
struct Report {
    contact: PeerId,
    seen: NamedAddress,
    at: Instant,
}

impl Reachability {
    /// Knows of the sockets of `endpoint` and of what the user announces. `loopback_only`: the daemon
    /// is bound to loopback alone, or would be if it took direct calls.
    pub fn new(endpoint: Arc<Endpoint>, announced: Vec<SocketAddr>, loopback_only: bool) -> Self {
        Self {
            endpoint,
            announced,
            loopback_only,
            state: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }

    /// The sockets on which contacts call.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Rings when an address came or went. The value means nothing.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// The interfaces have these addresses now.
    pub fn set_interfaces(&self, addresses: Vec<IpAddr>) {
        self.change(|state| {
            let differs = state.interfaces != addresses;
            if differs {
                // What others saw was seen from the old ones.
                state.by_contacts.clear();
                state.by_relays.clear();
            }
            state.interfaces = addresses;
            differs
        });
    }

    /// The gateway forwards this address to us, or nothing any more.
    pub fn set_mapped(&self, address: Option<NamedAddress>) {
        self.change(|state| std::mem::replace(&mut state.mapped, address) != address);
    }

    /// A contact sees us at this address. What it said before does not count any more.
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

    /// A session with a relay that leaves from the sockets on which contacts call: it is asked
    /// where it sees us, now and whenever that matters, as long as it stands.
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

    /// Where a contact may call, the best first; relays are asked anew.
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

    /// All addresses that are known and may be told to contacts, the best first.
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
        let own = own.filter_map(|own| self.told(own));
        let announced = self.announced.iter().filter_map(|own| self.told(*own));
        announced
            .map(from(Source::Announced))
            .chain(mapped)
            .chain(relays)
            .chain(fresh.map(from(Source::Contact)))
            .chain(own.map(from(Source::Interface)))
            .filter(|known| self.may_be_told(&known.address))
            .collect()
    }

    /// What contacts are told passes the filter that they apply themselves.
    fn told(&self, own: SocketAddr) -> Option<NamedAddress> {
        NamedAddress::told(own, TO_CONTACTS, self.loopback_only)
    }

    fn may_be_told(&self, named: &NamedAddress) -> bool {
        match named.scope() {
            None => false,
            Some(Scope::Loopback) => self.loopback_only,
            Some(Scope::Public | Scope::Private) => true,
        }
    }

    /// This host, for the filter of addresses that others name.
    pub fn surroundings(&self) -> Surroundings {
        let state = self.state();
        let sockets = self.endpoint.own_addresses().into_iter();
        let mut own: Vec<NamedAddress> = sockets.map(NamedAddress::new).collect();
        own.extend(self.announced.iter().copied().map(NamedAddress::new));
        // Not what relays say: one that a contact named could have any address never dialled.
        own.extend(state.mapped);
        Surroundings {
            loopback_only: self.loopback_only,
            networks: networks::of_this_host(),
            own,
        }
    }

    /// Whether one of these addresses has a public IP address that relays or the gateway show this
    /// host under.
    pub fn shares_public(&self, named: &[NamedAddress]) -> bool {
        let state = self.state();
        let seen = state.mapped.iter().chain(&state.by_relays);
        let public = seen.filter(|own| own.scope() == Some(Scope::Public));
        let mut public = public.map(NamedAddress::ip);
        public.any(|own| named.iter().any(|other| other.ip() == own))
    }

    /// Addresses of this host's own interfaces.
    pub fn interfaces(&self) -> Vec<IpAddr> {
        let locals = self.endpoint.local_addrs().into_iter();
        let bound = locals.map(|local| local.ip());
        let mut all: Vec<IpAddr> = bound.filter(|ip| !ip.is_unspecified()).collect();
        all.extend(self.state().interfaces.iter().copied());
        all
    }

    /// The IPv4 port on which other hosts may call.
    pub fn port(&self) -> Option<u16> {
        let locals = self.endpoint.local_addrs().into_iter();
        let mut open = locals.filter(|local| local.is_ipv4() && !local.ip().is_loopback());
        open.next().map(|local| local.port())
    }

    /// Whether contacts can only be on this very machine.
    pub fn is_bound_to_loopback(&self) -> bool {
        let locals = self.endpoint.local_addrs();
        !locals.is_empty() && locals.iter().all(|local| local.ip().is_loopback())
    }

    /// How others can reach this host, by what they say.
    pub fn standing(&self) -> Standing {
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
            Standing::Open
        } else if known.iter().any(|known| known.source == Source::Mapped) {
            Standing::Mapped
        } else if by_relays.iter().any(differs) {
            Standing::SymmetricNat
        } else if seen.iter().any(|seen| !own.contains(&seen.ip())) {
            Standing::Nat
        } else {
            Standing::Unknown
        }
    }

    /// Asks all relays where they see us.
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
        // Nothing is ever half done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Reachability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reachability(..)")
    }
}
