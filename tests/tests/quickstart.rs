//! Runs `cargo quickstart` and checks its output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use m2_tests::harness::Setup;
use m2_tests::quickstart::play;
use std::sync::Mutex;

#[tokio::test]
async fn the_quick_start_succeeds_and_names_all_levels() {
    let told = Mutex::new(Vec::new());
    let (alice, bob) = (Setup::new().identity("alice"), Setup::new().identity("bob"));
    play(alice, bob, |line| {
        told.lock().unwrap().push(line.to_owned())
    })
    .await
    .unwrap();
    let told = told.into_inner().unwrap().join("\n");
    for part in [
        "level 1",
        "level 2",
        "level 3",
        "exactly once",
        "m2 invite create",
    ] {
        assert!(told.contains(part), "{part} is missing from:\n{told}");
    }
}
