//! The allow list of outgoing datagrams: line-only mode fails closed
//! (docs/spec/line.md#which-relays-a-session-passes).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// The only addresses to which datagrams may be sent. The socket checks every datagram against it:
/// whatever else goes wrong, nothing is sent to other addresses.
#[derive(Debug, Default)]
pub struct AllowList {
    allowed: RwLock<HashSet<SocketAddr>>,
    held_back: AtomicU64,
}

impl AllowList {
    /// Replaces the allowed addresses.
    pub fn set(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        let mut allowed = self.allowed.write().unwrap_or_else(PoisonError::into_inner);
        *allowed = addresses.into_iter().map(canonical).collect();
    }

    /// Returns whether a datagram may be sent to `address`, and counts it if not.
    pub fn allows(&self, address: SocketAddr) -> bool {
        let allowed = self.allowed.read().unwrap_or_else(PoisonError::into_inner);
        let allows = allowed.contains(&canonical(address));
        if !allows {
            self.held_back.fetch_add(1, Ordering::Relaxed);
        }
        allows
    }

    /// Returns the number of datagrams that were held back.
    pub fn held_back(&self) -> u64 {
        self.held_back.load(Ordering::Relaxed)
    }
}

/// Maps an IPv4-mapped IPv6 address to its IPv4 address, and drops scope and flow label.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_addresses_are_allowed() {
        let list = AllowList::default();
        let [relay, other] = ["192.0.2.1:4", "192.0.2.1:5"].map(|text| text.parse().unwrap());
        assert!(!list.allows(relay));
        list.set([relay]);
        assert!(list.allows(relay));
        assert!(list.allows("[::ffff:192.0.2.1]:4".parse().unwrap()));
        assert!(!list.allows(other));
        assert_eq!(list.held_back(), 2);
    }
}
