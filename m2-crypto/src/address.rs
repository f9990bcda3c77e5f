//! The wire encoding of addresses (docs/spec/identity.md#invitations), and the type for an address
//! named by another party (docs/spec/reach.md#addresses-that-others-name).
//!
//! [`NamedAddress`] returns its socket address only through [`NamedAddress::admit`], so an address
//! received from another party can't be dialled without passing the filter.

mod range;
mod surroundings;

pub use range::Scope;
pub use surroundings::{Network, Surroundings, Use};

use crate::reader::Reader;
use std::fmt;
use std::net::{AddrParseError, IpAddr, SocketAddr};
use std::str::FromStr;

/// Longest encoding of one address, in bytes.
pub(crate) const MAX_BYTES: usize = 1 + 16 + 2;

const KIND_V4: u8 = 4;
const KIND_V6: u8 = 6;

/// The lowest admitted port apart from [`HTTPS`]. Lower ports belong to well-known services.
const FIRST_PORT: u16 = 1_024;
/// Admitted although it is below [`FIRST_PORT`]: restrictive networks often let no other port
/// through.
const HTTPS: u16 = 443;

/// An address received from another party: in a session, a presence record, an announcement, an
/// invitation, an offer, or from a relay or a gateway. It is untrusted; [`Self::admit`] decides
/// whether it may be dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedAddress(SocketAddr);

impl NamedAddress {
    /// Wraps an address received from another party. An IPv4-mapped IPv6 address becomes the IPv4
    /// address. The scope id and flow label of an IPv6 address are dropped, as they have only local
    /// meaning.
    pub const fn new(named: SocketAddr) -> Self {
        Self(SocketAddr::new(named.ip().to_canonical(), named.port()))
    }

    /// Returns an address of this host, or of a relay or provider of its user, in the form in which
    /// it is sent to another party. Returns `None` for an address that the other party's filter
    /// would reject. Private addresses are returned for `Use::Contact` only.
    pub fn for_peer(own: SocketAddr, telling: Use, loopback_only: bool) -> Option<Self> {
        let named = Self::new(own);
        let may_be_told = match named.scope()? {
            Scope::Public => true,
            Scope::Private => matches!(telling, Use::Contact { .. }),
            Scope::Loopback => loopback_only,
        };
        may_be_told.then_some(named)
    }

    /// Returns the socket address if it may be dialled from this host for this use. This is the
    /// filter of docs/spec/reach.md#addresses-that-others-name.
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

    /// Returns whether [`Self::admit`] could return this address for this use in any network. Used
    /// before an address is stored. `loopback_only` is true if the daemon is bound to loopback
    /// only.
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

    /// Returns the scope of the address, or `None` if it must never be dialled.
    pub fn scope(&self) -> Option<Scope> {
        let port = self.0.port();
        let has_good_port = port >= FIRST_PORT || port == HTTPS;
        has_good_port.then(|| Scope::of(self.ip())).flatten()
    }

    /// Returns the IP address without the port, for comparisons. It must not be used for dialling.
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

/// Reads one address. Port 0 is accepted here; callers reject it where a port is required.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<NamedAddress> {
    let ip: IpAddr = match reader.u8()? {
        KIND_V4 => reader.array::<4>()?.into(),
        KIND_V6 => reader.array::<16>()?.into(),
        _ => return None,
    };
    Some(NamedAddress::new(SocketAddr::new(ip, reader.u16()?)))
}

/// Writes one address. The encoding has no scope id and no flow label.
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
