//! The DHT against a test network of `mainline` on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_crypto::Secret;
use m2_crypto::presence::{DayKey, PresenceKey, PresenceSecret, RECORD_BYTES, RecordKey};
use m2_discovery::dht::{Dht, DhtConfig, DhtError};
use mainline::{MutableItem, SigningKey, Testnet};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

const WITHIN: Duration = Duration::from_secs(60);

/// The network shared by all tests. Each test uses different seeds.
static NETWORK: LazyLock<Testnet> = LazyLock::new(|| Testnet::builder(10).build().unwrap());

fn config() -> DhtConfig {
    DhtConfig {
        bind: Ipv4Addr::LOCALHOST,
        bootstrap: Some(NETWORK.bootstrap.clone()),
        request_timeout: Duration::from_millis(150),
        ..DhtConfig::default()
    }
}

/// A key of a pair.
fn seed(byte: u8) -> DayKey {
    let secret = PresenceSecret::new(Secret::new([byte; 32]));
    DayKey::derive(&PresenceKey::of_pair(secret), 20_000)
}

/// The keys of an invitation, as its inviter and a holder know them.
fn invited(byte: u8, day: u32) -> [DayKey; 2] {
    let (token, own) = (Secret::new([byte; 16]), Secret::new([byte; 32]));
    let own = RecordKey::Seed(own);
    let held = RecordKey::Public(own.public());
    [own, held].map(|key| DayKey::derive(&PresenceKey::of_invitation(&token, key), day))
}

fn value(byte: u8) -> [u8; RECORD_BYTES] {
    [byte; RECORD_BYTES]
}

/// Returns the newest value under a seed, by its first byte, unless that is 0.
async fn latest(dht: &Dht, seed: &DayKey) -> Option<(u64, u8)> {
    let read = |_: u64, value: &[u8; RECORD_BYTES]| Some(value[0]).filter(|byte| *byte != 0);
    dht.latest(seed, WITHIN, read).await.unwrap()
}

/// Repeats the query until it succeeds: on a busy machine nodes miss their timeouts.
async fn finds(dht: &Dht, seed: &DayKey, expected: (u64, u8)) {
    let start = Instant::now();
    loop {
        match latest(dht, seed).await {
            Some(found) if found == expected => return,
            other => assert!(start.elapsed() < WITHIN, "{other:?} for {expected:?}"),
        }
    }
}

