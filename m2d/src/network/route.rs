//! The known paths to a peer.

use super::Target;
use crate::config::IpMode;
use crate::store::ContactLine;

/// The paths to a peer (`docs/spec/line.md#which-relays-a-session-passes`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Determines which paths may be tried, and in which order. With [`IpMode::LineOnly`] there are
    /// no addresses, and the first hop must be one of this daemon's own relays.
    pub mode: IpMode,
    /// The peer's own addresses, proved or named by others, the most recent first.
    pub addresses: Vec<Target>,
    /// Lines on which the peer may be dialled, in its order. Their tokens are valid for one day
    /// each: use that of the day of the attempt.
    pub lines: Vec<ContactLine>,
    /// True if a session by one of the paths has just died, so that no path gets a long head start.
    pub one_died: bool,
}

/// The number of unproved addresses that each attempt after the first dials. All of them would
/// spend the contact's budget, and the last ones, and the lines, would never be tried.
const NAMED_AT_ONCE: usize = 4;

impl Route {
    /// Returns the paths of the attempt that follows this number of failures: the first attempt has
    /// all of them, each later one takes some of the unproved addresses in turn.
    pub(super) fn for_attempt(mut self, failures: u32) -> Self {
        let is_named = |target: &Target| matches!(target, Target::Named(..));
        let named = self
            .addresses
            .iter()
            .filter(|target| is_named(target))
            .count();
        if failures == 0 || named <= NAMED_AT_ONCE {
            return self;
        }
        let attempts = usize::try_from(failures - 1).unwrap_or(0);
        let first = attempts.wrapping_mul(NAMED_AT_ONCE) % named;
        let mut place = 0;
        self.addresses.retain(|target| {
            if !is_named(target) {
                return true;
            }
            let after_first = (place + named - first) % named;
            place += 1;
            after_first < NAMED_AT_ONCE
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_tried_in_turn() {
        let named = |number: u16| {
            let address = format!("11.0.0.1:{}", 5_000 + number).parse().unwrap();
            Target::named(address, IpMode::Direct)
        };
        let proved = Target::Proved(([11, 0, 0, 2], 5_000).into());
        let mut addresses: Vec<Target> = (0..7).map(named).collect();
        addresses.insert(3, proved);
        let route = Route {
            mode: IpMode::Direct,
            addresses: addresses.clone(),
            lines: Vec::new(),
            one_died: false,
        };
        let dialled = |failures| route.clone().for_attempt(failures).addresses;
        assert_eq!(dialled(0), addresses);
        let some = |numbers: [u16; 4], place| {
            let mut some = numbers.map(named).to_vec();
            some.insert(place, proved);
            some
        };
        assert_eq!(dialled(1), some([0, 1, 2, 3], 3));
        assert_eq!(dialled(2), some([0, 4, 5, 6], 1));
        assert_eq!(dialled(3), some([1, 2, 3, 4], 2));
        assert_eq!(dialled(u32::MAX).len(), NAMED_AT_ONCE + 1);
    }
}
