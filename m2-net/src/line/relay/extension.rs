//! Calling another relay for a party. Who asks can't make us a scanner or a proxy: the answer to
//! whatever fails is the same and comes after the same time.

use super::{Relay, lock};
use crate::line::path;
use crate::session::Session;
use crate::wire::Purpose;
use crate::wire::line::{Extend, MAX_HOPS};
use m2_crypto::handshake::Credential;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};

/// How long the one call may take. To who does not answer, its first packet is sent once in this
/// time, and one more that ends it.
const CALL_LIMIT: Duration = Duration::from_millis(2_800);
/// After what time a party hears that it came to nothing.
const FAILED_AFTER: Duration = Duration::from_secs(3);

/// What became of it.
pub(super) enum Extension {
    /// A session with the other relay.
    Reached(Box<Session>),
    /// Nothing more is said.
    Failed,
}

impl Relay {
    /// Calls another relay.
    pub(super) async fn extend(&self, extend: &Extend) -> Extension {
        let begun = Instant::now();
        if let Some(session) = self.call(extend).await {
            return Extension::Reached(Box::new(session));
        }
        sleep_until(begun + FAILED_AFTER).await;
        Extension::Failed
    }

    async fn call(&self, extend: &Extend) -> Option<Session> {
        let ip = extend.address.ip();
        // This relay and the next one count as well.
        let near = extend.hops + 2 <= MAX_HOPS;
        let allowed = self.limits.extend_to_private || is_public(&ip);
        if !self.limits.extend || !near || !allowed || extend.address.port() == 0 {
            return None;
        }
        if !lock(&self.targets).allow(ip, self.now_ms()) {
            return None;
        }
        let endpoint = self.endpoint.upgrade()?;
        let dialled = endpoint.dial_for(
            extend.address,
            extend.relay,
            Credential::Anonymous,
            Purpose::Line,
            CALL_LIMIT,
        );
        // The wait for a session key counts too: who asks must not see it.
        let session = timeout(CALL_LIMIT, dialled).await.ok()?.ok()?;
        // What takes no datagrams is no relay, though it has the right peer id.
        path::takes_datagrams(session.connection()).then_some(session)
    }
}

/// Whether an address is one of the public internet and of one host.
pub fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(*v4),
        IpAddr::V6(v6) => is_public_v6(*v6),
    }
}

/// Without the special ranges of RFC 6890.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && b & 0xc0 == 64)
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18);
    !special
}

/// Global unicast is 2000::/3; of it, not what is for documents and not what tunnels to IPv4.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let documentation = a == 0x2001 && b == 0x0db8;
    let tunnelled = a == 0x2002 || (a == 0x2001 && b == 0);
    a & 0xe000 == 0x2000 && !documentation && !tunnelled
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for public in ["1.1.1.1", "9.9.9.9", "100.128.0.1", "2606:4700::1111"] {
            assert!(is_public(&public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.251",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "fc4d:3200::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2001::1",
        ] {
            assert!(!is_public(&special.parse().unwrap()), "{special}");
        }
    }
}
