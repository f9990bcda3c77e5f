//! Addresses: how they are encoded wherever there is one (docs/spec/identity.md), and the one type
//! for an address that another party named (docs/spec/reach.md#addresses-that-others-name).
//!
//! [`NamedAddress`] gives its socket address only through [`NamedAddress::admit`], so a field that
//! holds what another party named can't be dialled past the filter.

mod range;
mod surroundings;

pub use range::Scope;
pub use surroundings::{Network, Surroundings, Use};

use crate::reader::Reader;
use std::fmt;
use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;

/// Bytes of the longest encoding.
pub(crate) const MAX_BYTES: usize = 1 + 16 + 2;

const KIND_V4: u8 = 4;
const KIND_V6: u8 = 6;

/// The first port that may be named, apart from [`HTTPS`]: below it are services of others.
const FIRST_PORT: u16 = 1_024;
/// The port that networks let through which block all others.
const HTTPS: u16 = 443;

/// An address that another party named: a peer, a record, an announcement, an invitation, an offer,
/// a relay or a gateway. It may be anything at all; [`Self::admit`] says whether it may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedAddress(SocketAddr);

impl NamedAddress {
    /// Returns the address as another party named it. An IPv4-mapped IPv6 address is the IPv4 address;
    /// scope and flow of an IPv6 address are left out, as they mean nothing elsewhere.
    pub const fn new(named: SocketAddr) -> Self {
        Self(SocketAddr::new(named.ip().to_canonical(), named.port()))
    }

    /// Returns an address of this host, or of a relay or provider of its user, as it may be told to
    /// others: by the same filter that they apply. Private addresses are for `Use::Contact` only.
    pub fn told(own: SocketAddr, telling: Use, loopback_only: bool) -> Option<Self> {
        let named = Self::new(own);
        let may_be_told = match named.scope()? {
            Scope::Public => true,
            Scope::Private => matches!(telling, Use::Contact { .. }),
            Scope::Loopback => loopback_only,
        };
        may_be_told.then_some(named)
    }

    /// Returns the socket address, if it may be dialled from here for this use. This is the filter of
    /// docs/spec/reach.md#addresses-that-others-name.
    pub fn admit(&self, here: &Surroundings, wanted: Use) -> Option<SocketAddr> {
        let (scope, address) = (self.scope()?, self.0);
        let is_near = match (scope, wanted) {
            (Scope::Private, Use::Contact { shares_public }) => {
                shares_public || here.has_network_of(address.ip())
            }
            _ => true,
        };
        let is_own = here.own.contains(self) || here.is_broadcast(address.ip());
        let is_admitted = is_near && !is_own && self.may_suit(wanted, here.loopback_only);
        is_admitted.then_some(address)
    }

    /// Whether [`Self::admit`] may ever give this address for this use, in whatever network this host
    /// is: a first look at what is to be kept. `loopback_only`: the daemon is bound to loopback alone.
    pub fn may_suit(&self, wanted: Use, loopback_only: bool) -> bool {
        match (self.scope(), wanted) {
            (None, _) => false,
            (Some(_), Use::Anywhere) => true,
            (Some(Scope::Loopback), _) => loopback_only,
            (Some(_), _) if loopback_only => false,
            (Some(Scope::Public), _) | (Some(Scope::Private), Use::Contact { .. }) => true,
            (Some(Scope::Private), Use::Service) => false,
        }
    }

    /// Returns what kind of address it is; none if it may never be dialled, wherever one is.
    pub fn scope(&self) -> Option<Scope> {
        let port = self.0.port();
        let has_good_port = port >= FIRST_PORT || port == HTTPS;
        has_good_port.then(|| Scope::of(self.ip())).flatten()
    }

    /// Returns the IP address alone, to compare it.
    pub const fn ip(&self) -> IpAddr {
        self.0.ip()
    }

    pub(crate) const fn has_port(&self) -> bool {
        self.0.port() != 0
    }
}

impl FromStr for NamedAddress {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        text.parse().map(Self::new)
    }
}

impl fmt::Display for NamedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads one address. Its port may be 0: that is for the caller to judge.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<NamedAddress> {
    let ip: IpAddr = match reader.u8()? {
        KIND_V4 => reader.array::<4>()?.into(),
        KIND_V6 => reader.array::<16>()?.into(),
        _ => return None,
    };
    Some(NamedAddress::new(SocketAddr::new(ip, reader.u16()?)))
}

/// Writes one address. Scope and flow of an IPv6 address are left out.
pub(crate) fn write(out: &mut Vec<u8>, address: &NamedAddress) {
    match address.0.ip() {
        IpAddr::V4(ip) => {
            out.push(KIND_V4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(KIND_V6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.0.port().to_be_bytes());
}
