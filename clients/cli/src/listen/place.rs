//! How far a named front-end has got.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long after the reader has taken an event it must still be there: one that takes more than
/// it wants, as `head` does, ends within that time.
const GRACE: Duration = Duration::from_secs(1);

/// Events that were printed and are not acknowledged yet, in order.
#[derive(Debug, Default)]
pub(super) struct Place {
    printed: VecDeque<Printed>,
}

#[derive(Debug)]
struct Printed {
    cursor: String,
    /// Bytes of the output up to the event's end.
    end: u64,
    /// When the reader was first seen to have taken it.
    taken: Option<Instant>,
}

impl Place {
    /// An event was printed, with which the output is `end` bytes long.
    pub(super) fn printed(&mut self, cursor: String, end: u64) {
        let taken = None;
        self.printed.push_back(Printed { cursor, end, taken });
    }

    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.printed.len()
    }

    /// The last event that counts as read at `now`, when the reader has taken `taken` bytes and
    /// keeps what it has, or is still there. It and those before it wait no more.
    pub(super) fn read(&mut self, taken: u64, lasting: bool, now: Instant) -> Option<String> {
        for event in &mut self.printed {
            if event.end <= taken && event.taken.is_none() {
                event.taken = Some(now);
            }
        }
        let grace = if lasting { Duration::ZERO } else { GRACE };
        let is_read = |event: &Printed| {
            let taken = event.taken;
            taken.is_some_and(|taken| now.saturating_duration_since(taken) >= grace)
        };
        let count = self
            .printed
            .iter()
            .take_while(|event| is_read(event))
            .count();
        self.printed
            .drain(..count)
            .next_back()
            .map(|event| event.cursor)
    }

    /// The last event of all: the front-end ends in order.
    pub(super) fn all(&mut self) -> Option<String> {
        self.printed.drain(..).next_back().map(|event| event.cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        let mut place = Place::default();
        for (cursor, end) in [("a", 10), ("b", 20), ("c", 30)] {
            place.printed(cursor.to_owned(), end);
        }
        place
    }

    #[test]
    fn what_is_in_a_file_is_read() {
        let mut place = place();
        let read = place.read(30, true, Instant::now());
        assert_eq!((read.as_deref(), place.len()), (Some("c"), 0));
    }

    #[test]
    fn a_program_has_read_what_it_took_and_outlived() {
        let (mut place, start) = (place(), Instant::now());
        assert_eq!(place.read(25, false, start), None);
        assert_eq!(place.read(30, false, start + GRACE / 2), None);
        let read = place.read(30, false, start + GRACE);
        assert_eq!(read.as_deref(), Some("b"));
        let read = place.read(30, false, start + GRACE * 3 / 2);
        assert_eq!((read.as_deref(), place.len()), (Some("c"), 0));
    }

    #[test]
    fn what_waits_in_the_pipe_is_not_read() {
        let (mut place, start) = (place(), Instant::now());
        for second in 0..100 {
            assert_eq!(place.read(9, false, start + GRACE * second), None);
        }
        assert_eq!(place.all().as_deref(), Some("c"));
    }
}
