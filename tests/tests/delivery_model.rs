//! Delivery against its reference model (docs/spec/delivery.md): random schedules of loss, reordering,
//! duplication, crashes, path changes, ending epochs, restores and time.
//!
//! `M2_MODEL_CASES` sets the number of schedules, `M2_MODEL_STEPS` their maximum length.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_delivery::{Conflict, Counters, MessageState, Write};
use m2_tests::sim::{Event, Fault, Op, Side, World, faulty_schedule, schedule};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::str::FromStr;

const CASES: u32 = 2_000;
const STEPS: usize = 60;

/// The number of schedules within which the checker must detect each fault.
const FAULT_CASES: u64 = 400;

#[test]
fn every_schedule_keeps_the_delivery_guarantees() {
    keeps_the_promises(schedule);
}

/// Stores are restored to any earlier state, on one side or both, lost except for the key, and used by
/// two daemons in turn.
#[test]
fn the_delivery_guarantees_hold_when_stores_are_restored_lost_or_copied() {
    keeps_the_promises(faulty_schedule);
}

/// A schedule that random runs found: two stores of one side, and a restored one of the other.
#[test]
fn a_copied_and_a_restored_store_come_to_rest() {
    use Side::{A, B};
    let ops = [
        Op::Send {
            side: B,
            ttl_s: 20,
            later: true,
        },
        Op::BothUp,
        Op::Deliver {
            to: A,
            pick: 161,
            later: false,
        },
        Op::Snapshot { side: A },
        Op::Send {
            side: B,
            ttl_s: 7200,
            later: true,
        },
        Op::Kill { side: B },
        Op::Deliver {
            to: A,
            pick: 0,
            later: true,
        },
        Op::Copy { side: B },
        Op::Again,
        Op::Copy { side: B },
        Op::Send {
            side: B,
            ttl_s: 0,
            later: false,
        },
        Op::Kill { side: B },
        Op::Deposit {
            side: B,
            pick: 213,
            later: false,
        },
        Op::GiveUp {
            side: B,
            pick: 22,
            later: false,
        },
        Op::Send {
            side: B,
            ttl_s: 0,
            later: false,
        },
        Op::Restore {
            side: A,
            pick: 107,
            told: false,
        },
        Op::BothUp,
        Op::Collect {
            to: A,
            pick: 14,
            copy: true,
        },
    ];
    let mut world = World::new(&World::small_limits(), 4_824_491_163_734_163_867);
    let broken = world.run(&ops);
    assert!(broken.is_empty(), "{broken:#?}");
}

