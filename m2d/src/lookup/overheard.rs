//! Unrecognised announcements in the local network. They are kept, as the contact may become known,
//! or the clock be corrected, only a moment later. Sans-IO.

use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_discovery::lan::Seen;
use m2_engine::Near;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// The most kept announcements. The oldest is evicted first.
const MAX_KEPT: usize = 64;
/// Announcements read again after the clock was set: each costs some MACs for each contact.
const MAX_REREAD: usize = 8;
/// How long an announcement is kept: as long as it can be recognised.
const KEPT: Duration = Duration::from_secs(2 * 3_600);

/// A recognised peer and its addresses.
pub(super) type Recognised = (PeerId, Vec<NamedAddress>);

/// The kept announcements.
#[derive(Default)]
pub(super) struct Overheard {
    kept: VecDeque<(Instant, Seen)>,
    /// The peers for which all kept announcements were read.
    tried: HashSet<PeerId>,
}

impl Overheard {
    /// Reads a new announcement, and keeps it if it is not from a peer in `near`.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        seen: Seen,
        near: &[Near],
        hour: u32,
    ) -> Option<Recognised> {
        let secrets = near.iter().map(|one| (one.peer, &one.secret));
        if let Some(peer) = seen.announcement.find(secrets, hour) {
            return Some((peer, seen.addresses));
        }
        if self.kept.len() >= MAX_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((now, seen));
        None
    }

    /// Reads the kept announcements for those peers of `near` that are new.
    pub(super) fn recall(&mut self, now: Instant, near: &[Near], hour: u32) -> Vec<Recognised> {
        self.kept
            .retain(|(heard, _)| now.duration_since(*heard) < KEPT);
        let tried = std::mem::take(&mut self.tried);
        let new: Vec<&Near> = near
            .iter()
            .filter(|one| !tried.contains(&one.peer))
            .collect();
        self.tried = near.iter().map(|one| one.peer).collect();
        if new.is_empty() {
            return Vec::new();
        }
        let mut recognised = Vec::new();
        self.kept.retain(|(_, seen)| {
            let secrets = new.iter().map(|one| (one.peer, &one.secret));
            let peer = seen.announcement.find(secrets, hour);
            recognised.extend(peer.map(|peer| (peer, seen.addresses.clone())));
            peer.is_none()
        });
        recognised
    }

    /// Prepares for reading the newest announcements again for all peers, after the clock was set.
    pub(super) fn forget_tried(&mut self) {
        self.tried.clear();
        while self.kept.len() > MAX_REREAD {
            self.kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::Secret;
    use m2_crypto::presence::{Announcement, PresenceSecret};
    use rand_core::UnwrapErr;

    const HOUR: u32 = 500_000;

    fn near(number: u8) -> Near {
        Near {
            peer: PeerId::from_bytes([number; 32]),
            secret: PresenceSecret::new(Secret::new([number; 32])),
        }
    }

    fn seen(number: u8, hour: u32) -> Seen {
        let mut rng = UnwrapErr(getrandom::SysRng);
        Seen {
            addresses: vec![NamedAddress::new(([192, 168, 1, number], 4_433).into())],
            announcement: Announcement::make(&mut rng, hour, &[&near(number).secret]),
        }
    }

    fn recognised(number: u8) -> Recognised {
        (near(number).peer, seen(number, HOUR).addresses)
    }

    #[test]
    fn a_peer_that_becomes_a_contact_later_is_recognised_once() {
        let (mut overheard, now) = (Overheard::default(), Instant::now());
        assert_eq!(
            overheard.hear(now, seen(1, HOUR), &[near(1)], HOUR),
            Some(recognised(1))
        );
        assert_eq!(overheard.hear(now, seen(2, HOUR), &[near(1)], HOUR), None);
        assert_eq!(overheard.recall(now, &[near(1)], HOUR), []);
        let both = [near(1), near(2)];
        assert_eq!(overheard.recall(now, &both, HOUR), [recognised(2)]);
        assert_eq!(overheard.recall(now, &both, HOUR), []);
        assert!(overheard.kept.is_empty());
    }

    #[test]
    fn announcements_heard_under_a_wrong_clock_are_read_again() {
        let (mut overheard, now) = (Overheard::default(), Instant::now());
        let wrong = HOUR + 72;
        assert_eq!(overheard.hear(now, seen(1, HOUR), &[near(1)], wrong), None);
        assert_eq!(overheard.recall(now, &[near(1)], wrong), []);
        assert_eq!(overheard.recall(now, &[near(1)], HOUR), [], "it was read");
        overheard.forget_tried();
        assert_eq!(overheard.recall(now, &[near(1)], HOUR), [recognised(1)]);
    }

    #[test]
    fn kept_announcements_are_bounded_in_number_and_time() {
        let (mut overheard, now) = (Overheard::default(), Instant::now());
        for _ in 0..1_000 {
            overheard.hear(now, seen(2, HOUR), &[], HOUR);
        }
        assert_eq!(overheard.kept.len(), MAX_KEPT);
        overheard.recall(now + KEPT, &[], HOUR);
        assert!(overheard.kept.is_empty());
    }
}
