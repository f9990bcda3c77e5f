//! A rate limit for contacts' requests for a direct path.

use m2_crypto::PeerId;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// The least time between two requests of one contact, whatever sessions it has.
const PAUSE: Duration = Duration::from_secs(5);

/// The time of each contact's last request. Entries older than the pause are dropped.
#[derive(Debug, Default)]
pub(super) struct Asked(HashMap<PeerId, Instant>);

impl Asked {
    /// Returns whether a contact may ask now, and records the request if so.
    pub(super) fn may_ask(&mut self, contact: &PeerId, now: Instant) -> bool {
        self.0.retain(|_, last| now.duration_since(*last) < PAUSE);
        if self.0.contains_key(contact) {
            return false;
        }
        self.0.insert(*contact, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_contact_may_ask_after_a_pause() {
        let (mut asked, start) = (Asked::default(), Instant::now());
        let [one, other] = [1, 2].map(|byte| PeerId::from_bytes([byte; 32]));
        assert!(asked.may_ask(&one, start));
        for second in 0..5 {
            let now = start + Duration::from_secs(second);
            assert!(!asked.may_ask(&one, now), "in whatever session");
        }
        assert!(asked.may_ask(&other, start), "another contact may");
        assert!(asked.may_ask(&one, start + PAUSE));
        asked.may_ask(&one, start + 3 * PAUSE);
        assert_eq!(asked.0.len(), 1, "the other is forgotten");
    }
}
