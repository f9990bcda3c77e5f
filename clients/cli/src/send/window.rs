//! The lines that were read and are not reported yet, in order. Bounds how many are in progress.

use std::collections::VecDeque;

use crate::failure::Failure;

/// The maximum number of lines in progress.
pub(super) const MAX_LINES: usize = 1_024;
/// The size of the lines in progress at which no further one is read, in bytes.
const MAX_BYTES: usize = 2 * 1024 * 1024;

/// The lines in progress. The daemon answers in the order of the lines.
#[derive(Debug)]
pub(super) struct Window {
    most: usize,
    lines: VecDeque<InProgress>,
    /// The size of the lines that wait for an answer.
    bytes: usize,
    /// The number of lines that wait for an answer.
    waiting: usize,
}

#[derive(Debug)]
enum InProgress {
    /// Passed to the daemon.
    Sent { line: u64, size: usize },
    /// Refused by the command itself.
    Refused { line: u64, failure: Failure },
}

impl Window {
    /// Returns a window for many lines, or for one line at a time.
    pub(super) fn new(one_by_one: bool) -> Self {
        Self {
            most: if one_by_one { 1 } else { MAX_LINES },
            lines: VecDeque::new(),
            bytes: 0,
            waiting: 0,
        }
    }

    /// Returns whether a further line may be read.
    pub(super) fn has_room(&self) -> bool {
        self.lines.len() < self.most && self.bytes < MAX_BYTES
    }

    /// Returns whether no line is in progress.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Returns whether a line waits for an answer of the daemon.
    pub(super) fn waits(&self) -> bool {
        self.waiting > 0
    }

    /// Adds a line that was passed to the daemon.
    pub(super) fn sent(&mut self, line: u64, size: usize) {
        self.bytes = self.bytes.saturating_add(size);
        self.waiting += 1;
        self.lines.push_back(InProgress::Sent { line, size });
    }

    /// Adds a line that is not passed to the daemon.
    pub(super) fn refused(&mut self, line: u64, failure: Failure) {
        self.lines.push_back(InProgress::Refused { line, failure });
    }

    /// Removes the first line if it was refused, because all lines before it are reported.
    pub(super) fn pop_refused(&mut self) -> Option<(u64, Failure)> {
        match self.lines.pop_front()? {
            InProgress::Refused { line, failure } => Some((line, failure)),
            sent @ InProgress::Sent { .. } => {
                self.lines.push_front(sent);
                None
            }
        }
    }

    /// Removes the first line, to which the next answer of the daemon belongs. Call
    /// [`pop_refused`](Self::pop_refused) before, until it returns `None`.
    pub(super) fn answered(&mut self) -> Option<u64> {
        match self.lines.pop_front()? {
            InProgress::Sent { line, size } => {
                self.bytes = self.bytes.saturating_sub(size);
                self.waiting = self.waiting.saturating_sub(1);
                Some(line)
            }
            InProgress::Refused { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Failure {
        Failure::Local("no".to_owned())
    }

    #[test]
    fn lines_are_reported_in_order() {
        let mut window = Window::new(false);
        window.refused(1, refusal());
        window.sent(2, 10);
        window.refused(3, refusal());
        window.sent(5, 10);
        assert_eq!(window.pop_refused().unwrap().0, 1);
        assert!(window.pop_refused().is_none());
        assert_eq!(window.answered(), Some(2));
        assert_eq!(window.pop_refused().unwrap().0, 3);
        assert!(window.waits());
        assert_eq!(window.answered(), Some(5));
        assert!(window.is_empty() && !window.waits());
        assert_eq!((window.bytes, window.answered()), (0, None));
    }

    #[test]
    fn lines_and_bytes_are_bounded() {
        let mut window = Window::new(false);
        let mut lines = 0;
        while window.has_room() {
            lines += 1;
            window.sent(lines, 1);
        }
        assert_eq!(lines, MAX_LINES as u64);
        window.answered();
        assert!(window.has_room());
        let mut window = Window::new(false);
        window.sent(1, MAX_BYTES);
        assert!(!window.has_room());
        let mut window = Window::new(true);
        window.sent(1, 1);
        assert!(!window.has_room());
    }
}
