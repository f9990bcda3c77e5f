//! Two daemons behind routers of all kinds: they come together by the path that must be, and lose
//! nothing. Each network is first proven to be what it says. `cargo natlab` is the longer form,
//! whose table stands in docs/dev/nat-lab.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use m2_tests::natlab::{ALL, Options, Pace, run, table};

/// Daemons are cheap while they talk; starting them is not.
const AT_ONCE: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn contacts_come_together_in_every_network() {
    let options = Options {
        topologies: ALL.to_vec(),
        at_once: AT_ONCE,
        pace: Some(Pace::SHORT),
    };
    let told = |row: &m2_tests::natlab::Row| println!("{row:?}");
    let Some(rows) = run(options, told).await.unwrap() else {
        return;
    };
    println!("{}", table(&rows));
    let missed: Vec<String> = rows
        .iter()
        .filter(|row| !row.misses.is_empty())
        .map(|row| format!("{}: {}", row.topology.name, row.misses.join("; ")))
        .collect();
    assert!(missed.is_empty(), "\n  {}", missed.join("\n  "));
}
