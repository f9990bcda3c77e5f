//! A staggered race of dials (Happy Eyeballs, RFC 8305).

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The delay before the next address of one host is dialled in parallel.
const HEAD_START: Duration = Duration::from_millis(250);

/// Runs attempts in their order, each at its delay after the start of the race, or as soon as all
/// attempts before it have failed. The first success wins, and drops all other attempts. Each
/// failure is passed to `failed`. Returns `None` if all attempts fail.
pub async fn staggered<T, E, A>(
    attempts: impl IntoIterator<Item = (Duration, A)>,
    mut failed: impl FnMut(E),
) -> Option<T>
where
    A: Future<Output = Result<T, E>>,
{
    let begun = Instant::now();
    let mut waiting = attempts.into_iter().peekable();
    let mut running = FuturesUnordered::new();
    loop {
        let next = waiting.peek().map(|(delay, _)| begun + *delay);
        let is_due = next.is_some_and(|next| next <= Instant::now());
        if (running.is_empty() || is_due)
            && let Some((_, attempt)) = waiting.next()
        {
            running.push(attempt);
            continue;
        }
        if running.is_empty() {
            return None;
        }
        tokio::select! {
            ended = running.next() => match ended {
                Some(Ok(won)) => return Some(won),
                Some(Err(error)) => failed(error),
                None => {}
            },
            () = until(next) => {}
        }
    }
}

/// Dials the addresses of one host in a staggered race. On failure returns the error of the address
/// that failed first, or `None` if there is no address.
pub async fn of_addresses<T, E, A>(
    addresses: &[SocketAddr],
    dial: impl Fn(SocketAddr) -> A,
) -> Result<T, Option<E>>
where
    A: Future<Output = Result<T, E>>,
{
    let dials = (0_u32..).zip(addresses.to_vec()).map(|(place, address)| {
        let delay = HEAD_START.saturating_mul(place);
        (delay, dial(address))
    });
    let mut failure = None;
    let won = staggered(dials, |error| {
        failure.get_or_insert(error);
    });
    won.await.ok_or(failure)
}

async fn until(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use tokio::time::sleep;

    /// Races attempts that take a time, then succeed or fail with their number. Returns the winner,
    /// the failures, when each began, and how long the race took, in milliseconds.
    async fn race(attempts: &[(u64, bool)]) -> (Option<usize>, Vec<usize>, Vec<u128>, u128) {
        let (begun, began) = (Instant::now(), RefCell::new(Vec::new()));
        let attempts = attempts.iter().enumerate().map(|(number, (takes, wins))| {
            let began = &began;
            let attempt = async move {
                began.borrow_mut().push(begun.elapsed().as_millis());
                sleep(Duration::from_millis(*takes)).await;
                if *wins { Ok(number) } else { Err(number) }
            };
            (HEAD_START * number as u32, attempt)
        });
        let mut failures = Vec::new();
        let won = staggered(attempts, |number| failures.push(number)).await;
        let took = begun.elapsed().as_millis();
        (won, failures, began.into_inner(), took)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_success_wins_and_later_attempts_never_begin() {
        let (won, failures, began, took) = race(&[(400, true), (400, true), (1, true)]).await;
        assert_eq!((won, failures.len(), took), (Some(0), 0, 400));
        assert_eq!(began, [0, 250]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_attempt_does_not_hold_up_the_next() {
        let (won, _, _, took) = race(&[(60_000, true), (10, true)]).await;
        assert_eq!((won, took), (Some(1), 260));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_attempt_begins_at_once_when_all_before_it_failed() {
        let (won, failures, began, took) = race(&[(10, false), (10, false), (10, true)]).await;
        assert_eq!((won, failures, took), (Some(2), vec![0, 1], 30));
        assert_eq!(began, [0, 10, 20]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_race_without_a_winner_ends_with_its_last_attempt() {
        let (won, failures, _, took) = race(&[(1_000, false), (10, false)]).await;
        assert_eq!((won, failures, took), (None, vec![1, 0], 1_000));
        assert_eq!(race(&[]).await.0, None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_is_reported() {
        let [one, other] = [1, 2].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let dial = async |address: SocketAddr| Err::<(), u16>(address.port());
        assert_eq!(of_addresses(&[one, other], dial).await, Err(Some(1)));
        assert_eq!(of_addresses(&[], dial).await, Err(None));
        let dial = async |address: SocketAddr| match address.port() {
            1 => Err(1),
            port => Ok(port),
        };
        assert_eq!(of_addresses(&[one, other], dial).await, Ok(2));
    }
}
