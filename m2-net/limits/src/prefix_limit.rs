//! A rate limit for each source prefix, so that no network's connection attempts crowd out others.

use crate::prefix::Prefix;
use crate::token_bucket::{Rate, TokenBucket};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

/// The number of buckets. Prefixes that fall into the same bucket share its allowance: memory is
/// fixed, and the mapping is different at every start.
const BUCKETS: usize = 4096;

/// A token bucket for every source prefix.
#[derive(Debug)]
pub struct PrefixLimiter {
    buckets: Vec<TokenBucket>,
    hasher: RandomState,
}

impl PrefixLimiter {
    /// Allows each prefix a burst of `burst` attempts and a sustained rate of `per_second`.
    pub fn new(burst: u32, per_second: u32, now_ms: u64) -> Self {
        let rate = Rate::per_second(per_second.into());
        Self {
            buckets: vec![TokenBucket::full(burst.into(), rate, now_ms); BUCKETS],
            hasher: RandomState::new(),
        }
    }

    /// Returns whether an attempt from `source` may be answered now, and counts it if so. Attempts
    /// from loopback addresses are not limited.
    pub fn allow(&mut self, source: IpAddr, now_ms: u64) -> bool {
        if source.is_loopback() {
            return true;
        }
        let place = self.hasher.hash_one(Prefix::of(source)) as usize % BUCKETS;
        let bucket = self.buckets.get_mut(place);
        bucket.is_some_and(|bucket| bucket.take(1, now_ms))
    }
}

#[cfg(test)]
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
    fn loopback_is_not_limited() {
        let mut limiter = PrefixLimiter::new(0, 0, 0);
        assert!(limiter.allow(ip("127.0.0.1"), 0));
        assert!(!limiter.allow(ip("203.0.113.1"), 0));
    }
}
