use super::*;
use crate::Engine;
use crate::relations;
use crate::testing::{engine, engine_on, pass_ms};
use m2_core::ContactState;
use m2_crypto::PeerId;
use m2_store::EventKind;

const TERMS: SharedTerms = SharedTerms {
    lease_ms: 30_000,
    max_open: 1,
    max_deliveries: 2,
};
const ONE: WorkerId = WorkerId(1);
const OTHER: WorkerId = WorkerId(2);

/// Appends an event about this contact to the log.
fn event(engine: &mut Engine, contact: u8) {
    let peer = PeerId::from_bytes([contact; 32]);
    if engine.state.peers.row_of(&peer).is_none() {
        relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
    }
    let row = engine.state.peers.row_of(&peer).unwrap();
    let batch = &mut engine.state.batch;
    batch.event(EventKind::ContactAdded, row, None, 0).unwrap();
}

fn join_as(engine: &mut Engine, id: WorkerId, filter: EventFilter) -> Result<i64, Refusal> {
    let worker = Worker {
        client: "jobs".to_owned(),
        filter,
        terms: TERMS,
    };
    join(&mut engine.state, id, worker, "", StreamStart::Start)
}

/// Returns the numbers and deliveries of the events that a worker is given.
fn given(engine: &mut Engine, id: WorkerId) -> Vec<(i64, u32)> {
    let taken = take(&mut engine.state, id).unwrap();
    let events = taken.events.iter();
    events.map(|given| (given.seq, given.delivery)).collect()
}

fn scene() -> (tempfile::TempDir, Engine) {
    let (dir, mut engine) = engine();
    for contact in [1, 1, 2] {
        event(&mut engine, contact);
    }
    for id in [ONE, OTHER] {
        join_as(&mut engine, id, EventFilter::default()).unwrap();
    }
    (dir, engine)
}

#[test]
fn workers_share_the_events_of_a_name() {
    let (_dir, mut engine) = scene();
    assert_eq!(given(&mut engine, ONE), [(1, 1)]);
    assert_eq!(given(&mut engine, OTHER), [(3, 1)], "2 waits for 1");
    assert_eq!(given(&mut engine, ONE), []);
    acknowledge(&mut engine.state, "jobs", 1).unwrap();
    assert_eq!(given(&mut engine, ONE), [(2, 1)]);
    acknowledge(&mut engine.state, "jobs", 3).unwrap();
    let head = engine.state.batch.store.client("jobs").unwrap().unwrap();
    assert_eq!(head.cursor, 1, "2 is open");
    acknowledge(&mut engine.state, "jobs", 2).unwrap();
    let head = engine.state.batch.store.client("jobs").unwrap().unwrap();
    assert_eq!(head.cursor, 3);
    let rows = engine.state.batch.store.shared_events("jobs").unwrap();
    assert_eq!(rows, []);
}

#[test]
fn leases_deliveries_and_dead_letters_survive_a_restart() {
    let (dir, mut engine) = scene();
    assert_eq!(given(&mut engine, ONE), [(1, 1)]);
    drop(engine);
    let mut engine = engine_on(dir.path());
    join_as(&mut engine, OTHER, EventFilter::default()).unwrap();
    assert_eq!(given(&mut engine, OTHER), [(3, 1)], "1 is leased");
    acknowledge(&mut engine.state, "jobs", 3).unwrap();
    // The clock of an engine that starts again shows the same time.
    pass_ms(&mut engine, TERMS.lease_ms);
    assert_eq!(given(&mut engine, OTHER), [(1, 2)]);
    pass_ms(&mut engine, TERMS.lease_ms);
    assert_eq!(given(&mut engine, OTHER), [(2, 1)], "1 is a dead letter");
    let warning = dead_letter_warning(&engine.state).unwrap().unwrap();
    assert!(warning.starts_with("1 events of 1 "), "{warning}");
    drop(engine);
    let mut engine = engine_on(dir.path());
    let retried = settle(&mut engine.state, "jobs", &[], LetterAction::Retry);
    assert_eq!(retried.unwrap(), 1);
    join_as(&mut engine, ONE, EventFilter::default()).unwrap();
    assert_eq!(given(&mut engine, ONE), [(1, 1)]);
    assert_eq!(dead_letter_warning(&engine.state).unwrap(), None);
}

#[test]
fn a_rollback_takes_an_event_back() {
    let (_dir, mut engine) = scene();
    engine.begin_batch();
    assert_eq!(given(&mut engine, ONE), [(1, 1)]);
    let refusal = Refusal::new(Reason::StoreFailed);
    engine.state.batch.fail(refusal);
    engine.end_batch().unwrap_err();
    engine.begin_batch();
    assert_eq!(given(&mut engine, OTHER), [(1, 1)]);
    engine.end_batch().unwrap();
}

#[test]
fn workers_of_a_name_select_the_same_events() {
    let (_dir, mut engine) = scene();
    let other = EventFilter::new(Some(vec![EventKind::Gap]), None);
    let refused = join_as(&mut engine, WorkerId(3), other.clone()).unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidArgument);
    for id in [ONE, OTHER] {
        leave(&mut engine.state, id, &[]).unwrap();
    }
    assert!(engine.state.shared.queues.is_empty());
    join_as(&mut engine, WorkerId(3), other).unwrap();
    let taken = take(&mut engine.state, WorkerId(3)).unwrap();
    assert_eq!(taken.events, []);
    assert!(taken.is_caught_up);
    let head = engine.state.batch.store.client("jobs").unwrap().unwrap();
    assert_eq!(
        head.cursor, 3,
        "events that are not selected are passed over"
    );
}

#[test]
fn an_event_that_did_not_reach_its_worker_is_given_to_another_at_once() {
    let (_dir, mut engine) = scene();
    assert_eq!(given(&mut engine, ONE), [(1, 1)]);
    leave(&mut engine.state, ONE, &[1]).unwrap();
    assert_eq!(given(&mut engine, OTHER), [(1, 1)]);
}

#[test]
fn events_that_are_deleted_before_they_are_handled_are_reported() {
    let (_dir, mut engine) = scene();
    assert_eq!(given(&mut engine, ONE), [(1, 1)]);
    for _ in 0..3 {
        event(&mut engine, 3);
    }
    let store = &engine.state.batch.store;
    store.prune_events(0, 2, 100).unwrap();
    let taken = take(&mut engine.state, OTHER).unwrap();
    assert_eq!(taken.dropped, Some((4, 4)));
    assert_eq!(taken.events[0].seq, 5);
    let rows = engine.state.batch.store.shared_events("jobs").unwrap();
    assert!(rows.iter().all(|row| row.seq > 4), "{rows:?}");
}

#[test]
fn the_number_of_workers_is_bounded() {
    let (_dir, mut engine) = scene();
    for number in 3..=64 {
        join_as(&mut engine, WorkerId(number), EventFilter::default()).unwrap();
    }
    let refused = join_as(&mut engine, WorkerId(65), EventFilter::default()).unwrap_err();
    assert_eq!(refused.reason, Reason::LimitReached);
}
