//! Delivery against its reference model: random schedules of loss, reorder, repetition, crashes,
//! path changes, epochs that end, restores and time (spec §6).
//!
//! `M2_MODEL_CASES` sets the number of schedules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use m2_tests::sim::{Op, World, schedule};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const CASES: u32 = 2_000;
const STEPS: usize = 60;

fn cases() -> u32 {
    std::env::var("M2_MODEL_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(CASES)
}

fn op() -> impl Strategy<Value = Op> {
    (any::<u32>(), any::<u64>()).prop_map(|(kind, detail)| schedule(kind, detail))
}

#[test]
fn every_schedule_keeps_the_promises() {
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    };
    let strategy = (any::<u64>(), prop::collection::vec(op(), 1..STEPS));
    TestRunner::new(config)
        .run(&strategy, |(seed, ops)| {
            let broken = World::new(&World::small_limits(), seed).run(&ops);
            prop_assert!(broken.is_empty(), "{broken:#?}");
            Ok(())
        })
        .unwrap();
}