fn keeps_the_promises(make: fn(u32, u64) -> Op) {
    let config = Config {
        cases: setting("M2_MODEL_CASES", CASES),
        failure_persistence: None,
        ..Config::default()
    };
    let steps = setting("M2_MODEL_STEPS", STEPS);
    let op = (any::<u32>(), any::<u64>()).prop_map(move |(kind, detail)| make(kind, detail));
    let strategy = (any::<u64>(), prop::collection::vec(op, 1..steps));
    TestRunner::new(config)
        .run(&strategy, |(seed, ops)| {
            let broken = World::new(&World::small_limits(), seed).run(&ops);
            prop_assert!(broken.is_empty(), "{broken:#?}");
            Ok(())
        })
        .unwrap();
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Schedules that are the same in every run.
fn fixed_schedules(count: u64) -> impl Iterator<Item = (u64, Vec<Op>)> {
    fixed(count, schedule)
}

fn fixed(count: u64, make: fn(u32, u64) -> Op) -> impl Iterator<Item = (u64, Vec<Op>)> {
    (0..count).map(move |seed| {
        let mut rng = StdRng::seed_from_u64(seed);
        let ops = (0..STEPS)
            .map(|_| make(rng.next_u32(), rng.next_u64()))
            .collect();
        (seed, ops)
    })
}

/// A model whose schedules never cause trouble proves nothing.
#[test]
fn schedules_reach_every_case() {
    let mut counters = Counters::default();
    let mut reached = Reached::default();
    for (seed, ops) in fixed_schedules(300) {
        let mut world = World::new(&World::small_limits(), seed);
        assert_eq!(world.run(&ops), Vec::<String>::new());
        for node in [&world.a, &world.b] {
            counters = counters.plus(&node.counters());
            reached.count(&node.store.events);
            reached.given_up += count(node.store.sent.values(), |sent| {
                matches!(sent.state, MessageState::GivenUp(_))
            });
            reached.given_up_but_delivered += node.store.given_up_but_delivered;
            reached.held += node.store.ever_held;
            reached.notices += node.notices;
        }
    }
    println!("{counters:?} {reached:?}");
    let Reached {
        shown,
        late,
        gaps,
        filled,
        given_up,
        given_up_but_delivered,
        held,
        notices,
    } = reached;
    assert!(shown > 1_000 && held > 100 && gaps > 10 && late > 0 && filled > 10);
    assert!(notices > 20 && given_up > 100 && given_up_but_delivered > 10);
    assert!(counters.duplicates > 100 && counters.unopened > 10 && counters.resent > 100);
    assert!(counters.resealed > 100 && counters.unknown_acks > 10);
    assert!(counters.ignored_refusals > 10);
    assert_eq!((counters.misdeeds, counters.seal_failed), (0, 0));
}

/// Like `schedules_reach_every_case`, for worlds whose stores are restored, lost or copied.
#[test]
fn faulty_schedules_reach_every_case() {
    let mut counters = Counters::default();
    let (mut restored, mut known, mut unknown) = ([0; 2], 0, 0);
    let mut conflicts = [0; 4];
    for (seed, ops) in fixed(600, faulty_schedule) {
        let mut world = World::new(&World::small_limits(), seed);
        assert_eq!(world.run(&ops), Vec::<String>::new());
        for (side, node) in [&world.a, &world.b].into_iter().enumerate() {
            counters = counters.plus(&node.counters());
            restored[side] += node.restores;
            let events = &node.store.events;
            known += count(events, |e| matches!(e, Event::Lost { missing: Some(_) }));
            unknown += count(events, |e| matches!(e, Event::Lost { missing: None }));
            for (conflict, count) in &node.conflicts {
                let place = match conflict {
                    Conflict::OwnOlder => 0,
                    Conflict::OwnTwice => 1,
                    Conflict::PeerOlder => 2,
                    Conflict::PeerTwice => 3,
                };
                conflicts[place] += count;
            }
        }
    }
    println!("{counters:?} {restored:?} {known} {unknown} {conflicts:?}");
    assert!(restored.iter().all(|count| *count > 50));
    assert!(known > 10 && unknown > 10);
    assert!(conflicts.iter().all(|count| *count > 0));
    assert!(counters.renewed > 50);
    assert_eq!((counters.misdeeds, counters.seal_failed), (0, 0));
}

#[derive(Debug, Default)]
struct Reached {
    shown: usize,
    late: usize,
    gaps: usize,
    filled: usize,
    given_up: usize,
    given_up_but_delivered: usize,
    held: usize,
    notices: usize,
}

impl Reached {
    fn count(&mut self, events: &[Event]) {
        self.shown += count(events, |event| matches!(event, Event::Shown { .. }));
        self.late += count(events, |event| {
            matches!(
                event,
                Event::Shown {
                    in_order: false,
                    ..
                }
            )
        });
        self.gaps += count(events, |event| matches!(event, Event::Gap { .. }));
        self.filled += count(events, |event| matches!(event, Event::Filled { .. }));
    }
}

fn count<T>(items: impl IntoIterator<Item = T>, which: impl Fn(&T) -> bool) -> usize {
    items.into_iter().filter(which).count()
}

/// Returns whether the checker reports a world whose drivers have this fault.
fn is_noticed(fault: Fault) -> bool {
    fixed_schedules(FAULT_CASES).any(|(seed, ops)| {
        let mut world = World::new(&World::small_limits(), seed).with_fault(fault);
        !world.run(&ops).is_empty()
    })
}

#[test]
fn a_driver_that_acts_before_it_commits_is_detected() {
    assert!(is_noticed(Fault::ActsBeforeCommit));
}

/// Selects the writes of one kind.
type IsKind = fn(&Write) -> bool;

#[test]
fn a_store_that_forgets_writes_is_detected() {
    let kinds: [(&str, IsKind); 10] = [
        ("Place", |w| matches!(w, Write::Place(_))),
        ("NextSequence", |w| matches!(w, Write::NextSequence { .. })),
        ("Outbox", |w| matches!(w, Write::Outbox { .. })),
        ("OutboxRemove", |w| matches!(w, Write::OutboxRemove { .. })),
        ("State", |w| matches!(w, Write::State { .. })),
        ("Incarnation", |w| matches!(w, Write::Incarnation(_))),
        ("Deliver", |w| matches!(w, Write::Deliver { .. })),
        ("Hold", |w| matches!(w, Write::Hold { .. })),
        ("Release", |w| matches!(w, Write::Release { .. })),
        ("Skip", |w| matches!(w, Write::Skip { .. })),
    ];
    for (name, kind) in kinds {
        assert!(is_noticed(Fault::Forgets(kind)), "{name}");
    }
}
