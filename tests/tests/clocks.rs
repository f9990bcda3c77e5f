//! Two contacts, one of which has a wrong clock for a while: the effects end once the clock is
//! corrected.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use m2_proto::api::v1::{ContactState, MessageState, SendMessageRequest};
use m2_tests::harness::{Clock, Daemon, Setup};
use m2_tests::scenario::{Api, Pair, Trio, eventually};
use pbjson_types::Duration;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// The offsets by which the clock is wrong, in seconds.
const JUMPS: [i64; 8] = [
    HOUR,
    -HOUR,
    20 * HOUR,
    -20 * HOUR,
    3 * DAY,
    -3 * DAY,
    400 * DAY,
    -400 * DAY,
];

/// Alice, whose clock is changed, and bob.
struct Scene {
    clock: Clock,
    pair: Pair,
}

impl Scene {
    async fn start() -> Self {
        let clock = Clock::new().unwrap();
        let setup = |name: &str| Setup::new().identity(name);
        let alice = clock.for_daemon(setup("alice"));
        let pair = Pair::start_as(alice, setup("bob")).await.unwrap();
        Self { clock, pair }
    }

    async fn alice(&self) -> Api {
        Api::of(&self.pair.alice).await.unwrap()
    }

    async fn bob(&self) -> Api {
        Api::of(&self.pair.bob).await.unwrap()
    }

    /// Sends a message each way, without waiting for delivery.
    async fn say(&self, text: &str) {
        self.alice().await.send("bob", text).await.unwrap();
        self.bob().await.send("alice", text).await.unwrap();
    }

    /// Sends a message each way and waits until all messages so far have arrived in order.
    async fn talk(&self, text: &str) {
        self.say(text).await;
        let (alice, bob) = (self.alice().await, self.bob().await);
        alice.await_text("bob", text).await.unwrap();
        bob.await_text("alice", text).await.unwrap();
        alice.await_empty_outbox().await.unwrap();
        bob.await_empty_outbox().await.unwrap();
        let (here, there) = (alice.received("bob").await, bob.received("alice").await);
        assert_eq!(
            here.unwrap(),
            there.unwrap(),
            "both received the same texts"
        );
    }

