//! The letters that are in flight in a session: bounded by bytes, each sent once.

use m2_net::wire::mailbox::LetterId;
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
    under_way: HashMap<LetterId, usize>,
    bytes: usize,
    taken: HashSet<LetterId>,
    taken_before: HashSet<LetterId>,
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
    pub(super) fn offer(&mut self, id: LetterId, size: usize) -> Next {
        let seen = self.taken.contains(&id) || self.taken_before.contains(&id);
        if seen || self.under_way.contains_key(&id) {
            return Next::Skip;
        }
        // A single letter always fits.
        if !self.under_way.is_empty() && self.bytes + size > MAX_BYTES {
            return Next::Wait;
        }
        self.under_way.insert(id, size);
        self.bytes += size;
        Next::Send
    }

    /// Records that the owner has taken letters, and that they are deleted.
    pub(super) fn taken(&mut self, ids: &[LetterId]) {
        for id in ids {
            if let Some(size) = self.under_way.remove(id) {
                self.bytes -= size;
                self.taken.insert(*id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> LetterId {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&(number as u128).to_be_bytes());
        LetterId(bytes)
    }

    #[test]
    fn a_letter_is_sent_once_and_taken_letters_free_the_window() {
        let mut window = Window::default();
        window.begin_page();
        for number in 0..16 {
            assert_eq!(window.offer(id(number), 64 << 10), Next::Send);
        }
        assert_eq!(window.offer(id(3), 64 << 10), Next::Skip);
        assert_eq!(window.offer(id(16), 1 << 10), Next::Wait);
        // An id that is not in flight frees no room.
        window.taken(&[id(99)]);
        assert_eq!(window.offer(id(16), 1 << 10), Next::Wait);
        window.taken(&[id(3), id(3)]);
        assert_eq!(window.offer(id(16), 1 << 10), Next::Send);
        assert_eq!(window.offer(id(3), 64 << 10), Next::Skip);
    }

    #[test]
    fn remembered_letters_are_bounded_and_outlive_the_page() {
        let mut window = Window::default();
        for number in 0..10 * REMEMBERED {
            if number % 100 == 0 {
                window.begin_page();
            }
            assert_eq!(window.offer(id(number), 1 << 10), Next::Send);
            window.taken(&[id(number)]);
            assert!(number < 100 || window.offer(id(number - 100), 1 << 10) == Next::Skip);
        }
        assert!(window.taken.len() + window.taken_before.len() <= 2 * REMEMBERED + 200);
        assert_eq!(window.bytes, 0);
    }
}
