//! Limits per source prefix (spec §3): nobody's network calls so often that others are not
//! heard.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

/// Buckets in all. Prefixes that share one share its allowance: memory is fixed, and who falls
/// together is different at every start.
const BUCKETS: usize = 4096;

/// A token bucket for every /24 (IPv4) and /48 (IPv6).
#[derive(Debug)]
pub(crate) struct PrefixLimiter {
    buckets: Vec<Bucket>,
    hasher: RandomState,
    burst: u32,
    per_second: u32,
}

#[derive(Debug, Clone)]
struct Bucket {
    /// Thousandths of a call.
    allowance: u64,
    refilled_ms: u64,
}

impl PrefixLimiter {
    /// Allows each prefix `burst` calls at once and `per_second` in the long run.
    pub(crate) fn new(burst: u32, per_second: u32, now_ms: u64) -> Self {
        let full = Bucket {
            allowance: u64::from(burst) * 1000,
            refilled_ms: now_ms,
        };
        Self {
            buckets: vec![full; BUCKETS],
            hasher: RandomState::new(),
            burst,
            per_second,
        }
    }

    /// Whether a call from `source` may be answered now; if so it is counted. The own machine
    /// is not limited.
    pub(crate) fn allow(&mut self, source: IpAddr, now_ms: u64) -> bool {
        if source.is_loopback() {
            return true;
        }
        let place = self.hasher.hash_one(prefix(source)) as usize % BUCKETS;
        let Some(bucket) = self.buckets.get_mut(place) else {
            return false;
        };
        bucket.refill(self.burst, self.per_second, now_ms);
        match bucket.allowance.checked_sub(1000) {
            Some(rest) => {
                bucket.allowance = rest;
                true
            }
            None => false,
        }
    }
}

impl Bucket {
    fn refill(&mut self, burst: u32, per_second: u32, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.refilled_ms);
        let gained = passed_ms.saturating_mul(u64::from(per_second));
        self.allowance = self
            .allowance
            .saturating_add(gained)
            .min(u64::from(burst) * 1000);
        self.refilled_ms = now_ms;
    }
}

/// The first 24 bits of an IPv4 address, the first 48 of an IPv6 address.
fn prefix(address: IpAddr) -> [u8; 7] {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            [4, a, b, c, 0, 0, 0]
        }
        IpAddr::V6(v6) => prefix_v6(v6),
    }
}

fn prefix_v6(address: Ipv6Addr) -> [u8; 7] {
    let [a, b, c, d, e, f, ..] = address.octets();
    [6, a, b, c, d, e, f]
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_has_one_allowance_that_refills() {
        let mut limiter = PrefixLimiter::new(3, 2, 0);
        assert!(limiter.allow(ip("203.0.113.1"), 0));
        assert!(limiter.allow(ip("203.0.113.2"), 0));
        assert!(limiter.allow(ip("::ffff:203.0.113.3"), 0));
        assert!(!limiter.allow(ip("203.0.113.4"), 499));
        assert!(limiter.allow(ip("203.0.113.4"), 500));
        assert!(!limiter.allow(ip("203.0.113.4"), 500));
        for _ in 0..3 {
            assert!(limiter.allow(ip("203.0.113.4"), 1_000_000));
        }
        assert!(!limiter.allow(ip("203.0.113.4"), 1_000_000));
    }

    #[test]
    fn prefixes_are_24_and_48_bits() {
        assert_eq!(prefix(ip("203.0.113.1")), prefix(ip("203.0.113.254")));
        assert_ne!(prefix(ip("203.0.113.1")), prefix(ip("203.0.114.1")));
        assert_eq!(prefix(ip("2001:db8:1::1")), prefix(ip("2001:db8:1:ff::9")));
        assert_ne!(prefix(ip("2001:db8:1::1")), prefix(ip("2001:db8:2::1")));
    }

    #[test]
    fn the_own_machine_is_free() {
        let mut limiter = PrefixLimiter::new(0, 0, 0);
        assert!(limiter.allow(ip("127.0.0.1"), 0));
        assert!(!limiter.allow(ip("203.0.113.1"), 0));
    }
}
