//! Limits the work that a peer can make this side waste on envelopes that do not open.

use super::id::Time;
use super::limits::Limits;

/// A token bucket of key derivations. It belongs to the conversation, not to a session, so a peer
/// cannot refill it by opening a new session.
#[derive(Debug)]
pub(super) struct WastedWork {
    /// The used part of the allowance, in thousandths of a derivation.
    used: u64,
    at: Time,
}

impl WastedWork {
    /// Returns a full allowance.
    pub(super) const fn new() -> Self {
        Self {
            used: 0,
            at: Time(0),
        }
    }

    /// Returns whether `derivations` more may be wasted.
    pub(super) fn affords(&mut self, now: Time, limits: &Limits, derivations: u32) -> bool {
        let gained = now
            .since(self.at)
            .saturating_mul(u64::from(limits.wasted_per_second));
        self.used = self.used.saturating_sub(gained);
        self.at = now;
        let wanted = self.used.saturating_add(u64::from(derivations) * 1_000);
        wanted <= u64::from(limits.wasted_burst) * 1_000
    }

    /// Charges wasted derivations to the allowance.
    pub(super) const fn charge(&mut self, derivations: u32) {
        self.used = self.used.saturating_add(derivations as u64 * 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_used_up_and_comes_back_with_time() {
        let limits = Limits {
            wasted_burst: 100,
            wasted_per_second: 10,
            ..Limits::default()
        };
        let mut work = WastedWork::new();
        let start = Time(1_000_000);
        assert!(work.affords(start, &limits, 100));
        assert!(!work.affords(start, &limits, 101));
        work.charge(100);
        assert!(!work.affords(start, &limits, 1));
        assert!(!work.affords(start.plus(99), &limits, 1));
        assert!(work.affords(start.plus(100), &limits, 1));
        assert!(!work.affords(start.plus(100), &limits, 2));
        // A clock that goes backwards refills nothing.
        assert!(!work.affords(start, &limits, 2));
        assert!(work.affords(start.plus(60_000), &limits, 100));
        assert!(!work.affords(start.plus(60_000), &limits, 101));
    }
}
