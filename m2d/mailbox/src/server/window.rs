//! The letters that are in flight in a session: bounded by bytes, each sent once.

use m2_crypto::deposit::DepositNonce;
use std::collections::{HashMap, HashSet};
use std::mem;

/// The maximum bytes of letters that were sent and not yet confirmed as taken.
const MAX_BYTES: usize = 1 << 20;
/// The number of recently taken letters that are remembered, because a page read before they were
/// deleted may still contain them.
const REMEMBERED: usize = 4_096;

/// The letters in flight of one session.
#[derive(Debug, Default)]
pub(super) struct Window {
    under_way: HashMap<DepositNonce, usize>,
    bytes: usize,
    taken: HashSet<DepositNonce>,
    taken_before: HashSet<DepositNonce>,
}

/// The decision about a letter of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Send it: it now counts as in flight.
    Send,
    /// Skip it: it was already sent in this session.
    Skip,
    /// Wait until the window has room for it.
    Wait,
}

impl Window {
    /// Must be called before a page is read. That page can't contain letters that were deleted
    /// before.
    pub(super) fn begin_page(&mut self) {
        if self.taken.len() >= REMEMBERED {
            self.taken_before = mem::take(&mut self.taken);
        }
    }

    /// Returns the decision about a letter of the current page.
    pub(super) fn offer(&mut self, nonce: DepositNonce, size: usize) -> Next {
        let seen = self.taken.contains(&nonce) || self.taken_before.contains(&nonce);
        if seen || self.under_way.contains_key(&nonce) {
            return Next::Skip;
        }
        // A single letter always fits.
        if !self.under_way.is_empty() && self.bytes + size > MAX_BYTES {
            return Next::Wait;
        }
        self.under_way.insert(nonce, size);
        self.bytes += size;
        Next::Send
    }

    /// Records that the owner has taken letters, and that they are deleted.
    pub(super) fn taken(&mut self, nonces: &[DepositNonce]) {
        for nonce in nonces {
            if let Some(size) = self.under_way.remove(nonce) {
                self.bytes -= size;
                self.taken.insert(*nonce);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonce(number: usize) -> DepositNonce {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&(number as u128).to_be_bytes());
        DepositNonce::from_bytes(bytes)
    }

    #[test]
    fn a_letter_is_sent_once_and_taken_letters_free_the_window() {
        let mut window = Window::default();
        window.begin_page();
        for number in 0..16 {
            assert_eq!(window.offer(nonce(number), 64 << 10), Next::Send);
        }
        assert_eq!(window.offer(nonce(3), 64 << 10), Next::Skip);
        assert_eq!(window.offer(nonce(16), 1 << 10), Next::Wait);
        // A nonce that is not in flight frees no room.
        window.taken(&[nonce(99)]);
        assert_eq!(window.offer(nonce(16), 1 << 10), Next::Wait);
        window.taken(&[nonce(3), nonce(3)]);
        assert_eq!(window.offer(nonce(16), 1 << 10), Next::Send);
        assert_eq!(window.offer(nonce(3), 64 << 10), Next::Skip);
    }

    #[test]
    fn remembered_letters_are_bounded_and_outlive_the_page() {
        let mut window = Window::default();
        for number in 0..10 * REMEMBERED {
            if number % 100 == 0 {
                window.begin_page();
            }
            assert_eq!(window.offer(nonce(number), 1 << 10), Next::Send);
            window.taken(&[nonce(number)]);
            assert!(number < 100 || window.offer(nonce(number - 100), 1 << 10) == Next::Skip);
        }
        assert!(window.taken.len() + window.taken_before.len() <= 2 * REMEMBERED + 200);
        assert_eq!(window.bytes, 0);
    }
}
