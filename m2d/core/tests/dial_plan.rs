//! The dial plan in a simulated world: peers come and go, attempts take time, messages are queued.
//!
//! A checker holds the promises of the plan after every step. Flawed drivers show that it notices
//! when they are broken.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_core::IpMode;
use m2_core::dial::{Attempt, DialPlan, Effect, Ended, Input, MAX_ATTEMPTS, Order, Route};
use m2_crypto::PeerId;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
/// The burst and the interval of all dials (m2d/core/src/dial/rates.rs).
const BURST: u64 = 40;
const EVERY_MS: u64 = 500;
/// A wanted peer with a message is dialled again within this time: the longest timeout of an
/// attempt, the pause, and the wait for a place among the attempts of others.
const SOON_MS: u64 = 2 * MINUTE_MS;

fn peer(number: u8) -> PeerId {
    PeerId::from_bytes([number; 32])
}

fn route() -> Route {
    Route::new(IpMode::Direct)
}

/// A fault of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// The end of an attempt is not reported.
    LosesEnds,
    /// Orders to rest are not passed on.
    LosesRest,
    /// Cancellations are ignored.
    IgnoresCancel,
    /// Due times are ignored: the plan is asked only after inputs.
    IgnoresTime,
}

/// One step of a schedule.
#[derive(Debug, Clone)]
enum Step {
    Want(u8),
    Expedite(u8),
    Rest(u8),
    Settle(u8),
    /// From now on, dials to the peer succeed or fail.
    Present(u8, bool),
    Pass(u64),
}

/// A running attempt.
#[derive(Debug)]
struct Running {
    number: u64,
    peer: PeerId,
    until_ms: u64,
    is_cancelled: bool,
}

#[derive(Debug)]
struct World {
    plan: DialPlan,
    flaw: Flaw,
    rng: StdRng,
    now_ms: u64,
    running: Vec<Running>,
    present: BTreeSet<PeerId>,
    /// The wanted peers, and since when each waits for an attempt with a message queued.
    wanted: BTreeMap<PeerId, Option<u64>>,
    sessions: BTreeSet<PeerId>,
    started: Vec<u64>,
    errors: Vec<String>,
    /// What the schedules have reached.
    seen: Seen,
}

#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    starts: u64,
    cancels: u64,
    full: u64,
    sessions: u64,
}