    /// Waits until no warning mentions the clock.
    async fn agree(&self) {
        eventually("no warning of a clock", async || {
            let warnings = self.alice().await.status().await?.warnings;
            let clock = warnings.iter().any(|warning| warning.contains("clock"));
            Ok((!clock).then_some(()))
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_flow_again_once_a_running_daemons_clock_is_corrected() {
    let scene = Scene::start().await;
    for jump in JUMPS {
        scene.clock.set_by(jump).unwrap();
        scene.say(&format!("while it is {jump} s wrong")).await;
        scene.clock.set_by(0).unwrap();
        scene.talk(&format!("after it was {jump} s wrong")).await;
    }
    scene.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_flow_again_after_a_restart_with_a_corrected_clock() {
    let mut scene = Scene::start().await;
    for jump in [20 * HOUR, 3 * DAY, 400 * DAY, -400 * DAY] {
        scene.pair.alice.stop().await.unwrap();
        scene.clock.set_by(jump).unwrap();
        scene.pair.alice.restart().await.unwrap();
        scene.say(&format!("while it is {jump} s wrong")).await;
        scene.pair.alice.stop().await.unwrap();
        scene.clock.set_by(0).unwrap();
        scene.pair.alice.restart().await.unwrap();
        scene.talk(&format!("after it was {jump} s wrong")).await;
    }
    scene.agree().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invitation_made_with_a_wrong_clock_is_valid_once_the_clock_is_corrected() {
    let clock = Clock::new().unwrap();
    let setup = |name: &str| Setup::new().identity(name);
    let (mut alice, bob) = tokio::try_join!(
        Daemon::start(clock.for_daemon(setup("alice"))),
        Daemon::start(setup("bob"))
    )
    .unwrap();
    let (host, guest) = (Api::of(&alice).await.unwrap(), Api::of(&bob).await.unwrap());
    clock.set_by(400 * DAY).unwrap();
    let invitation = host.invite(false, "bob").await.unwrap();
    guest.add(&invitation, "alice").await.unwrap();
    clock.set_by(0).unwrap();
    // The call makes the daemon read the clock.
    host.status().await.unwrap();
    let contact = ContactState::Contact;
    guest.await_state("alice", contact).await.unwrap();
    let id = guest.send("alice", "in time").await.unwrap();
    let delivered = MessageState::Delivered;
    guest.await_message(&id, delivered).await.unwrap();

    // An invitation made after a restart with a corrected clock.
    alice.stop().await.unwrap();
    clock.set_by(3 * DAY).unwrap();
    alice.restart().await.unwrap();
    let host = Api::of(&alice).await.unwrap();
    host.send("bob", "from the future").await.unwrap();
    alice.stop().await.unwrap();
    clock.set_by(0).unwrap();
    alice.restart().await.unwrap();
    let carol = Daemon::start(setup("carol")).await.unwrap();
    let guest = Api::of(&carol).await.unwrap();
    let host = Api::of(&alice).await.unwrap();
    let invitation = host.invite(false, "carol").await.unwrap();
    guest.add(&invitation, "alice").await.unwrap();
    host.await_state("carol", contact).await.unwrap();
}

/// Letters that were sealed with a wrong clock are sealed again. Bob can be reached by mailbox only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_made_with_a_wrong_clock_arrive_by_mailbox_once_it_is_corrected() {
    let clock = Clock::new().unwrap();
    let trio = Trio::start_as(|name, setup| match name {
        "alice" => clock.for_daemon(setup),
        _ => setup,
    });
    let mut trio = trio.await.unwrap();
    trio.consent().await.unwrap();
    let alice = Api::of(&trio.alice).await.unwrap();
    trio.bob.stop().await.unwrap();
    trio.wire.cut();
    clock.set_by(3 * DAY).unwrap();
    let early = alice.send("bob", "sealed in the future").await.unwrap();
    eventually("a deposit that fails", async || {
        alice.status().await?;
        let failure = alice.contact("bob").await?.mailbox_failure;
        Ok((!failure.is_empty()).then_some(()))
    })
    .await
    .unwrap();
    clock.set_by(0).unwrap();
    let late = alice.send("bob", "sealed in time").await.unwrap();
    for id in [&early, &late] {
        let deposited = MessageState::Deposited;
        alice.await_message(id, deposited).await.unwrap();
    }
    trio.bob.restart().await.unwrap();
    let bob = Api::of(&trio.bob).await.unwrap();
    bob.await_text("alice", "sealed in time").await.unwrap();
    let received = bob.received("alice").await.unwrap();
    assert_eq!(received, ["sealed in the future", "sealed in time"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_clock_on_either_side_does_not_shorten_a_time_to_live() {
    let scene = Scene::start().await;
    let (alice, bob) = (scene.alice().await, scene.bob().await);
    scene.clock.set_by(2 * HOUR).unwrap();
    alice.status().await.unwrap();
    let with_ttl = |contact: &str, text: &str, ttl| SendMessageRequest {
        ttl: Some(seconds(ttl)),
        ..Api::text(contact, text)
    };
    // By alice's clock this message expired an hour ago.
    let hour = with_ttl("alice", "for an hour", HOUR);
    bob.send_request(hour).await.unwrap();
    alice.await_text("bob", "for an hour").await.unwrap();
    let ahead = with_ttl("bob", "from two hours ahead", 3);
    alice.send_request(ahead).await.unwrap();
    scene.clock.set_by(0).unwrap();
    let short = with_ttl("alice", "for three seconds", 3);
    bob.send_request(short).await.unwrap();
    for (api, contact, text) in [
        (&alice, "bob", "for three seconds"),
        (&alice, "bob", "from two hours ahead"),
        (&bob, "alice", "from two hours ahead"),
    ] {
        eventually("the end of a message", async || {
            let texts = api.conversation(contact).await?;
            Ok(texts.iter().all(|one| one.text != text).then_some(()))
        })
        .await
        .unwrap();
    }
    let kept = alice.received("bob").await.unwrap();
    assert!(kept.contains(&"for an hour".to_owned()), "{kept:?}");
}

fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}
