//! Engines for unit tests.

use crate::Engine;
use crate::Parts;
use crate::Settings;
use crate::clock::Clock;
use crate::upkeep::run_timers;
use m2_crypto::{Circle, Identity, Secret, provider};
use m2_store::StoreFile;
use std::sync::Arc;

/// Alice's engine, without contacts.
pub(crate) fn engine() -> (tempfile::TempDir, Engine) {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine_on(dir.path());
    (dir, engine)
}

/// Alice's engine on the store in a directory.
pub(crate) fn engine_on(directory: &std::path::Path) -> Engine {
    let file = StoreFile::new(directory, Secret::new([7; 32]));
    let pem = include_str!("../../../tests/vectors/identities/alice.pem");
    let identity = Identity::from_pem(pem, None, provider::default()).unwrap();
    let engine = Engine::new(Parts {
        store: file.open().unwrap(),
        clock: Arc::new(Clock::manual()),
        identity: Arc::new(identity),
        circle: Circle::public(),
        settings: Settings::default(),
        counters: Arc::default(),
    });
    engine.unwrap()
}

/// Advances the clock by `time` milliseconds and runs the due work.
pub(crate) fn pass_ms(engine: &mut Engine, time: u64) {
    engine.state.batch.clock.pass(time);
    engine.state.batch.store.begin().unwrap();
    run_timers(&mut engine.state);
    assert!(engine.state.batch.failed.is_none());
    engine.state.flush_and_commit().unwrap();
}