impl World {
    fn new(seed: u64, flaw: Flaw) -> Self {
        Self {
            plan: DialPlan::new(0),
            flaw,
            rng: StdRng::seed_from_u64(seed),
            now_ms: 0,
            running: Vec::new(),
            present: BTreeSet::new(),
            wanted: BTreeMap::new(),
            sessions: BTreeSet::new(),
            started: Vec::new(),
            errors: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn order(&mut self, peer: PeerId, order: Order) {
        let input = Input::Order(peer, order);
        self.plan.handle(input, self.now_ms, &mut self.rng);
    }

    fn step(&mut self, step: Step) {
        let is_time = matches!(step, Step::Pass(_));
        match step {
            Step::Want(number) => {
                let peer = peer(number);
                self.sessions.remove(&peer);
                self.wanted.entry(peer).or_default();
                self.order(peer, Order::Want(route(), 0));
            }
            Step::Expedite(number) => {
                let peer = peer(number);
                if let Some(since) = self.wanted.get_mut(&peer) {
                    since.get_or_insert(self.now_ms);
                    self.order(peer, Order::Expedite);
                }
            }
            Step::Rest(number) => self.leave(peer(number), Order::Rest),
            Step::Settle(number) => self.leave(peer(number), Order::Settled),
            Step::Present(number, true) => drop(self.present.insert(peer(number))),
            Step::Present(number, false) => drop(self.present.remove(&peer(number))),
            Step::Pass(ms) => self.pass(ms),
        }
        if !(is_time && self.flaw == Flaw::IgnoresTime) {
            self.perform();
        }
        self.check();
    }

    fn leave(&mut self, peer: PeerId, order: Order) {
        self.wanted.remove(&peer);
        if self.flaw != Flaw::LosesRest {
            self.order(peer, order);
        }
    }

    /// Lets time pass, and performs what becomes due in between.
    fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        loop {
            let attempts = self.running.iter().map(|running| running.until_ms);
            let due = match self.flaw {
                Flaw::IgnoresTime => None,
                _ => self.plan.next_due(self.now_ms),
            };
            let Some(next) = attempts.chain(due).min().filter(|next| *next <= end) else {
                break;
            };
            self.now_ms = self.now_ms.max(next);
            self.end_attempts();
            self.perform();
            self.check();
        }
        self.now_ms = end;
    }

    fn end_attempts(&mut self) {
        let now_ms = self.now_ms;
        let (ended, running) = std::mem::take(&mut self.running)
            .into_iter()
            .partition(|running: &Running| running.until_ms <= now_ms);
        self.running = running;
        for Running {
            number,
            peer,
            is_cancelled,
            ..
        } in ended
        {
            let outcome = match (is_cancelled, self.present.contains(&peer)) {
                (true, _) => Ended::Cancelled,
                (false, true) => Ended::Reached,
                (false, false) => Ended::Failed,
            };
            if self.flaw == Flaw::LosesEnds {
                continue;
            }
            let input = Input::Ended(number, outcome);
            self.plan.handle(input, now_ms, &mut self.rng);
            if outcome == Ended::Reached && self.wanted.remove(&peer).is_some() {
                // The engine accepts the session and confirms it.
                self.sessions.insert(peer);
                self.seen.sessions += 1;
                self.order(peer, Order::Settled);
            }
        }
    }

    fn perform(&mut self) {
        while let Some(effect) = self.plan.poll_effect(self.now_ms) {
            match effect {
                Effect::Start(attempt) => self.start(attempt),
                Effect::Cancel(peer) if self.flaw != Flaw::IgnoresCancel => {
                    self.seen.cancels += 1;
                    let of_peer = |running: &&mut Running| running.peer == peer;
                    for running in self.running.iter_mut().filter(of_peer) {
                        (running.is_cancelled, running.until_ms) = (true, self.now_ms);
                    }
                }
                Effect::Cancel(_) => {}
            }
        }
    }

    fn start(&mut self, attempt: Attempt) {
        self.seen.starts += 1;
        if !self.wanted.contains_key(&attempt.peer) {
            self.errors
                .push("a peer is dialled that is not wanted".to_owned());
        }
        if let Some(since) = self.wanted.get_mut(&attempt.peer) {
            *since = None;
        }
        self.started.push(self.now_ms);
        let takes_ms = if self.present.contains(&attempt.peer) {
            50
        } else {
            u64::try_from(attempt.timeout.as_millis()).unwrap()
        };
        self.running.push(Running {
            number: attempt.number,
            peer: attempt.peer,
            until_ms: self.now_ms + takes_ms,
            is_cancelled: false,
        });
    }

    fn check(&mut self) {
        let running = self.running.len();
        self.seen.full += u64::from(running == MAX_ATTEMPTS);
        let mut found = |is_wrong: bool, error: &str| {
            if is_wrong {
                self.errors.push(error.to_owned());
            }
        };
        found(running > MAX_ATTEMPTS, "too many attempts run at once");
        let minute = self.now_ms.saturating_sub(MINUTE_MS);
        let recent = self.started.iter().filter(|at| **at > minute).count() as u64;
        found(recent > BURST + MINUTE_MS / EVERY_MS, "too many dials");
        let late = |since: &Option<u64>| since.is_some_and(|since| since + SOON_MS < self.now_ms);
        found(self.wanted.values().any(late), "a message waits for long");
        let has_session =
            |running: &Running| !running.is_cancelled && self.sessions.contains(&running.peer);
        found(
            self.running.iter().any(has_session),
            "an attempt outlives the session that settled it",
        );
    }
}

fn step() -> impl Strategy<Value = Step> {
    let peers = 0..24_u8;
    prop_oneof![
        4 => peers.clone().prop_map(Step::Want),
        2 => peers.clone().prop_map(Step::Expedite),
        1 => peers.clone().prop_map(Step::Rest),
        1 => peers.clone().prop_map(Step::Settle),
        1 => (peers, any::<bool>()).prop_map(|(peer, is)| Step::Present(peer, is)),
        3 => (0..30 * SECOND_MS).prop_map(Step::Pass),
    ]
}

fn schedule() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..200)
}

/// Runs a schedule, then lets time pass until everything that waits is late.
fn run(seed: u64, flaw: Flaw, steps: &[Step]) -> World {
    let mut world = World::new(seed, flaw);
    for step in steps {
        world.step(step.clone());
    }
    for _ in 0..10 {
        world.step(Step::Pass(MINUTE_MS));
    }
    world
}

/// Runs random schedules. Returns those errors that were found, and what was reached.
fn run_many(flaw: Flaw) -> (Vec<String>, Seen) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut errors, mut seen) = (Vec::new(), Seen::default());
    for seed in 0..200 {
        let steps = schedule().new_tree(&mut runner).unwrap().current();
        let world = run(seed, flaw, &steps);
        errors.extend(world.errors);
        seen.starts += world.seen.starts;
        seen.cancels += world.seen.cancels;
        seen.full += world.seen.full;
        seen.sessions += world.seen.sessions;
    }
    (errors, seen)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_keeps_its_promises(seed in any::<u64>(), steps in schedule()) {
        let world = run(seed, Flaw::None, &steps);
        prop_assert_eq!(world.errors, Vec::<String>::new());
    }
}

