//! A broker that lies costs no message, no memory beyond the bounds, and no other front-end's progress.

use super::liar::{Liar, Lie, publish};
use super::listener::Listener;
use super::{Bridge, Mosquitto, device, token};
use m2_proto::api::v1::AccessScope;
use m2_tests::scenario::{Api, Pair, eventually};

/// The memory that the bridge may use at most, in KiB.
const MEMORY: u64 = 128 * 1024;

struct Lied {
    pair: Pair,
    alice: Api,
    bob: Api,
    bridge: Bridge,
}

/// Starts a bridge at a liar. 200 messages arrive at the daemon in the meantime.
async fn lied(liar: &Liar) -> Lied {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let token = token(&alice, &[AccessScope::Events, AccessScope::Send]).await;
    let bridge = Bridge::start(&pair.alice, &liar.url(), &token, &[]);
    bridge.await_log("connected to the daemon").await;
    for number in 0..200 {
        bob.send("alice", &format!("message {number}"))
            .await
            .unwrap();
    }
    alice.await_text("bob", "message 199").await.unwrap();
    Lied {
        pair,
        alice,
        bob,
        bridge,
    }
}

impl Lied {
    /// Replaces the liar by a real broker: every message arrives there.
    async fn end(self, liar: Liar) {
        assert!(self.bridge.rss_kib() < MEMORY, "{}", self.bridge.rss_kib());
        self.alice.send("bob", "the daemon goes on").await.unwrap();
        self.bob
            .await_text("alice", "the daemon goes on")
            .await
            .unwrap();
        assert_eq!(self.bob.received("alice").await.unwrap().len(), 1);
        // The listener has to be there first: events are not retained.
        self.bridge.freeze(true);
        let port = liar.end().await;
        let Some(broker) = Mosquitto::start_at(port).await else {
            return;
        };
        let listener = Listener::start(broker.port());
        listener.ready().await;
        self.bridge.freeze(false);
        device(&listener, "bob").await;
        eventually("all messages", async || {
            let all = listener.all();
            let has = |number: u32| {
                let text = format!("\"message {number}\"");
                let mut events = all.iter().filter(|it| it.topic.ends_with("/event"));
                events.any(|it| String::from_utf8_lossy(&it.payload).contains(&text))
            };
            Ok((0..200).all(has).then_some(()))
        })
        .await
        .unwrap();
        drop(self.pair);
    }
}

#[tokio::test]
async fn a_broker_that_acknowledges_nothing() {
    let liar = Liar::start(0, Lie::Silence).await;
    let lied = lied(&liar).await;
    assert_eq!(liar.connections(), 1);
    lied.end(liar).await;
}

#[tokio::test]
async fn a_broker_that_sends_garbage() {
    let liar = Liar::start(0, Lie::Garbage).await;
    let lied = lied(&liar).await;
    // The pauses between the connections grow.
    assert!(liar.connections() < 100, "{}", liar.connections());
    lied.end(liar).await;
}

#[tokio::test]
async fn a_broker_that_acknowledges_what_was_never_published() {
    let liar = Liar::start(0, Lie::FalseAcknowledgements).await;
    let lied = lied(&liar).await;
    lied.end(liar).await;
}

#[tokio::test]
async fn a_broker_that_floods() {
    let mut packets = Vec::new();
    for number in 1..100 {
        let unknown = format!("m2/contacts/{number:016x}/send");
        packets.extend(publish(&unknown, b"command", Some(number)));
        packets.extend(publish(&unknown, &[b'x'; 10_000], None));
        packets.extend(publish(
            &format!("m2/contacts/{number:016x}/online"),
            b"ON",
            None,
        ));
        packets.extend(publish("homeassistant/status", b"online", None));
        packets.extend(publish("other", b"\xff", None));
    }
    let liar = Liar::start(0, Lie::Flood(packets)).await;
    let lied = lied(&liar).await;
    lied.end(liar).await;
}

#[tokio::test]
async fn a_broker_with_a_small_limit_gets_shorter_texts() {
    let Some(broker) = Mosquitto::start("allow_anonymous true\nmessage_size_limit 4000\n").await
    else {
        return;
    };
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let token = token(&alice, &[AccessScope::Events]).await;
    let bridge = Bridge::start(&pair.alice, &broker.url(), &token, &[]);
    let listener = Listener::start(broker.port());
    device(&listener, "bob").await;
    bob.send("alice", &"long ".repeat(5_000)).await.unwrap();
    bob.send("alice", "short").await.unwrap();
    eventually("both messages", async || {
        let all = listener.all();
        let has = |text: &str| {
            let mut events = all.iter().filter(|it| it.topic.ends_with("/event"));
            events.any(|it| String::from_utf8_lossy(&it.payload).contains(text))
        };
        Ok((has("\"truncated\":true") && has("\"short\"")).then_some(()))
    })
    .await
    .unwrap();
    bridge.await_log("as too large").await;
}
