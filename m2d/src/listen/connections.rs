//! Limits and counters for the connections of front-ends, and warnings about failures to accept
//! them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The maximum number of open connections of front-ends.
const MOST: u64 = 1_024;
/// The minimum number of allowed connections, however low the limit on descriptors is.
const FEWEST: u64 = 8;
/// The maximum number of open connections of other users, if they only get a refusal.
const MOST_OF_OTHERS: usize = 8;
/// How long `m2 status` keeps warning after the last failure.
const WARNED: Duration = Duration::from_secs(600);
/// The warning after failures to accept a connection.
const NO_DESCRIPTORS: &str = "The daemon used up its file descriptors, so front-ends had to wait. \
    End front-ends that you don't need, or raise the limit (LimitNOFILE= in the unit, `ulimit -n` \
    in a shell).";

/// Counts and limits the connections of front-ends.
#[derive(Debug)]
pub struct Connections {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    /// The open connections of other users, which are not counted in `open`.
    of_others: usize,
    /// Connections that were closed immediately because the limit was reached.
    refused: u64,
    /// Failed attempts to accept a connection, for lack of descriptors or memory.
    failed: u64,
    last_refused: Option<Instant>,
    last_failed: Option<Instant>,
}

/// An open connection, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    all: Arc<Connections>,
    is_of_others: bool,
}

impl Connections {
    /// Returns limits for a process with this number of file descriptors. Front-ends get half of
    /// them, within bounds: sessions, the store and look-up need the rest.
    pub fn new(descriptors: u64) -> Arc<Self> {
        let limit = (descriptors / 2).clamp(FEWEST, MOST);
        Arc::new(Self {
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            state: Mutex::default(),
        })
    }

    /// Returns the warnings for the user at `now`.
    pub fn warnings(&self, now: Instant) -> Vec<String> {
        let state = self.state();
        let recent = |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) < WARNED);
        let mut warnings = Vec::new();
        if recent(state.last_failed) {
            warnings.push(NO_DESCRIPTORS.to_owned());
        }
        if recent(state.last_refused) {
            warnings.push(format!(
                "Connections of front-ends were closed because {} are open, which is the limit. \
                 End front-ends that you don't need.",
                self.limit
            ));
        }
        warnings
    }

    /// Returns the number of refused and failed connections since the start, by reason.
    pub fn counters(&self) -> BTreeMap<&'static str, u64> {
        let state = self.state();
        BTreeMap::from([
            ("API_ACCEPT_FAILED", state.failed),
            ("API_CONNECTION_LIMIT", state.refused),
        ])
    }

    /// Counts a connection as open, unless the limit is reached.
    pub(super) fn open(self: &Arc<Self>, now: Instant) -> Option<Connection> {
        let mut state = self.state();
        if state.open < self.limit {
            state.open += 1;
            return Some(self.connection(false));
        }
        state.refused += 1;
        let is_new = state.last_refused.replace(now).is_none_or(|last| {
            // One log line for a series of refusals.
            now.duration_since(last) >= WARNED
        });
        drop(state);
        if is_new {
            let limit = self.limit;
            tracing::warn!(limit, "too many front-ends: new connections are closed");
        }
        None
    }

    /// Counts a connection of another user as open, unless there are too many of them: half of the limit
    /// if other users may connect, and otherwise a few that get a refusal.
    pub(super) fn open_of_others(self: &Arc<Self>, may_connect: bool) -> Option<Connection> {
        let most = if may_connect {
            self.limit / 2
        } else {
            MOST_OF_OTHERS
        };
        let mut state = self.state();
        let has_room = state.of_others < most;
        state.of_others += usize::from(has_room);
        has_room.then(|| self.connection(true))
    }

    fn connection(self: &Arc<Self>, is_of_others: bool) -> Connection {
        Connection {
            all: Arc::clone(self),
            is_of_others,
        }
    }

    /// Counts a failed attempt to accept a connection. Returns the number of earlier failures.
    pub(super) fn failed(&self, now: Instant) -> u64 {
        let mut state = self.state();
        state.last_failed = Some(now);
        state.failed += 1;
        state.failed - 1
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock is held leaves no partial update.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut state = self.all.state();
        let open = match self.is_of_others {
            true => &mut state.of_others,
            false => &mut state.open,
        };
        *open = open.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_limited_by_the_descriptors() {
        for (descriptors, limit) in [(64, 32), (10, 8), (1_024, 512), (65_536, 1_024)] {
            assert_eq!(Connections::new(descriptors).limit, limit);
        }
    }

    #[test]
    fn a_closed_connection_makes_room_for_another() {
        let now = Instant::now();
        let connections = Connections::new(0);
        let mut open: Vec<_> = (0..8).map(|_| connections.open(now).unwrap()).collect();
        assert!(connections.open(now).is_none());
        open.pop();
        assert!(connections.open(now).is_some());
        assert_eq!(connections.counters().get("API_CONNECTION_LIMIT"), Some(&1));
    }

    #[test]
    fn connections_of_other_users_do_not_count_against_the_limit() {
        let connections = Connections::new(0);
        let of_others = || connections.open_of_others(false);
        let mut open: Vec<_> = (0..MOST_OF_OTHERS).map(|_| of_others().unwrap()).collect();
        assert!(of_others().is_none());
        let own: Vec<_> = (0..FEWEST)
            .map(|_| connections.open(Instant::now()))
            .collect();
        assert!(own.iter().all(Option::is_some));
        open.pop();
        assert!(of_others().is_some());
    }

    #[test]
    fn other_users_that_may_connect_get_half_of_the_connections() {
        let connections = Connections::new(0);
        let open: Vec<_> = (0..FEWEST)
            .filter_map(|_| connections.open_of_others(true))
            .collect();
        assert_eq!(open.len(), 4);
        assert!(connections.open(Instant::now()).is_some());
    }

    #[test]
    fn a_warning_ends_some_time_after_the_failure() {
        let now = Instant::now();
        let connections = Connections::new(0);
        assert!(connections.warnings(now).is_empty());
        assert_eq!(connections.failed(now), 0);
        assert_eq!(connections.warnings(now).len(), 1);
        assert_eq!(connections.warnings(now + WARNED).len(), 0);
        assert_eq!(connections.counters().get("API_ACCEPT_FAILED"), Some(&1));
    }
}
