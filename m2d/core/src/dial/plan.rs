//! The plan of all dials: which peers are wanted, when the next attempt at each is due, and which
//! attempts run.

use super::rates::{DialKind, DialRates};
use super::{Order, Route};
use m2_crypto::PeerId;
use m2_limits::backoff::Backoff;
use rand_core::Rng;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The most concurrent attempts.
pub const MAX_ATTEMPTS: usize = 8;
/// Exponential backoff after failed attempts: about ten in the first four minutes. A peer that
/// comes back online dials this daemon, and a queued message shortens the pause.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(250),
    longest: Duration::from_secs(3_600),
};
/// The longest pause after the last attempt while a message waits.
const EXPEDITED: Duration = Duration::from_secs(20);
/// Timeout of the first attempt at a peer. After failures it grows up to the longest, as the path
/// may be slow.
const FIRST_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest timeout of an attempt.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);

/// An input of the plan.
#[derive(Debug)]
pub enum Input {
    /// An order of the engine.
    Order(PeerId, Order),
    /// The attempt with this number has ended.
    Ended(u64, Ended),
}

/// The result of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It led to a session. The engine may still refuse it.
    Reached,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// An effect of the plan.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Begin an attempt. Its end must be reported.
    Start(Attempt),
    /// Cancel all attempts at a peer. Their ends must still be reported.
    Cancel(PeerId),
}

/// An attempt to establish a session with a peer.
#[derive(Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Identifies the attempt.
    pub number: u64,
    /// The peer to dial.
    pub peer: PeerId,
    /// The paths to try.
    pub route: Route,
    /// The timeout of each path.
    pub timeout: Duration,
}

/// The state machine of all dials. Times are steady milliseconds.
///
/// After each input, and when [`Self::next_due`] has come, perform the effects of
/// [`Self::poll_effect`] until there are no more.
#[derive(Debug)]
pub struct DialPlan {
    goals: HashMap<PeerId, Goal>,
    /// The running attempts, by their numbers.
    running: HashMap<u64, PeerId>,
    next_number: u64,
    rates: DialRates,
    cancelled: VecDeque<PeerId>,
}

/// The state of dialling one peer.
#[derive(Debug)]
struct Goal {
    /// The paths to try.
    route: Route,
    /// Failed attempts since the peer was last reached.
    failures: u32,
    /// The number of the running attempt by this route, if there is one. Attempts by earlier routes
    /// may run too.
    attempt: Option<u64>,
    /// When the next attempt is due; `None` while [`Self::attempt`] runs.
    next_ms: Option<u64>,
    /// When the last attempt ended.
    ended_ms: Option<u64>,
    /// True if a message was queued for the peer since the last attempt began.
    is_expedited: bool,
    /// True if the last attempt led to a session that the engine has not confirmed yet.
    is_reached: bool,
}

impl DialPlan {
    /// Returns a plan without goals.
    pub fn new(now_ms: u64) -> Self {
        Self {
            goals: HashMap::new(),
            running: HashMap::new(),
            next_number: 0,
            rates: DialRates::new(now_ms),
            cancelled: VecDeque::new(),
        }
    }

    /// Handles an input.
    pub fn handle(&mut self, input: Input, now_ms: u64, rng: &mut impl Rng) {
        match input {
            Input::Order(peer, order) => self.follow(peer, order, now_ms, rng),
            Input::Ended(number, ended) => self.end(number, ended, now_ms, rng),
        }
    }

    /// Returns the next effect at `now_ms`, if there is one: cancellations, then due attempts within
    /// the limits. Expedited dials come before other first ones, these before repeated ones, and of
    /// each kind the ones with the fewest failures first.
    pub fn poll_effect(&mut self, now_ms: u64) -> Option<Effect> {
        if let Some(peer) = self.cancelled.pop_front() {
            return Some(Effect::Cancel(peer));
        }
        let is_due = |goal: &Goal| goal.next_ms.is_some_and(|next| next <= now_ms);
        let due = self.goals.iter().filter(|(_, goal)| is_due(goal));
        let (kind, peer) = due
            .min_by_key(|(_, goal)| (goal.kind(), !goal.is_expedited, goal.failures))
            .map(|(peer, goal)| (goal.kind(), *peer))?;
        if self.running.len() >= MAX_ATTEMPTS || !self.rates.take(kind, now_ms) {
            return None;
        }
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.running.insert(number, peer);
        let goal = self.goals.get_mut(&peer)?;
        goal.attempt = Some(number);
        goal.next_ms = None;
        goal.is_expedited = false;
        goal.is_reached = false;
        Some(Effect::Start(Attempt {
            number,
            peer,
            route: goal.route.clone().for_attempt(goal.failures),
            timeout: timeout(goal.failures),
        }))
    }

