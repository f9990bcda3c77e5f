//! Limits the traffic that a contact can make this daemon send to unproved addresses
//! (`docs/spec/reach.md#addresses-that-others-name`).

use m2_crypto::PeerId;
use m2_limits::token_bucket::{Rate, TokenBucket};
use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Datagrams and bytes for each contact, and the time in which an empty budget fills up.
const DATAGRAMS: u64 = 128;
const BYTES: u64 = 128 << 10;
const REFILL: Duration = Duration::from_secs(60);
/// The worst case of a dial: a Hello, its retransmissions after 1, 3 and 7 seconds, two packets each,
/// and the last packet.
const DIAL_DATAGRAMS: u64 = 9;
const DIAL_BYTES: u64 = DIAL_DATAGRAMS * 1_350;
/// The last packet of a dial is sent after the dial has ended.
const LAST_DATAGRAMS: u64 = 1;
const LAST_BYTES: u64 = 1_350;
/// The most remembered addresses that proved a peer id.
const MAX_PROVED: usize = 4_096;
/// Number of contacts above which those with full budgets are evicted.
const MAX_IDLE: usize = 64;

/// The remaining budget of a contact at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The contact.
    pub contact: PeerId,
    /// The number of datagrams that remain.
    pub datagrams: u64,
    /// The number of bytes that remain.
    pub bytes: u64,
    /// The moment, in milliseconds of the clock of its reader.
    pub at_ms: u64,
}

/// The budgets of all contacts. Times are of the steady clock, in milliseconds.
#[derive(Debug, Default)]
pub struct Budgets {
    contacts: HashMap<PeerId, Buckets>,
    proved: HashSet<(PeerId, SocketAddr)>,
    /// The proved addresses, the oldest first.
    oldest: VecDeque<(PeerId, SocketAddr)>,
}

#[derive(Debug, Clone, Copy)]
struct Buckets {
    datagrams: TokenBucket,
    bytes: TokenBucket,
}

impl Budgets {
    /// Returns the budgets as they were stored. `wall_ms` is the current time of the clock that the stored rows use.
    pub fn new(stored: &[Level], wall_ms: u64, now_ms: u64) -> Self {
        let contacts = stored.iter().map(|row| {
            let passed_ms = wall_ms.saturating_sub(row.at_ms);
            (row.contact, Buckets::of(row, passed_ms, now_ms))
        });
        Self {
            contacts: contacts.collect(),
            ..Self::default()
        }
    }

    /// Returns whether a peer proved its id at an address.
    pub fn is_proved(&self, peer: &PeerId, address: SocketAddr) -> bool {
        self.proved.contains(&(*peer, address))
    }

    /// Records that a peer proved its id at an address.
    pub fn note_proved(&mut self, peer: PeerId, address: SocketAddr) {
        if !self.proved.insert((peer, address)) {
            return;
        }
        self.oldest.push_back((peer, address));
        if self.oldest.len() > MAX_PROVED
            && let Some(oldest) = self.oldest.pop_front()
        {
            self.proved.remove(&oldest);
        }
    }

    /// Charges the worst case of a number of dials. Returns false if less than that is left.
    pub fn take_dials(&mut self, contact: PeerId, dials: u64, now_ms: u64) -> bool {
        let datagrams = dials.saturating_mul(DIAL_DATAGRAMS);
        let bytes = dials.saturating_mul(DIAL_BYTES);
        dials == 0 || self.take(contact, datagrams, bytes, now_ms)
    }

    /// Charges datagrams and bytes. Returns false if less than that is left.
    pub fn take(&mut self, contact: PeerId, datagrams: u64, bytes: u64, now_ms: u64) -> bool {
        if self.contacts.len() > MAX_IDLE {
            self.contacts.retain(|_, buckets| !buckets.are_full(now_ms));
        }
        let buckets = self
            .contacts
            .entry(contact)
            .or_insert_with(|| Buckets::full(now_ms));
        buckets.take(datagrams, bytes, now_ms)
    }

    /// Refunds the datagrams that dials did not send, or charges those above the worst case.
    pub fn settle(
        &mut self,
        contact: PeerId,
        dials: u64,
        (datagrams, bytes): (u64, u64),
        now_ms: u64,
    ) {
        let Some(buckets) = self.contacts.get_mut(&contact) else {
            return;
        };
        let last = dials.min(datagrams);
        let used = datagrams + last * LAST_DATAGRAMS;
        balance(&mut buckets.datagrams, dials * DIAL_DATAGRAMS, used, now_ms);
        let used = bytes + last * LAST_BYTES;
        balance(&mut buckets.bytes, dials * DIAL_BYTES, used, now_ms);
    }

    /// Returns what is left of a contact's budget; `None` if it is full.
    pub fn level(&mut self, contact: PeerId, now_ms: u64) -> Option<Level> {
        let buckets = self.contacts.get_mut(&contact)?;
        Some(Level {
            contact,
            datagrams: buckets.datagrams.level(now_ms),
            bytes: buckets.bytes.level(now_ms),
            at_ms: now_ms,
        })
    }
}

fn balance(bucket: &mut TokenBucket, charged: u64, used: u64, now_ms: u64) {
    match charged.checked_sub(used) {
        Some(unused) => bucket.give_back(unused),
        None => bucket.take_up_to(used - charged, now_ms),
    }
}

impl Buckets {
    fn full(now_ms: u64) -> Self {
        Self {
            datagrams: TokenBucket::full(DATAGRAMS, Rate::new(DATAGRAMS, REFILL), now_ms),
            bytes: TokenBucket::full(BYTES, Rate::new(BYTES, REFILL), now_ms),
        }
    }

