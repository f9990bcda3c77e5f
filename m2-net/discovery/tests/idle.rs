//! Measures the cost of idle look-up, and checks that its threads end with their handles. In a
//! separate file, because threads of other tests would be counted too.
//!
//! To measure half a minute instead of two seconds, in which the start still counts: `cargo test -p
//! m2-discovery --test idle -- --ignored --nocapture`
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_crypto::presence::{ANNOUNCEMENT_BYTES, Announcement, DayKey, PresenceKey, PresenceSecret};
use m2_discovery::dht::{Dht, DhtConfig};
use m2_discovery::interfaces::Interfaces;
use m2_discovery::lan::{Lan, LanConfig};
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

/// The threads that look-up starts in addition to those of the runtime.
const THREADS: [&str; 3] = ["m2-interfaces", "mDNS_daemon", "Mainline Dht ac"];

/// All idle parts of look-up: the local network, the interfaces, and a DHT that was used.
struct LookUp {
    _lan: Lan,
    _interfaces: Interfaces,
    dht: Dht,
}

async fn start() -> LookUp {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = socket.local_addr().unwrap();
    let (_lan, _) = Lan::start(LanConfig {
        loopback: true,
        port: silent.port(),
    })
    .unwrap();
    let announcement = Announcement::parse(&[7; ANNOUNCEMENT_BYTES]).unwrap();
    _lan.announce(7, &announcement).await.unwrap();
    let dht = Dht::start(DhtConfig {
        bind: Ipv4Addr::LOCALHOST,
        bootstrap: Some(vec![silent.to_string()]),
        request_timeout: Duration::from_millis(50),
        linger: Duration::from_millis(200),
        ..DhtConfig::default()
    });
    let secret = PresenceSecret::new(m2_crypto::Secret::new([1; 32]));
    let key = DayKey::derive(&PresenceKey::of_pair(secret), 20_000);
    let within = Duration::from_secs(60);
    let found = dht.latest(&key, within, |_, _| Some(())).await.unwrap();
    assert_eq!(found, None);
    LookUp {
        _lan,
        _interfaces: Interfaces::watch(true).unwrap(),
        dht,
    }
}

#[test]
fn threads_end_with_their_handles() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let look_up = runtime.block_on(start());
    // The DHT node stops after its linger time.
    wait(|| threads() == THREADS[..2]);
    assert!(!look_up.dht.info().awake);
    drop(look_up);
    wait(|| threads().is_empty());
}

#[test]
#[ignore = "takes 40 s"]
fn idle_threads_rarely_wake_up() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let look_up = runtime.block_on(start());
    std::thread::sleep(Duration::from_secs(10));
    let before = wake_ups();
    std::thread::sleep(Duration::from_secs(30));
    let mut sum = 0.0;
    for (thread, count) in wake_ups() {
        let rate = (count - before.get(&thread).copied().unwrap_or(0)) as f64 / 30.0;
        println!("{rate:5.2} wake-ups a second of {thread}");
        sum += rate;
    }
    assert!(sum < 2.0, "{sum}");
    drop(look_up);
}

/// Returns the look-up threads that are running.
fn threads() -> Vec<&'static str> {
    let names = tasks("comm");
    THREADS
        .into_iter()
        .filter(|thread| names.iter().any(|name| name.trim() == *thread))
        .collect()
}

/// Returns how often each thread of this process, by number and name, was scheduled after it had
/// waited.
fn wake_ups() -> BTreeMap<String, u64> {
    let mut by_thread = BTreeMap::new();
    for status in tasks("status") {
        let value = |key: &str| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(key));
            line.unwrap().trim().to_owned()
        };
        let thread = format!("{} {}", value("Pid:"), value("Name:"));
        let count = value("voluntary_ctxt_switches:").parse().unwrap();
        by_thread.insert(thread, count);
    }
    by_thread
}

fn tasks(file: &str) -> Vec<String> {
    fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| fs::read_to_string(task.unwrap().path().join(file)).ok())
        .collect()
}

fn wait(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", threads());
        std::thread::sleep(Duration::from_millis(20));
    }
}
