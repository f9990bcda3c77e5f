//! Thirty peers that wait for a daemon to restart.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use m2_crypto::Identity;
use m2_proto::api::v1::{ContactState, MessageState};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::hostile::crowd;
use m2_tests::scenario::Api;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const PEERS: usize = 30;
/// How long the hub is stopped.
const AWAY: Duration = Duration::from_secs(60);
/// How long the last peer may wait on two idle cores, in a release build.
const SERVED: Duration = Duration::from_secs(5);

/// Measures wall time and takes minutes:
///
/// `cargo test --release -p m2-tests --test thirty_peers -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures wall time on a quiet machine"]
async fn a_restarted_daemon_serves_all_waiting_peers_in_time() {
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let setup = Setup::new().identity("alice");
    let setup = setup.network(&format!("listen = [\"{port}\"]"));
    let mut hub = Daemon::start(setup).await.unwrap();
    let api = Api::of(&hub).await.unwrap();
    let mut peers = Vec::new();
    for identity in crowd(PEERS).unwrap() {
        peers.push(join(&api, &identity, peers.len()).await);
    }
    api.await_empty_outbox().await.unwrap();
    drop(api);
    hub.stop().await.unwrap();

    let mut waiting = Vec::new();
    for (_daemon, api) in &peers {
        waiting.push(api.send("hub", "waiting").await.unwrap());
    }
    tokio::time::sleep(AWAY).await;
    let start = Instant::now();
    hub.restart().await.unwrap();
    let mut took = Vec::new();
    for ((_daemon, api), id) in peers.iter().zip(&waiting) {
        let delivered = api.await_message(id, MessageState::Delivered);
        delivered.await.unwrap();
        took.push(start.elapsed());
    }
    let status = hub.status().await.unwrap();
    let counts: Vec<_> = status
        .refused
        .iter()
        .filter(|(name, count)| {
            **count > 0 && (name.starts_with("DIAL_") || name.starts_with("SESSION_"))
        })
        .collect();
    println!(
        "all served after {:?}, {:?} of processor time",
        took.iter().max(),
        cpu(&hub)
    );
    println!("{counts:?}");
    assert!(took.iter().all(|took| *took < SERVED), "{took:?}");
}

/// Starts a peer and makes it a contact of the hub.
async fn join(hub: &Api, identity: &Identity, number: usize) -> (Daemon, Api) {
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let pem = identity.to_pem(&mut rng, None).unwrap();
    let daemon = Daemon::start(Setup::new().pem(&pem)).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    let name = format!("peer{number}");
    let uri = hub.invite(false, &name).await.unwrap();
    api.add(&uri, "hub").await.unwrap();
    hub.await_state(&name, ContactState::Contact).await.unwrap();
    api.await_state("hub", ContactState::Contact).await.unwrap();
    (daemon, api)
}

/// The processor time that a daemon has used so far.
fn cpu(daemon: &Daemon) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid().unwrap())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