#[test]
fn schedules_reach_everything() {
    let (errors, seen) = run_many(Flaw::None);
    assert_eq!(errors, Vec::<String>::new());
    for count in [seen.starts, seen.cancels, seen.full, seen.sessions] {
        assert!(count > 100, "{seen:?}");
    }
}

#[test]
fn the_checker_notices_flawed_drivers() {
    for flaw in [
        Flaw::LosesEnds,
        Flaw::LosesRest,
        Flaw::IgnoresCancel,
        Flaw::IgnoresTime,
    ] {
        let (errors, _) = run_many(flaw);
        assert!(!errors.is_empty(), "{flaw:?} is not noticed");
    }
}

#[test]
fn a_peer_with_a_message_is_dialled_before_a_thousand_others() {
    let (mut plan, mut rng) = (DialPlan::new(0), StdRng::seed_from_u64(1));
    let mut want = |plan: &mut DialPlan, peer, order| {
        plan.handle(Input::Order(peer, order), 0, &mut rng);
    };
    let awaited = PeerId::from_bytes([0xff; 32]);
    for number in 0..1_000_u16 {
        let mut id = [1; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        want(&mut plan, PeerId::from_bytes(id), Order::Want(route(), 0));
    }
    want(&mut plan, awaited, Order::Want(route(), 0));
    want(&mut plan, awaited, Order::Expedite);
    let Some(Effect::Start(first)) = plan.poll_effect(0) else {
        panic!("nothing is dialled");
    };
    assert_eq!(first.peer, awaited);
}

/// Starts the next attempt. Returns its number.
fn start(plan: &mut DialPlan, now_ms: u64) -> u64 {
    match plan.poll_effect(now_ms) {
        Some(Effect::Start(attempt)) => attempt.number,
        other => panic!("no attempt: {other:?}"),
    }
}

#[test]
fn a_session_that_the_engine_did_not_keep_is_dialled_again() {
    let (mut plan, mut rng) = (DialPlan::new(0), StdRng::seed_from_u64(1));
    let order = |order| Input::Order(peer(1), order);
    plan.handle(order(Order::Want(route(), 0)), 0, &mut rng);
    let number = start(&mut plan, 0);
    plan.handle(Input::Ended(number, Ended::Reached), 10, &mut rng);
    assert_eq!(plan.poll_effect(MINUTE_MS), None);
    plan.handle(order(Order::Ensure(route(), 0)), MINUTE_MS, &mut rng);
    let due = plan.next_due(MINUTE_MS).unwrap();
    assert!(due <= MINUTE_MS + SECOND_MS);
    start(&mut plan, due);
}

/// Begins an attempt by one route and then one by another. Returns their numbers.
fn by_two_routes(plan: &mut DialPlan, rng: &mut StdRng) -> [u64; 2] {
    let order = |route| Input::Order(peer(1), Order::Want(route, 0));
    plan.handle(order(route()), 0, rng);
    let first = start(plan, 0);
    plan.handle(order(route()), 1, rng);
    assert_eq!(plan.poll_effect(1), None, "the same route is under way");
    let other = Route {
        one_died: true,
        ..route()
    };
    plan.handle(order(other), 2, rng);
    [first, start(plan, 2)]
}

#[test]
fn the_end_of_an_attempt_by_an_earlier_route_changes_nothing() {
    let (mut plan, mut rng) = (DialPlan::new(0), StdRng::seed_from_u64(1));
    let [first, second] = by_two_routes(&mut plan, &mut rng);
    plan.handle(Input::Ended(first, Ended::Failed), 3, &mut rng);
    assert_eq!(plan.next_due(3), None, "the second attempt runs");
    plan.handle(Input::Ended(second, Ended::Failed), 4, &mut rng);
    assert!(plan.next_due(4).unwrap() <= 4 + 250);
}

#[test]
fn a_failed_attempt_is_repeated_while_one_by_an_earlier_route_runs() {
    let (mut plan, mut rng) = (DialPlan::new(0), StdRng::seed_from_u64(1));
    let [_, second] = by_two_routes(&mut plan, &mut rng);
    plan.handle(Input::Ended(second, Ended::Failed), 3, &mut rng);
    let due = plan.next_due(3).unwrap();
    assert!(due <= 3 + 250);
    start(&mut plan, due);
}

#[test]
fn a_refused_session_of_an_earlier_route_does_not_put_off_the_next_attempt() {
    let (mut plan, mut rng) = (DialPlan::new(0), StdRng::seed_from_u64(1));
    let [first, second] = by_two_routes(&mut plan, &mut rng);
    // The engine refuses the session of the first attempt, and gives no order.
    plan.handle(Input::Ended(first, Ended::Reached), 3, &mut rng);
    plan.handle(Input::Ended(second, Ended::Failed), 4, &mut rng);
    assert!(plan.next_due(4).unwrap() <= 4 + 250);
}
