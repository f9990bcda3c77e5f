//! With `privacy.cover`, an observer of the wire cannot tell whether messages are sent
//! (docs/spec/wire.md#cover): packets of one size leave at a fixed rate, and messages replace some of
//! the cover frames.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_tests::harness::{Daemon, Setup, Wire};
use m2_tests::scenario::{Api, befriend};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The duration of each measurement.
const WINDOW: Duration = Duration::from_secs(4);
/// Messages per window: fewer than the pieces that are sent in it.
const MESSAGES: u32 = 40;

/// Alice and bob, connected through a wire.
struct Talk {
    alice: Daemon,
    bob: Daemon,
    wire: Wire,
}

impl Talk {
    async fn start(privacy: &str) -> Self {
        let wire = Wire::new().await.unwrap();
        let setup = |name| Setup::new().identity(name).privacy(privacy);
        let alice = setup("alice").announce(wire.address());
        let started = tokio::try_join!(Daemon::start(alice), Daemon::start(setup("bob")));
        let (alice, bob) = started.unwrap();
        wire.aim(alice.udp_address().await.unwrap());
        befriend((&alice, "alice"), (&bob, "bob")).await.unwrap();
        // Lets the measurement of the path end first.
        sleep(Duration::from_secs(2)).await;
        Self { alice, bob, wire }
    }

    /// Sends this number of messages, spread evenly over a window. Returns the datagrams per second.
    async fn rate(&self, messages: u32) -> f64 {
        let alice = Api::of(&self.alice).await.unwrap();
        self.wire.clear();
        let begun = Instant::now();
        let mut last = None;
        for number in 0..messages {
            last = Some(format!("{number} {}", "x".repeat(400)));
            alice.send("bob", last.as_ref().unwrap()).await.unwrap();
            sleep(WINDOW / messages).await;
        }
        sleep(WINDOW.saturating_sub(begun.elapsed())).await;
        let count = self.wire.captured().len();
        let rate = count as f64 / begun.elapsed().as_secs_f64();
        if let Some(last) = last {
            let bob = Api::of(&self.bob).await.unwrap();
            bob.await_text("alice", &last).await.unwrap();
        }
        rate
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cover_keeps_the_packet_rate_constant_under_traffic() {
    let talk = Talk::start("padding = \"full\"\ncover = 40").await;
    let silent = talk.rate(0).await;
    let spoken = talk.rate(MESSAGES).await;
    assert!(silent >= 60.0, "expected 40 per second each way: {silent}");
    let ratio = spoken / silent;
    assert!(
        (0.8..1.2).contains(&ratio),
        "{silent} and {spoken} per second"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cover_the_packet_rate_reveals_traffic() {
    let talk = Talk::start("padding = \"full\"").await;
    let silent = talk.rate(0).await;
    let spoken = talk.rate(MESSAGES).await;
    assert!(spoken > 3.0 * silent, "{silent} and {spoken} per second");
}
