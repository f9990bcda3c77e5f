//! The dialer: one task that owns all attempts, their backoff and their number.

use super::budget::Budget;
use super::goal::Goal;
use super::orders::{DialerHandle, Order};
use super::{Direct, DirectError, Route, SessionRunner, Target};
use crate::config::IpMode;
use crate::engine::EngineHandle;
use crate::lines::LineDialer;
use crate::store::ContactLine;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use m2_crypto::handshake::Credential;
use m2_crypto::{Identity, PeerId};
use m2_limits::backoff::Backoff;
use m2_net::dial_error::DialError;
use m2_net::session::Session;
use rand_core::{Rng, UnwrapErr};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The most concurrent attempts.
const MAX_ATTEMPTS: usize = 8;
/// Exponential backoff after failed attempts: about ten in the first four minutes. A peer that
/// comes back online dials this daemon, and a queued message shortens the pause.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(3_600),
};
/// The longest pause after the last attempt while a message waits.
const EXPEDITED: Duration = Duration::from_secs(20);
/// Timeout of the first attempt at an address. After failures it grows up to the longest, as the
/// path may be slow.
const FIRST_LIMIT: Duration = Duration::from_secs(3);
/// The longest timeout of an attempt.
const LONGEST_LIMIT: Duration = Duration::from_secs(10);
/// The delay before the next address of a peer is tried in parallel (Happy Eyeballs).
const HEAD_START: Duration = Duration::from_millis(250);
/// The delay of lines after direct paths, where these come first.
const LINE_AFTER: Duration = Duration::from_secs(1);
/// The delay of direct paths after lines, where these come first. A line takes longer to set up,
/// and a user who prefers lines does not want to reveal an address to save a second.
const DIRECT_AFTER: Duration = Duration::from_secs(8);

/// The task that dials peers.
pub struct Dialer {
    direct: Direct,
    engine: EngineHandle,
    runner: Arc<SessionRunner>,
    identity: Arc<Identity>,
    lines: Arc<LineDialer>,
    orders: DialerHandle,
    goals: HashMap<PeerId, Goal>,
    attempts: FuturesUnordered<BoxFuture<'static, Attempt>>,
    /// Cancels the running attempts at a peer.
    ends: HashMap<PeerId, CancellationToken>,
    budget: Budget,
    rng: UnwrapErr<getrandom::SysRng>,
}

/// The result of an attempt.
struct Attempt {
    peer: PeerId,
    /// `None` if the attempt was cancelled.
    result: Option<Result<Session, Failure>>,
}