    /// Restores a row that was stored `passed_ms` ago.
    fn of(row: &Level, passed_ms: u64, now_ms: u64) -> Self {
        let bucket = |burst, level| {
            let rate = Rate::new(burst, REFILL);
            let level = TokenBucket::with_level(burst, rate, level, 0).level(passed_ms);
            TokenBucket::with_level(burst, rate, level, now_ms)
        };
        Self {
            datagrams: bucket(DATAGRAMS, row.datagrams),
            bytes: bucket(BYTES, row.bytes),
        }
    }

    fn take(&mut self, datagrams: u64, bytes: u64, now_ms: u64) -> bool {
        if !self.datagrams.take(datagrams, now_ms) {
            return false;
        }
        let taken = self.bytes.take(bytes, now_ms);
        if !taken {
            self.datagrams.give_back(datagrams);
        }
        taken
    }

    fn are_full(&mut self, now_ms: u64) -> bool {
        self.datagrams.is_full(now_ms) && self.bytes.is_full(now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    fn peer(byte: u8) -> PeerId {
        PeerId::from_bytes([byte; 32])
    }

    fn dials(budgets: &mut Budgets, contact: u8, now_ms: u64) -> u64 {
        let mut dials = 0;
        while budgets.take_dials(peer(contact), 1, now_ms) {
            dials += 1;
        }
        dials
    }

    #[test]
    fn dials_of_a_contact_are_limited_per_minute() {
        let mut budgets = Budgets::default();
        let all = BYTES / DIAL_BYTES;
        assert_eq!(
            dials(&mut budgets, 1, 0),
            all,
            "a meeting of 8 candidates fits"
        );
        assert!(all >= 8);
        assert_eq!(dials(&mut budgets, 2, 0), all, "each contact has its own");
        let left = BYTES - all * DIAL_BYTES;
        let after_half = (left + BYTES / 2) / DIAL_BYTES;
        assert_eq!(dials(&mut budgets, 1, MINUTE_MS / 2), after_half);
        assert_eq!(dials(&mut budgets, 1, 10 * MINUTE_MS), all);
    }

    #[test]
    fn a_dial_is_refunded_for_datagrams_it_did_not_send() {
        let mut budgets = Budgets::default();
        let contact = peer(1);
        assert!(budgets.take_dials(contact, 2, 0));
        budgets.settle(contact, 2, (0, 0), 0);
        let row = budgets.level(contact, 0).unwrap();
        assert_eq!(
            (row.datagrams, row.bytes),
            (DATAGRAMS, BYTES),
            "nothing was sent"
        );
        assert!(budgets.take_dials(contact, 1, 0));
        budgets.settle(contact, 1, (3, 3_600), 0);
        let row = budgets.level(contact, 0).unwrap();
        let left = (DATAGRAMS - 3 - LAST_DATAGRAMS, BYTES - 3_600 - LAST_BYTES);
        assert_eq!((row.datagrams, row.bytes), left);
        assert!(budgets.take_dials(contact, 1, 0));
        budgets.settle(contact, 1, (100, 2_000), 0);
        let row = budgets.level(contact, 0).unwrap();
        assert_eq!(row.datagrams, left.0 - 101, "and is charged for the excess");
    }

    #[test]
    fn a_restart_does_not_refill_a_budget() {
        let mut budgets = Budgets::default();
        while budgets.take_dials(peer(1), 1, 1_000) {
            let row = budgets.level(peer(1), 1_000).unwrap();
            budgets = Budgets::new(&[row], 1_000, 1_000);
        }
        assert_eq!(dials(&mut budgets, 1, 1_000), 0);
        let all = BYTES / DIAL_BYTES;
        assert_eq!(dials(&mut budgets, 1, 1_000 + MINUTE_MS), all);

        // The steady clock restarts at zero, and the wall clock may have been set back.
        let row = budgets.level(peer(1), MINUTE_MS).unwrap();
        let mut back = Budgets::new(&[row], 0, 7);
        assert_eq!(dials(&mut back, 1, 7), 0);
        let mut later = Budgets::new(&[row], 2 * MINUTE_MS, 7);
        assert_eq!(dials(&mut later, 1, 7), all);
    }

    #[test]
    fn datagrams_and_dials_share_one_budget() {
        let mut budgets = Budgets::default();
        let sent = (0..1_000)
            .filter(|_| budgets.take(peer(1), 1, 100, 0))
            .count();
        assert_eq!(sent as u64, DATAGRAMS);
        assert_eq!(dials(&mut budgets, 1, 0), 0);
    }

    #[test]
    fn proved_addresses_are_remembered_up_to_a_bound() {
        let mut budgets = Budgets::default();
        let address = |number: usize| SocketAddr::from(([11, 0, 0, 1], number as u16));
        for number in 0..=MAX_PROVED {
            budgets.note_proved(peer(1), address(number));
        }
        assert!(!budgets.is_proved(&peer(1), address(0)));
        assert!(budgets.is_proved(&peer(1), address(1)));
        assert!(
            !budgets.is_proved(&peer(2), address(1)),
            "another peer did not"
        );
        assert_eq!(budgets.proved.len(), MAX_PROVED);
    }

    #[test]
    fn contacts_with_full_budgets_are_evicted() {
        let mut budgets = Budgets::default();
        for number in 0..=255 {
            budgets.take(peer(number), 1, 1, 0);
        }
        budgets.take(peer(0), 1, 1, MINUTE_MS);
        assert_eq!(budgets.contacts.len(), 1);
    }
}
