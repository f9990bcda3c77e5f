//! What a node of the DHT learns that everything goes to, and what it can do by lying.

use super::dht::{move_to, probe};
use super::node::{Node, Put, Temper};
use m2_crypto::{PeerId, Secret};
use m2_net::lookup::dht::{Dht, DhtConfig};
use m2_proto::api::v1::{MessageState, RemoveContactRequest};
use m2_tests::harness::{Clock, Daemon, Setup};
use m2_tests::scenario::{Pair, eventually};
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// Bytes of a sealed record (docs/spec/lookup.md).
const RECORD: usize = 960;
const DAY_S: i64 = 86_400;
/// From when on tomorrow's records are published too, seconds of the day.
const LATE_S: i64 = 82_800;

fn party(name: &str, node: &Node) -> Setup {
    Setup::new().identity(name).lookup(&format!(
        "lan = false\nmap_port = false\ndht_timeout_ms = 300\ndht_bootstrap = [\"{}\"]",
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

/// Keys under which something was written that was made after `moment`, and those of before.
type Keys = (HashSet<Vec<u8>>, HashSet<Vec<u8>>);

/// Waits until a daemon has written under so many keys a day since its clock was set, and then a
/// bit for one more.
async fn keys_since(node: &Node, moment: i64, a_day: usize) -> Keys {
    let what = format!("{a_day} keys a day");
    let look = || {
        let (new, old): (Vec<Put>, Vec<Put>) =
            node.puts().into_iter().partition(|put| put.seq >= moment);
        let late = new.iter().any(|put| put.seq.rem_euclid(DAY_S) >= LATE_S);
        let expected = if late { 2 * a_day } else { a_day };
        let keys = |puts: Vec<Put>| puts.into_iter().map(|put| put.key).collect();
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

/// Sets a daemon's clock so many hours ahead. Returns what it shows now, Unix time in seconds.
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
        let new: HashSet<&[u8]> = put.value.windows(8).collect();
        assert!(
            seen.is_disjoint(&new),
            "two records have something in common"
        );
        seen.extend(new);
    }
}

/// Nothing that names a party or says where it is called stands in any packet.
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
async fn who_sees_all_that_is_published_learns_nothing_of_whom() {
    let (node, clock) = (Node::start().await, Clock::new().unwrap());
    let alice = clock.for_daemon(party("alice", &node));
    let pair = Pair::start_as(alice, party("bob", &node)).await;
    let mut pair = pair.unwrap();
    let (api, _) = pair.apis().await.unwrap();
    both_have_published(&node).await;
    assert_nobody_is_named(&node, [&pair.alice, &pair.bob]).await;
    pair.bob.stop().await.unwrap();

    // A day later: one key for the contact, one for a new invitation.
    let moment = set_ahead(&clock, 25);
    api.invite(false, "carol").await.unwrap();
    let (new, earlier) = keys_since(&node, moment, 2).await;
    assert!(new.is_disjoint(&earlier));

    // The contact is removed, the invitation has run out: nothing is published for them.
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

/// It can silence. It can't make anybody believe what was never written, and nothing that it says
/// takes a daemon more than a moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lies_can_only_silence() {
    let node = Node::start().await;
    let dht = Dht::start(DhtConfig {
        bind: Ipv4Addr::LOCALHOST,
        bootstrap: Some(vec![node.address.to_string()]),
        request_timeout: Duration::from_millis(300),
        ..DhtConfig::default()
    });
    let within = Duration::from_secs(60);
    let (seed, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
    for (seed, seq, byte) in [(&seed, 5, 1), (&seed, 6, 2), (&other, 7, 3)] {
        let stored = dht.publish(seed, seq, &[byte; RECORD], within).await;
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
        let found = dht.latest(&seed, within, read).await.unwrap();
        assert_eq!(found, expected, "{temper:?}");
        assert!(node.answered() > 0, "{temper:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_told_old_records_gets_through_once_there_is_a_new_one() {
    let node = Node::start().await;
    let pair = Pair::start_as(party("alice", &node), party("bob", &node)).await;
    let mut pair = pair.unwrap();
    both_have_published(&node).await;
    node.set(Temper::Replays);
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
    node.set(Temper::Honest);
    probe(&api, "bob").await;
    api.await_message(&id, MessageState::Delivered)
        .await
        .unwrap();
}
