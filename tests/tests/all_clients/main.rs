//! All clients at once on one identity: `m2`, the gateway, the server for agents, the bridge to MQTT and the Python
//! package send and listen at alice's daemon, while each of them, and both daemons, are killed with SIGKILL at random.
//!
//! Each client repeats with the same key whatever it does not know to be sent. Afterwards bob's daemon has each message
//! once, and those of each client in order; and each client has heard each message of bob at least once.
//!
//! The long form: `cargo test -p m2-tests --test all_clients -- --ignored --nocapture`. `M2_CLIENTS_SECONDS` sets its
//! time, 300 seconds by default.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod agent;
mod command;
mod feed;
mod gateway;
mod killer;
mod mqtt;
mod python;
mod scene;
mod verdict;

use gateway::Gateway;
use m2_tests::mosquitto::Mosquitto;
use m2_tests::scenario::Pair;
use m2_tests::skip::skip;
use scene::{Phase, Scene};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The time of the form that always runs.
const SHORT: Duration = Duration::from_secs(20);
/// The time of the long form, in seconds.
const LONG: u64 = 300;

/// The clients that run. Each ends in its phase, or with the reason why it can't go on.
type Tasks = JoinSet<anyhow::Result<()>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_is_killed_and_none_loses_or_repeats_a_message() {
    run(SHORT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes five minutes"]
async fn every_client_is_killed_for_five_minutes() {
    let seconds = std::env::var("M2_CLIENTS_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(LONG);
    run(Duration::from_secs(seconds)).await;
}

/// Starts the clients. A further one gets a module with functions of the same form, its lines here, and its names.
async fn start(scene: &Arc<Scene>) -> Tasks {
    let mut tasks = Tasks::new();
    scene.expect(&["feed", "lines", "http", "mcp"], &["cli", "http", "mcp"]);
    tasks.spawn(feed::send(scene.clone()));
    tasks.spawn(command::send_lines(scene.clone(), scene.victim("m2 send")));
    tasks.spawn(command::listen(scene.clone(), scene.victim("m2 listen")));
    let gateway = Gateway::new(scene).await;
    tasks.spawn(gateway.clone().keep(scene.clone(), scene.victim("m2-http")));
    tasks.spawn(gateway.clone().send(scene.clone()));
    tasks.spawn(gateway.listen(scene.clone()));
    let token = scene.token("agent").await;
    tasks.spawn(agent::run(scene.clone(), scene.victim("m2-mcp"), token));
    if let Some(broker) = Mosquitto::start("allow_anonymous true\n").await {
        scene.expect(&["mqtt"], &["mqtt"]);
        let token = scene.token("bridge").await;
        let kill = scene.victim("m2-mqtt");
        let (home, events, topics) = mqtt::Home::new(broker.port());
        tasks.spawn(mqtt::keep(scene.clone(), kill, broker, token));
        tasks.spawn(mqtt::hear(scene.clone(), events, topics));
        tasks.spawn(home.send(scene.clone()));
    }
    match python::interpreter().await {
        Some(python) => {
            scene.expect(&["python"], &["python"]);
            tasks.spawn(python::run(scene.clone(), scene.victim("python"), python));
        }
        None => skip(python::MISSING),
    }
    tasks
}

async fn run(time: Duration) {
    let mut pair = Pair::start().await.unwrap();
    let scene = Arc::new(Scene::new(&pair));
    let mut tasks = start(&scene).await;
    scene.wait_for_listeners(&mut tasks).await;
    scene.enter(Phase::Load);
    let kills = killer::run(&scene, &mut pair, &mut tasks, time).await;
    scene.enter(Phase::Drain);
    scene.wait_for_senders(&mut tasks).await;
    let sent = verdict::each_once_and_in_order(&pair, &scene).await;
    let fed = scene.confirmed("feed");
    scene.wait_until_heard(fed, &mut tasks).await;
    scene.enter(Phase::Over);
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap().unwrap();
    }
    println!("kills: {kills:?}");
    println!("messages, each once and in order: {sent:?}");
    println!("events, each heard by each client: {fed}");
    assert!(fed > 0 && sent.values().all(|count| *count > 0));
}
