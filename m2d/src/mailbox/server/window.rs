//! Which letters a session has out: bounded by their bytes, each sent once.

use m2_net::wire::mailbox::LetterId;
use std::collections::{HashMap, HashSet};
use std::mem;

/// Bytes of letters that were sent and not yet taken.
const MAX_BYTES: usize = 1 << 20;
/// Letters that were taken lately: a page that was read before they were deleted may still hold
/// them.
const REMEMBERED: usize = 4_096;

/// A session's letters under way.
#[derive(Debug, Default)]
pub(super) struct Window {
    under_way: HashMap<LetterId, usize>,
    bytes: usize,
    taken: HashSet<LetterId>,
    taken_before: HashSet<LetterId>,
}

/// What to do with a letter of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Send it: it counts as under way now.
    Send,
    /// It was sent in this session.
    Skip,
    /// There is no room for it yet.
    Wait,
}

impl Window {
    /// Another page is about to be read. It can't hold what was deleted before.
    pub(super) fn begin_page(&mut self) {
        if self.taken.len() >= REMEMBERED {
            self.taken_before = mem::take(&mut self.taken);
        }
    }

    /// What to do with a letter of that page.
    pub(super) fn offer(&mut self, id: LetterId, size: usize) -> Next {
        let seen = self.taken.contains(&id) || self.taken_before.contains(&id);
        if seen || self.under_way.contains_key(&id) {
            return Next::Skip;
        }
        // The first always fits.
        if !self.under_way.is_empty() && self.bytes + size > MAX_BYTES {
            return Next::Wait;
        }
        self.under_way.insert(id, size);
        self.bytes += size;
        Next::Send
    }

    /// The owner has these, and they are deleted.
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
    fn a_letter_is_sent_once_and_room_comes_back() {
        let mut window = Window::default();
        window.begin_page();
        for number in 0..16 {
            assert_eq!(window.offer(id(number), 64 << 10), Next::Send);
        }
        assert_eq!(window.offer(id(3), 64 << 10), Next::Skip);
        assert_eq!(window.offer(id(16), 1 << 10), Next::Wait);
        // An id that is not under way makes no room.
        window.taken(&[id(99)]);
        assert_eq!(window.offer(id(16), 1 << 10), Next::Wait);
        window.taken(&[id(3), id(3)]);
        assert_eq!(window.offer(id(16), 1 << 10), Next::Send);
        assert_eq!(window.offer(id(3), 64 << 10), Next::Skip);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_outlives_the_page() {
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
