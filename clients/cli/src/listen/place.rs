//! The position of a named front-end in the event log.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long the reader must still be running after it has taken an event: a reader that takes more
/// than it uses, such as `head`, exits within this time.
const GRACE: Duration = Duration::from_secs(1);

/// The printed events that are not acknowledged yet, in order.
#[derive(Debug, Default)]
pub(super) struct Place {
    printed: VecDeque<Printed>,
}

#[derive(Debug)]
struct Printed {
    cursor: String,
    /// The length of the output in bytes up to the end of the event.
    end: u64,
    /// The time at which the reader was first seen to have taken the event.
    taken: Option<Instant>,
}

impl Place {
    /// Records a printed event, after which the output is `end` bytes long.
    pub(super) fn printed(&mut self, cursor: String, end: u64) {
        let taken = None;
        self.printed.push_back(Printed { cursor, end, taken });
    }

    /// Returns the number of events that wait for acknowledgement.
    pub(super) fn len(&self) -> usize {
        self.printed.len()
    }

    /// Returns the last event that counts as read at `now`, and removes it and the events before
    /// it. `taken` is the number of bytes that the reader has taken. If `lasting` is false, the
    /// reader must also have kept running for the grace period.
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

    /// Returns the last event and removes all, because the front-end ends normally.
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
    fn events_in_a_file_count_as_read() {
        let mut place = place();
        let read = place.read(30, true, Instant::now());
        assert_eq!((read.as_deref(), place.len()), (Some("c"), 0));
    }

    #[test]
    fn a_program_has_read_events_if_it_keeps_running_after_taking_them() {
        let (mut place, start) = (place(), Instant::now());
        assert_eq!(place.read(25, false, start), None);
        assert_eq!(place.read(30, false, start + GRACE / 2), None);
        let read = place.read(30, false, start + GRACE);
        assert_eq!(read.as_deref(), Some("b"));
        let read = place.read(30, false, start + GRACE * 3 / 2);
        assert_eq!((read.as_deref(), place.len()), (Some("c"), 0));
    }

    #[test]
    fn events_in_the_pipe_do_not_count_as_read() {
        let (mut place, start) = (place(), Instant::now());
        for second in 0..100 {
            assert_eq!(place.read(9, false, start + GRACE * second), None);
        }
        assert_eq!(place.all().as_deref(), Some("c"));
    }
}
