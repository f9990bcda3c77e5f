//! Paths to the relay that drop, delay, reorder, duplicate and corrupt datagrams, or carry too small
//! ones.

use super::blind::{Scene, add_line_at};
use super::scene::{Relay, await_path, befriend, party};
use m2_proto::api::v1::{ListLinesRequest, Path};
use m2_tests::harness::{Daemon, Fate, Wire};
use m2_tests::hostile::Noise;
use m2_tests::scenario::{Api, eventually};
use std::time::Duration;

/// Messages in each direction.
const MESSAGES: usize = 100;
/// The largest datagram of the path, in bytes: too small for a packet of 1,200 bytes.
const TOO_SMALL: usize = 1_236;

#[tokio::test(flavor = "multi_thread")]
async fn messages_arrive_once_and_in_order_over_a_bad_path() {
    let scene = Scene::start().await;
    let [alice, bob] = &scene.apis;
    befriend((alice, "alice"), (bob, "bob")).await;
    await_path(alice, "bob", Path::Line).await;
    for (seed, wire) in (7..).zip(&scene.wires) {
        let mut noise = Noise::new(seed);
        wire.clear();
        wire.decide(move |_, bytes| match noise.below(100) {
            0..10 => Fate::lost(),
            10..20 => {
                let late = 1 + noise.below(60) as u64;
                Fate::late(bytes, Duration::from_millis(late))
            }
            20..25 => Fate::twice(bytes),
            25..30 => Fate::flipped(bytes, noise.below(8 * bytes.len())),
            _ => Fate::pass(bytes),
        });
    }
    tokio::join!(send_all(alice, "bob"), send_all(bob, "alice"));
    tokio::join!(all_came(alice, "bob"), all_came(bob, "alice"));
    for wire in &scene.wires {
        let count = wire.captured().len();
        assert!(count > MESSAGES, "{count} datagrams");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_with_too_small_an_mtu_is_reported() {
    let (relay, alice, wire) = tokio::join!(
        Relay::start(),
        Daemon::start(party("alice", "line-only")),
        Wire::new()
    );
    let (alice, wire) = (alice.unwrap(), wire.unwrap());
    wire.aim(relay.daemon.udp_address().await.unwrap());
    wire.decide(|_, bytes| {
        if bytes.len() > TOO_SMALL {
            return Fate::lost();
        }
        Fate::pass(bytes)
    });
    let api = Api::of(&alice).await.unwrap();
    add_line_at(&api, &relay, wire.address()).await;
    // Without a contact or an invitation, alice has no use for a line and opens none.
    api.invite(false, "bob").await.unwrap();
    let line = eventually("a reason", async || {
        let lines = api.client().lines().list_lines(ListLinesRequest {}).await?;
        let mut lines = lines.into_inner().lines.into_iter();
        Ok(lines.find(|line| !line.last_failure.is_empty()))
    });
    let line = line.await.unwrap();
    assert_eq!(
        (line.last_failure.as_str(), line.open),
        ("PATH_TOO_SMALL", 0)
    );
}

/// Sends with pauses, so that the messages do not share datagrams.
async fn send_all(api: &Api, to: &str) {
    for number in 0..MESSAGES {
        api.send(to, &number.to_string()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn all_came(api: &Api, from: &str) {
    let expected: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    eventually("all messages", async || {
        let received = api.received(from).await?;
        Ok((received.len() >= MESSAGES).then_some(()))
    })
    .await
    .unwrap();
    // A second copy would have arrived by now, or would arrive with the acknowledgements.
    api.await_empty_outbox().await.unwrap();
    assert_eq!(api.received(from).await.unwrap(), expected);
}