async fn publish(dht: &Dht, seed: &DayKey, seq_s: u64, byte: u8) {
    let start = Instant::now();
    loop {
        match dht.publish(seed, seq_s, &value(byte), WITHIN).await {
            Ok(stored) => return assert!(stored > 0),
            Err(error) => assert!(start.elapsed() < WITHIN, "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_published_record_is_found_by_another_node() {
    let one = Dht::start(config());
    let other = Dht::start(config());
    assert_eq!(latest(&other, &seed(1)).await, None);
    publish(&one, &seed(1), 1_800_000_000, 7).await;
    finds(&other, &seed(1), (1_800_000_000, 7)).await;
    assert_eq!(latest(&other, &seed(2)).await, None);
    // Published again, with a newer sequence number.
    publish(&one, &seed(1), 1_800_003_600, 8).await;
    finds(&other, &seed(1), (1_800_003_600, 8)).await;
    let info = other.info();
    assert!(info.awake && info.nodes > 0);
    assert!((1..=12).contains(&info.known.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_of_an_invitation_finds_its_record_and_can_not_replace_it() {
    let dht = Dht::start(config());
    let [inviter, holder] = invited(61, 20_000);
    publish(&dht, &inviter, 5, 5).await;
    finds(&dht, &holder, (5, 5)).await;
    let replaced = dht.publish(&holder, 6, &value(6), WITHIN).await;
    assert!(matches!(replaced, Err(DhtError::NotStored)), "{replaced:?}");
    // A record of another day is stored elsewhere.
    let [tomorrow, _] = invited(61, 20_001);
    assert_eq!(latest(&dht, &tomorrow).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_jobs_are_queued() {
    let dht = Dht::start(config());
    let all = (101..=130).map(|byte| {
        let dht = &dht;
        async move {
            publish(dht, &seed(byte), 5, byte).await;
            finds(dht, &seed(byte), (5, byte)).await;
        }
    });
    futures_util::future::join_all(all).await;
}

/// Any party that has the seed can publish anything: the contact itself, or an attacker that has
/// taken it over.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_records_are_ignored() {
    let dht = Dht::start(config());
    let hostile = mainline::Dht::builder()
        .bootstrap(&NETWORK.bootstrap)
        .bind_address(Ipv4Addr::LOCALHOST)
        .request_timeout(Duration::from_millis(150))
        .build()
        .unwrap()
        .as_async();
    for (byte, size) in [
        (41, 0),
        (42, 1),
        (43, RECORD_BYTES - 1),
        (44, RECORD_BYTES + 20),
    ] {
        let key = SigningKey::from_bytes(seed(byte).dht_key().seed().unwrap().expose());
        let item = MutableItem::new(key, &vec![9; size], 5, None);
        // One of the sizes is longer than nodes accept.
        let _ = hostile.put_mutable(item, None).await;
        assert_eq!(latest(&dht, &seed(byte)).await, None, "{size}");
    }
    // The correct size, but garbage.
    publish(&dht, &seed(45), 5, 0).await;
    assert_eq!(latest(&dht, &seed(45)).await, None);
    // Nodes refuse a lower sequence number.
    publish(&dht, &seed(46), 5, 5).await;
    let older = dht.publish(&seed(46), 4, &value(4), WITHIN).await;
    assert!(matches!(older, Err(DhtError::NotStored)), "{older:?}");
    finds(&dht, &seed(46), (5, 5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_node_stops_and_restarts_from_known_nodes() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let dht = Dht::start(DhtConfig {
        port,
        linger: Duration::from_millis(300),
        ..config()
    });
    assert!(!dht.info().awake);
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).expect("nothing is open before the first use");
    publish(&dht, &seed(51), 5, 5).await;
    finds(&dht, &seed(51), (5, 5)).await;
    wait(|| !dht.info().awake && is_free(port)).await;
    // The port is the same, so it may take a moment until it is free.
    finds(&dht, &seed(51), (5, 5)).await;
    let known = dht.info().known;
    drop(dht);
    wait(|| is_free(port)).await;

    // The known nodes are enough to bootstrap.
    let restarted = Dht::start(DhtConfig {
        known,
        bootstrap: Some(Vec::new()),
        ..config()
    });
    finds(&restarted, &seed(51), (5, 5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_dht_is_reported() {
    let nowhere = DhtConfig {
        bind: Ipv4Addr::LOCALHOST,
        bootstrap: Some(Vec::new()),
        ..DhtConfig::default()
    };
    let dht = Dht::start(nowhere.clone());
    let published = dht.publish(&seed(1), 1, &value(1), WITHIN).await;
    assert!(
        matches!(published, Err(DhtError::NoBootstrap)),
        "{published:?}"
    );

    // Bootstrap nodes that do not answer.
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let dht = Dht::start(DhtConfig {
        bootstrap: Some(vec![silent.local_addr().unwrap().to_string()]),
        request_timeout: Duration::from_millis(150),
        ..nowhere.clone()
    });
    let published = dht.publish(&seed(1), 1, &value(1), WITHIN).await;
    assert!(
        matches!(published, Err(DhtError::NotStored)),
        "{published:?}"
    );
    assert_eq!(latest(&dht, &seed(1)).await, None);
    assert_eq!(dht.info().nodes, 0);

    // A port that is in use.
    let dht = Dht::start(DhtConfig {
        port: silent.local_addr().unwrap().port(),
        bootstrap: Some(vec!["127.0.0.1:9".to_owned()]),
        ..nowhere
    });
    let published = dht.publish(&seed(1), 1, &value(1), WITHIN).await;
    assert!(
        matches!(published, Err(DhtError::Socket(_))),
        "{published:?}"
    );
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

async fn wait(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < WITHIN, "it did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
