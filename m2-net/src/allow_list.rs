//! Where a socket may send at all (spec §7: line-only fails closed).

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// The only addresses that datagrams may leave for. It is asked for every datagram, in the socket
/// itself: whatever else goes wrong, nothing leaves for another one.
#[derive(Debug, Default)]
pub struct AllowList {
    allowed: RwLock<HashSet<SocketAddr>>,
    held_back: AtomicU64,
}

impl AllowList {
    /// From now on these, and no others.
    pub fn set(&self, addresses: impl IntoIterator<Item = SocketAddr>) {
        let mut allowed = self.allowed.write().unwrap_or_else(PoisonError::into_inner);
        *allowed = addresses.into_iter().map(canonical).collect();
    }

    /// Whether a datagram may leave for `address`; if not, it is counted.
    pub fn allows(&self, address: SocketAddr) -> bool {
        let allowed = self.allowed.read().unwrap_or_else(PoisonError::into_inner);
        let allows = allowed.contains(&canonical(address));
        if !allows {
            self.held_back.fetch_add(1, Ordering::Relaxed);
        }
        allows
    }

    /// Datagrams that were held back.
    pub fn held_back(&self) -> u64 {
        self.held_back.load(Ordering::Relaxed)
    }
}

/// The same for an IPv4 address and its IPv6 form, whatever scope and flow are noted beside.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_is_allowed_but_what_is_listed() {
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
