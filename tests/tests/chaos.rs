//! Daemons that are killed with SIGKILL at random moments lose nothing and deliver nothing twice.
#![allow(clippy::unwrap_used, clippy::panic)]

use m2_tests::scenario::chaos::{Options, run};
use std::env;

/// Fewer kills would miss moments; longer runs are left to `cargo chaos`.
const KILLS: u32 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_no_message_and_duplicate_none() {
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse().ok());
    let seed = number("M2_CHAOS_SEED").unwrap_or_else(rand::random);
    let kills = number("M2_CHAOS_KILLS").and_then(|kills: u64| u32::try_from(kills).ok());
    let kills = kills.unwrap_or(KILLS);
    println!("M2_CHAOS_SEED={seed} M2_CHAOS_KILLS={kills}");
    let report = run(Options { kills, seed }).await.unwrap();
    println!("{report:?}");
    assert!(report.kills >= kills);
    // The run was under load: on average more than ten messages were acknowledged per kill.
    assert!(
        report.acknowledged as u64 > 10 * u64::from(kills),
        "{report:?}"
    );
}
