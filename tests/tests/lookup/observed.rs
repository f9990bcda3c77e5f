//! Privacy and robustness against a DHT node that receives all requests and may lie.

use super::dht::{move_to, probe};
use super::node::{Node, Put, Temper};
use m2_crypto::presence::{DayKey, PresenceKey, PresenceSecret};
use m2_crypto::{PeerId, Secret};
use m2_discovery::dht::{Dht, DhtConfig};
use m2_proto::api::v1::{MessageState, RemoveContactRequest};
use m2_tests::harness::{Clock, Daemon, Setup};
use m2_tests::scenario::{Pair, eventually};
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// The length of a sealed record, in bytes (docs/spec/lookup.md#records).
const RECORD: usize = 960;
const DAY_S: i64 = 86_400;
/// The second of the day from which tomorrow's records are published too.
const LATE_S: i64 = 82_800;

fn party(name: &str, node: &Node) -> Setup {
    Setup::new().identity(name).lookup(&format!(
        "lan = false\nmap_port = false\ndht_timeout_ms = 2000\ndht_bootstrap = [\"{}\"]",
        node.address
    ))
}

async fn both_have_published(node: &Node) {
    eventually("both have published", async || {
        let puts = node.puts();
        let from: HashSet<_> = puts.iter().map(|put| put.from).collect();
        Ok((from.len() >= 2).then_some(()))
    })
    .await
    .unwrap();
}

/// The keys of items made since `moment`, with their salts, and those of earlier items.
type Keys = (HashSet<Vec<u8>>, HashSet<Vec<u8>>);

/// Waits until a daemon has published under `a_day` keys per day since its clock was set, then two
/// seconds more to catch an excess key.
async fn keys_since(node: &Node, moment: i64, a_day: usize) -> Keys {
    let what = format!("{a_day} keys a day");
    let look = || {
        let (new, old): (Vec<Put>, Vec<Put>) =
            node.puts().into_iter().partition(|put| put.seq >= moment);
        let late = new.iter().any(|put| put.seq.rem_euclid(DAY_S) >= LATE_S);
        let expected = if late { 2 * a_day } else { a_day };
        let place = |put: Put| [put.key, put.salt].concat();
        let keys = |puts: Vec<Put>| puts.into_iter().map(place).collect();
        ((keys(new), keys(old)), expected)
    };
    eventually(&what, async || {
        let ((new, _), expected): (Keys, usize) = look();
        Ok((new.len() >= expected).then_some(()))
    })
    .await
    .unwrap();
    sleep(Duration::from_secs(2)).await;
    let (keys, expected) = look();
    assert_eq!(keys.0.len(), expected, "{what}");
    keys
}

/// Sets a daemon's clock ahead by this number of hours. Returns the time that it shows, in Unix
/// seconds.
fn set_ahead(clock: &Clock, hours: u64) -> i64 {
    let ahead = Duration::from_secs(hours * 3_600);
    clock.set_ahead(ahead).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    (now.unwrap() + ahead).as_secs() as i64
}

fn assert_alike(puts: &[Put]) {
    let mut seen: HashSet<&[u8]> = HashSet::new();
    for put in puts {
        assert_eq!(put.value.len(), RECORD);
        assert_eq!(put.key.len(), 32);
        assert!([0, 16].contains(&put.salt.len()));
        let new: HashSet<&[u8]> = put.value.windows(8).collect();
        assert!(
            seen.is_disjoint(&new),
            "two records have something in common"
        );
        seen.extend(new);
    }
}