    /// Returns when [`Self::poll_effect`] may have an effect without an input before; `None` for
    /// never.
    pub fn next_due(&mut self, now_ms: u64) -> Option<u64> {
        if self.running.len() >= MAX_ATTEMPTS {
            return None;
        }
        let mut wait = |kind| {
            let wait = self.rates.wait(kind, now_ms).as_millis();
            now_ms.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX))
        };
        let (first, repeated) = (wait(DialKind::First), wait(DialKind::Repeated));
        let due = |goal: &Goal| {
            let next = goal.next_ms?;
            Some(next.max(match goal.kind() {
                DialKind::First => first,
                DialKind::Repeated => repeated,
            }))
        };
        self.goals.values().filter_map(due).min()
    }

    /// Returns when the next attempt at a peer is due, for the log; `None` while one runs or if the peer
    /// is not wanted. The rate limits may put it off.
    pub fn due_at(&self, peer: &PeerId) -> Option<u64> {
        self.goals.get(peer)?.next_ms
    }

    fn follow(&mut self, peer: PeerId, order: Order, now_ms: u64, rng: &mut impl Rng) {
        match order {
            Order::Want(route, failures) => self.want(peer, route, failures, now_ms, rng),
            Order::Ensure(route, failures) => match self.goals.get_mut(&peer) {
                // The engine has no session with it, so the session of that attempt has ended.
                Some(goal) if goal.is_reached => {
                    goal.route = route;
                    goal.retry(now_ms, rng);
                }
                Some(_) => {}
                None => self.want(peer, route, failures, now_ms, rng),
            },
            Order::Expedite => {
                if let Some(goal) = self.goals.get_mut(&peer) {
                    goal.expedite(now_ms);
                }
            }
            Order::Rest => {
                self.goals.remove(&peer);
            }
            Order::Settled => {
                self.goals.remove(&peer);
                if self.running.values().any(|other| *other == peer) {
                    self.cancelled.push_back(peer);
                }
            }
        }
    }

    fn want(&mut self, peer: PeerId, route: Route, failures: u32, now_ms: u64, rng: &mut impl Rng) {
        let before = self.goals.get(&peer).filter(|goal| goal.route == route);
        let attempt = before.and_then(|goal| goal.attempt);
        let pause = match failures {
            0 => Duration::ZERO,
            _ => BACKOFF.pause(failures, rng.next_u32()),
        };
        let goal = Goal {
            route,
            failures,
            attempt,
            next_ms: attempt.is_none().then(|| after(now_ms, pause)),
            ended_ms: None,
            is_expedited: false,
            is_reached: false,
        };
        self.goals.insert(peer, goal);
    }

    fn end(&mut self, number: u64, ended: Ended, now_ms: u64, rng: &mut impl Rng) {
        let peer = self.running.remove(&number);
        let Some(goal) = peer.and_then(|peer| self.goals.get_mut(&peer)) else {
            return;
        };
        let is_own = goal.attempt == Some(number);
        goal.attempt = goal.attempt.filter(|_| !is_own);
        match ended {
            Ended::Reached => {
                // Retried only if the engine does not accept this session.
                goal.next_ms = Some(after(now_ms, BACKOFF.longest));
                goal.is_reached = true;
            }
            Ended::Failed | Ended::Cancelled if is_own => goal.retry(now_ms, rng),
            // An attempt by an earlier route.
            Ended::Failed | Ended::Cancelled => {}
        }
    }
}

impl Goal {
    /// Returns the kind of the next dial, for its rate limit.
    const fn kind(&self) -> DialKind {
        match self.failures {
            0 => DialKind::First,
            _ if self.is_expedited => DialKind::First,
            _ => DialKind::Repeated,
        }
    }

    /// Schedules another attempt after a pause that grows with the failures.
    fn retry(&mut self, now_ms: u64, rng: &mut impl Rng) {
        self.failures = self.failures.saturating_add(1);
        self.ended_ms = Some(now_ms);
        let pause = BACKOFF.pause(self.failures, rng.next_u32());
        let pause = if self.is_expedited {
            pause.min(EXPEDITED)
        } else {
            pause
        };
        self.next_ms = Some(after(now_ms, pause));
        self.is_reached = false;
    }

    fn expedite(&mut self, now_ms: u64) {
        let soon = self
            .ended_ms
            .map_or(now_ms, |ended| after(ended, EXPEDITED));
        self.next_ms = self.next_ms.map(|next| next.min(soon));
        self.is_expedited = true;
    }
}

/// Returns the timeout of an attempt after this number of failures.
fn timeout(failures: u32) -> Duration {
    FIRST_TIMEOUT
        .saturating_mul(failures.saturating_add(1))
        .min(LONGEST_TIMEOUT)
}

fn after(now_ms: u64, pause: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
}