/// Why an attempt failed: a stable reason, and how informative it is. A higher number wins.
type Failure = (&'static str, u8);

/// No path is known.
const NO_WAY: Failure = ("NO_ADDRESS", 0);

impl Dialer {
    /// Creates a dialer that follows `orders`, and dials by `direct` and `lines`.
    pub fn new(
        orders: DialerHandle,
        direct: Direct,
        engine: EngineHandle,
        runner: Arc<SessionRunner>,
        identity: Arc<Identity>,
        lines: Arc<LineDialer>,
    ) -> Self {
        Self {
            lines,
            direct,
            engine,
            runner,
            identity,
            orders,
            goals: HashMap::new(),
            attempts: FuturesUnordered::new(),
            ends: HashMap::new(),
            budget: Budget::new(Instant::now()),
            rng: UnwrapErr(getrandom::SysRng),
        }
    }

    /// Runs until the daemon stops.
    pub async fn run(mut self, stop: CancellationToken) {
        let orders = self.orders.clone();
        loop {
            self.start_due();
            let wake = self.next_wake();
            tokio::select! {
                () = stop.cancelled() => return,
                () = orders.changed() => self.take_orders(),
                Some(attempt) = self.attempts.next() => self.finish(attempt).await,
                () = sleep_until(wake) => {}
            }
        }
    }

    fn take_orders(&mut self) {
        for (peer, order) in self.orders.take() {
            match order {
                Order::Want(route, failures) => self.want(peer, route, failures),
                Order::Ensure(route, failures) => self.ensure(peer, route, failures),
                Order::Expedite => self.expedite(&peer),
                Order::Rest => {
                    self.goals.remove(&peer);
                }
                Order::Settled => {
                    self.goals.remove(&peer);
                    if let Some(end) = self.ends.remove(&peer) {
                        end.cancel();
                    }
                }
            }
        }
    }

    fn want(&mut self, peer: PeerId, route: Route, failures: u32) {
        let under_way = self
            .goals
            .get(&peer)
            .is_some_and(|target| target.next.is_none() && target.route == route);
        let delay = match failures {
            0 => Duration::ZERO,
            _ => BACKOFF.pause(failures, self.rng.next_u32()),
        };
        let goal = Goal {
            route,
            failures,
            next: (!under_way).then(|| Instant::now() + delay),
            ended: None,
            is_expedited: false,
            is_reached: false,
        };
        self.goals.insert(peer, goal);
    }

    fn ensure(&mut self, peer: PeerId, route: Route, failures: u32) {
        match self.goals.get_mut(&peer) {
            // The engine has no session with it, so the session of that attempt has ended.
            Some(goal) if goal.is_reached => {
                goal.route = route;
                self.schedule_again(&peer);
            }
            Some(_) => {}
            None => self.want(peer, route, failures),
        }
    }

    fn expedite(&mut self, peer: &PeerId) {
        if let Some(target) = self.goals.get_mut(peer) {
            let soon = match target.ended {
                Some(ended) => ended + EXPEDITED,
                None => Instant::now(),
            };
            target.next = target.next.map(|next| next.min(soon));
            target.is_expedited = true;
        }
    }

    /// Starts the due attempts within the limits: first dials before repeated ones, and of these
    /// the ones with the fewest failures first.
    fn start_due(&mut self) {
        let now = Instant::now();
        let is_due = |goal: &Goal| goal.next.is_some_and(|next| next <= now);
        let due = self.goals.iter().filter(|(_, goal)| is_due(goal));
        let mut due: Vec<_> = due
            .map(|(peer, goal)| (goal.kind(), goal.failures, *peer))
            .collect();
        due.sort_unstable_by_key(|(kind, failures, _)| (*kind, *failures));
        for (kind, _, peer) in due {
            if self.attempts.len() >= MAX_ATTEMPTS || !self.budget.take(kind, now) {
                return;
            }
            self.start(peer);
        }
    }

    fn start(&mut self, peer: PeerId) {
        let Some(target) = self.goals.get_mut(&peer) else {
            return;
        };
        target.next = None;
        target.is_expedited = false;
        target.is_reached = false;
        let call = Call {
            direct: self.direct.clone(),
            lines: self.lines.clone(),
            identity: self.identity.clone(),
            peer,
            limit: limit(target.failures),
        };
        let attempt = call.by_any(target.route.clone().for_attempt(target.failures));
        let end = self.ends.entry(peer).or_default().clone();
        self.attempts.push(Box::pin(async move {
            let result = end.run_until_cancelled_owned(attempt).await;
            Attempt { peer, result }
        }));
    }

    fn next_wake(&self) -> Option<Instant> {
        if self.attempts.len() >= MAX_ATTEMPTS {
            return None;
        }
        let wake = |goal: &Goal| goal.next.max(goal.next.and(self.budget.next(goal.kind())));
        self.goals.values().filter_map(wake).min()
    }

    async fn finish(&mut self, attempt: Attempt) {
        let Some(result) = attempt.result else {
            return;
        };
        // A second attempt, by another route, inserts its own token.
        self.ends.remove(&attempt.peer);
        match result {
            Ok(session) => {
                // Retried only if the engine does not accept this session.
                if let Some(target) = self.goals.get_mut(&attempt.peer) {
                    target.next = Some(Instant::now() + BACKOFF.longest);
                    target.is_reached = true;
                }
                self.runner.clone().start(session);
            }
            Err((reason, _)) => {
                self.schedule_again(&attempt.peer);
                let peer = attempt.peer;
                let told = self
                    .engine
                    .cast(move |engine| engine.on_dial_failed(&peer, reason));
                if told.await.is_err() {
                    tracing::debug!("the engine is gone");
                }
            }
        }
    }

    fn schedule_again(&mut self, peer: &PeerId) {
        let jitter = self.rng.next_u32();
        if let Some(target) = self.goals.get_mut(peer) {
            target.failures = target.failures.saturating_add(1);
            let now = Instant::now();
            target.ended = Some(now);
            let pause = BACKOFF.pause(target.failures, jitter);
            let longest = if target.is_expedited {
                EXPEDITED
            } else {
                pause
            };
            target.next = Some(now + pause.min(longest));
            target.is_reached = false;
        }
    }
}

/// Returns the timeout of an attempt after this number of failures.
fn limit(failures: u32) -> Duration {
    FIRST_LIMIT
        .saturating_mul(failures.saturating_add(1))
        .min(LONGEST_LIMIT)
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The parameters of an attempt.
#[derive(Clone)]
struct Call {
    direct: Direct,
    lines: Arc<LineDialer>,
    identity: Arc<Identity>,
    peer: PeerId,
    limit: Duration,
}

/// One path to a peer.
enum Way {
    Direct(Target),
    Line(ContactLine, IpMode),
}

impl Call {
    /// Tries all paths, each with a head start over the next. The first session wins.
    async fn by_any(self, route: Route) -> Result<Session, Failure> {
        let mut running: FuturesUnordered<_> = ways(route)
            .into_iter()
            .map(|(delay, way)| {
                let call = self.clone();
                async move {
                    tokio::time::sleep(delay).await;
                    call.by(way).await
                }
            })
            .collect();
        let mut failure = NO_WAY;
        let mut result = None;
        while let Some(ended) = running.next().await {
            match ended {
                Ok(session) => {
                    result = Some(session);
                    break;
                }
                // Keeps the most informative failure, and of equal ones the first.
                Err(other) if other.1 > failure.1 => failure = other,
                Err(_) => {}
            }
        }
        result.ok_or(failure)
    }

    async fn by(&self, way: Way) -> Result<Session, Failure> {
        let credential = Credential::Identity(self.identity.clone());
        match way {
            Way::Direct(target) => {
                let dialled = self.direct.dial(self.peer, target, credential, self.limit);
                dialled
                    .await
                    .map_err(|error| (error.reason(), weight(error)))
            }
            Way::Line(line, mode) => {
                let called = self
                    .lines
                    .call(self.peer, credential, &line, mode, self.limit);
                called.await.map_err(|reason| (reason, 1))
            }
        }
    }
}

/// Returns the paths of a route with their delays: direct paths and lines in the order of the mode.
fn ways(route: Route) -> Vec<(Duration, Way)> {
    let Route {
        mode,
        addresses,
        lines,
        one_died,
    } = route;
    let direct: Vec<Way> = addresses.into_iter().map(Way::Direct).collect();
    let lines: Vec<Way> = lines
        .into_iter()
        .map(|line| Way::Line(line, mode))
        .collect();
    let (first, pause, second) = match mode {
        IpMode::Direct if one_died => (direct, HEAD_START, lines),
        IpMode::Direct => (direct, LINE_AFTER, lines),
        IpMode::PreferLine => (lines, DIRECT_AFTER, direct),
        IpMode::LineOnly => (lines, Duration::ZERO, Vec::new()),
    };
    let pause = if first.is_empty() {
        Duration::ZERO
    } else {
        pause
    };
    let staggered = |start: Duration, ways: Vec<Way>| {
        ways.into_iter().enumerate().map(move |(place, way)| {
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            (start + HEAD_START.saturating_mul(place), way)
        })
    };
    staggered(Duration::ZERO, first)
        .chain(staggered(pause, second))
        .collect()
}

/// Returns how informative a failure is for the user.
const fn weight(failure: DirectError) -> u8 {
    match failure {
        DirectError::Dial(DialError::WrongPeer) => 5,
        DirectError::Dial(DialError::NoCommonSuite) => 4,
        DirectError::Dial(DialError::Refused | DialError::Failed) => 3,
        DirectError::Dial(DialError::NoAnswer) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::LineTokens;
    use m2_crypto::line::JoinToken;

    #[test]
    fn the_timeout_grows_with_failures_up_to_a_bound() {
        assert_eq!(limit(0), FIRST_LIMIT);
        assert_eq!(limit(u32::MAX), LONGEST_LIMIT);
    }

    #[test]
    fn the_mode_determines_the_order_of_paths() {
        let line = ContactLine {
            relay: PeerId::from_bytes([1; 32]),
            addresses: Vec::new(),
            tokens: LineTokens::Always(JoinToken([2; 16])),
        };
        let order = |mode, addresses: usize, one_died| {
            let route = Route {
                mode,
                addresses: vec![Target::Proved(([11, 0, 0, 1], 5_000).into()); addresses],
                lines: vec![line.clone(); 2],
                one_died,
            };
            let tried = ways(route).into_iter();
            tried
                .map(|(delay, way)| (delay.as_millis(), matches!(way, Way::Line(..))))
                .collect::<Vec<_>>()
        };
        let lines = [(0, true), (250, true)];
        assert_eq!(order(IpMode::Direct, 0, false), lines);
        assert_eq!(order(IpMode::LineOnly, 0, false), lines);
        let direct_first = [(0, false), (1_000, true), (1_250, true)];
        assert_eq!(order(IpMode::Direct, 1, false), direct_first);
        let soon = [(0, false), (250, true), (500, true)];
        assert_eq!(order(IpMode::Direct, 1, true), soon);
        let lines_first = [(0, true), (250, true), (8_000, false)];
        assert_eq!(order(IpMode::PreferLine, 1, false), lines_first);
        assert_eq!(order(IpMode::PreferLine, 1, true), lines_first);
    }
}