/// Asserts that no packet contains the name, the id or the address of a party.
async fn assert_nobody_is_named(node: &Node, daemons: [&Daemon; 2]) {
    let mut words: Vec<Vec<u8>> = ["alice", "m2://", "127.0.0.1"]
        .map(|word| word.as_bytes().to_vec())
        .to_vec();
    for daemon in daemons {
        let text = daemon.status().await.unwrap().peer_id;
        let id: PeerId = text.parse().unwrap();
        let port = daemon.udp_address().await.unwrap().port();
        let compact = [&[127, 0, 0, 1][..], &port.to_be_bytes()].concat();
        words.extend([id.as_bytes().to_vec(), text.into_bytes(), compact]);
    }
    let packets = node.packets();
    assert!(!packets.is_empty());
    for packet in packets {
        for word in &words {
            let named = packet.windows(word.len()).any(|window| window == *word);
            assert!(!named, "{:?}", String::from_utf8_lossy(&packet));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_of_all_records_learns_no_identity_and_no_address() {
    let (node, clock) = (Node::start().await, Clock::new().unwrap());
    let alice = clock.for_daemon(party("alice", &node));
    let pair = Pair::start_as(alice, party("bob", &node)).await;
    let mut pair = pair.unwrap();
    let (api, _) = pair.apis().await.unwrap();
    both_have_published(&node).await;
    assert_nobody_is_named(&node, [&pair.alice, &pair.bob]).await;
    pair.bob.stop().await.unwrap();

    // A day later: one key for the contact and one for a new invitation.
    let moment = set_ahead(&clock, 25);
    api.invite(false, "carol").await.unwrap();
    let (new, earlier) = keys_since(&node, moment, 2).await;
    assert!(new.is_disjoint(&earlier));

    // The contact is removed and the invitation has expired: nothing is published for them.
    let removal = RemoveContactRequest {
        contact: "bob".to_owned(),
        ..RemoveContactRequest::default()
    };
    api.client()
        .contacts()
        .remove_contact(removal)
        .await
        .unwrap();
    let moment = set_ahead(&clock, 50);
    api.invite(false, "carol").await.unwrap();
    let (new, earlier) = keys_since(&node, moment, 1).await;
    assert!(new.is_disjoint(&earlier));
    assert_alike(&node.puts());
}

/// A node can suppress records and replay old ones. It cannot make a daemon accept a forged one, and no
/// answer delays a daemon for long.
#[tokio::test(flavor = "multi_thread")]
async fn a_lying_node_can_only_suppress_or_replay_records() {
    let node = Node::start().await;
    let dht = Dht::start(DhtConfig {
        bind: Ipv4Addr::LOCALHOST,
        bootstrap: Some(vec![node.address.to_string()]),
        request_timeout: Duration::from_millis(300),
        ..DhtConfig::default()
    });
    let within = Duration::from_secs(60);
    let [key, other] = [1, 2].map(|byte| {
        let secret = PresenceSecret::new(Secret::new([byte; 32]));
        DayKey::derive(&PresenceKey::of_pair(secret), 20_000)
    });
    for (key, seq, byte) in [(&key, 5, 1), (&key, 6, 2), (&other, 7, 3)] {
        let stored = dht.publish(key, seq, &[byte; RECORD], within).await;
        assert_eq!(stored.unwrap(), 1);
    }
    for (temper, expected) in [
        (Temper::Honest, Some((6, 2))),
        (Temper::Replays, Some((5, 1))),
        (Temper::Forges, None),
        (Temper::Confuses, None),
        (Temper::Swells, None),
        (Temper::Babbles, None),
    ] {
        node.set(temper);
        let read = |_: u64, value: &[u8; RECORD]| Some(value[0]);
        let found = dht.latest(&key, within, read).await.unwrap();
        assert_eq!(found, expected, "{temper:?}");
        assert!(node.answered() > 0, "{temper:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_with_replayed_records_is_reached_once_a_new_one_is_found() {
    let node = Node::start().await;
    let pair = Pair::start_as(party("alice", &node), party("bob", &node)).await;
    let mut pair = pair.unwrap();
    both_have_published(&node).await;
    node.set(Temper::Replays);
    let before = node.puts().len();
    for (daemon, host) in [
        (&mut pair.alice, "127.0.0.31"),
        (&mut pair.bob, "127.0.0.32"),
    ] {
        daemon.stop().await.unwrap();
        move_to(daemon, host);
        daemon.restart().await.unwrap();
    }
    let (api, _) = pair.apis().await.unwrap();
    let id = api.send("bob", "here").await.unwrap();
    let tried = probe(&api, "bob").await;
    assert!(tried.iter().all(|way| !way.reached), "{tried:?}");
    assert!(node.answered() > 0);
    assert!(!api.contact("bob").await.unwrap().online);
    eventually("both have published their new addresses", async || {
        let puts = node.puts().split_off(before);
        let from: HashSet<_> = puts.into_iter().map(|put| put.from).collect();
        Ok((from.len() >= 2).then_some(()))
    })
    .await
    .unwrap();
    node.set(Temper::Honest);
    probe(&api, "bob").await;
    api.await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
}
