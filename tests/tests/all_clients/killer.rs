//! Kills clients and daemons at random.

use crate::Tasks;
use crate::scene::{self, Scene};
use m2_tests::scenario::Pair;
use rand::RngExt as _;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often each victim was killed.
pub(crate) type Kills = BTreeMap<&'static str, u32>;

/// The times between two kills, in milliseconds.
const BETWEEN: std::ops::Range<u64> = 150..1_000;

/// Kills for this time, and at least each victim once. All daemons run when this returns.
pub(crate) async fn run(
    scene: &Scene,
    pair: &mut Pair,
    tasks: &mut Tasks,
    time: Duration,
) -> Kills {
    let begun = Instant::now();
    let mut kills = Kills::new();
    let clients: BTreeMap<_, _> = scene.victims().into_iter().collect();
    let all: Vec<&'static str> = clients.keys().copied().chain(["alice", "bob"]).collect();
    while begun.elapsed() < time || kills.len() < all.len() {
        let pause = rand::rng().random_range(BETWEEN);
        sleep(Duration::from_millis(pause)).await;
        scene::check(tasks);
        let victim = choose(&all, &kills);
        match clients.get(victim) {
            Some(client) => client.notify_one(),
            None => kill_daemon(victim, pair).await,
        }
        *kills.entry(victim).or_default() += 1;
    }
    kills
}

/// Chooses a victim at random, of those that were not killed much more often than others.
fn choose(all: &[&'static str], kills: &Kills) -> &'static str {
    let count = |name: &&'static str| kills.get(*name).copied().unwrap_or(0);
    let fewest = all.iter().map(count).min().unwrap_or(0);
    let rare = all.iter().filter(|name| count(name) <= fewest + 2);
    let rare: Vec<&'static str> = rare.copied().collect();
    rare[rand::rng().random_range(0..rare.len())]
}

async fn kill_daemon(name: &str, pair: &mut Pair) {
    let daemon = match name {
        "alice" => &mut pair.alice,
        _ => &mut pair.bob,
    };
    daemon.kill9().await.unwrap();
    daemon.restart().await.unwrap();
}
