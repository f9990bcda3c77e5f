//! Selects the newest valid answer of a DHT query.

use futures_util::{Stream, StreamExt as _};
use m2_crypto::presence::RECORD_BYTES;
use mainline::MutableItem;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The largest number of answers examined. A query asks some 20 to 40 nodes; hostile ones can make
/// it ask more.
const MAX_ANSWERS: usize = 64;

/// The time limits for answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// After the first valid answer.
    pub(super) grace: Duration,
    /// For the whole query.
    pub(super) until: Instant,
}

/// An answer of a node whose signature was verified.
pub(super) trait Answer {
    fn sequence(&self) -> i64;
    fn value(&self) -> &[u8];
}

impl Answer for MutableItem {
    fn sequence(&self) -> i64 {
        self.seq()
    }

    fn value(&self) -> &[u8] {
        Self::value(self)
    }
}

/// Returns the answer with the highest sequence number that `read` accepts.
pub(super) async fn newest<A: Answer, T>(
    answers: impl Stream<Item = A>,
    limits: Limits,
    mut read: impl FnMut(u64, &[u8; RECORD_BYTES]) -> Option<T>,
) -> Option<(u64, T)> {
    let mut answers = pin!(answers.take(MAX_ANSWERS));
    let mut until = limits.until;
    let mut best: Option<(u64, T)> = None;
    while let Ok(Some(answer)) = timeout_at(until, answers.next()).await {
        let Some((sequence, value)) = parse(&answer) else {
            continue;
        };
        if best.as_ref().is_some_and(|(newest, _)| sequence <= *newest) {
            continue;
        }
        if let Some(read) = read(sequence, value) {
            if best.is_none() {
                until = until.min(Instant::now() + limits.grace);
            }
            best = Some((sequence, read));
        }
    }
    best
}

fn parse(answer: &impl Answer) -> Option<(u64, &[u8; RECORD_BYTES])> {
    let sequence = u64::try_from(answer.sequence()).ok()?;
    Some((sequence, answer.value().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream::{iter, pending};

    impl Answer for (i64, Vec<u8>) {
        fn sequence(&self) -> i64 {
            self.0
        }

        fn value(&self) -> &[u8] {
            &self.1
        }
    }

    fn answer(sequence: i64, first: u8) -> (i64, Vec<u8>) {
        let mut value = vec![0; RECORD_BYTES];
        if let Some(byte) = value.first_mut() {
            *byte = first;
        }
        (sequence, value)
    }

    fn limits() -> Limits {
        Limits {
            grace: Duration::from_secs(60),
            until: Instant::now() + Duration::from_secs(60),
        }
    }

    /// Accepts values whose first byte is not 0.
    fn read(_: u64, value: &[u8; RECORD_BYTES]) -> Option<u8> {
        value.first().copied().filter(|byte| *byte != 0)
    }

    #[tokio::test]
    async fn replays_and_garbage_do_not_count() {
        let answers = [
            answer(3, 3),
            answer(9, 0),
            (20, vec![1; RECORD_BYTES - 1]),
            (21, vec![1; RECORD_BYTES + 1]),
            (22, Vec::new()),
            answer(-1, 1),
            answer(5, 5),
            answer(4, 4),
            answer(5, 6),
        ];
        assert_eq!(newest(iter(answers), limits(), read).await, Some((5, 5)));
    }

    #[tokio::test]
    async fn garbage_alone_yields_no_answer() {
        let answers = (0..1_000).map(|number| answer(number, 0));
        assert_eq!(newest(iter(answers), limits(), read).await, None);
    }

    #[tokio::test]
    async fn the_number_of_examined_answers_is_bounded() {
        let answers = (0..1_000).map(|number| answer(number, 1));
        let mut reads = 0;
        let found = newest(iter(answers), limits(), |_, _| {
            reads += 1;
            Some(())
        });
        assert_eq!(found.await, Some((63, ())));
        assert_eq!(reads, MAX_ANSWERS);
    }

    #[tokio::test]
    async fn a_newer_one_is_waited_for_but_not_for_long() {
        let start = Instant::now();
        let answers = iter([answer(1, 1)]).chain(pending());
        let limits = Limits {
            grace: Duration::from_millis(50),
            ..limits()
        };
        assert_eq!(newest(answers, limits, read).await, Some((1, 1)));
        assert!(start.elapsed() < Duration::from_secs(60));
    }
}
