//! With `privacy.cover` who watches the wire does not see whether anything is said (spec §7):
//! packets of one size come at one rate, and messages take the place of some of them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_tests::harness::{Daemon, Setup, Wire};
use m2_tests::scenario::{Api, befriend};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long each count takes.
const WINDOW: Duration = Duration::from_secs(4);
/// Messages in a window: less than the pieces that leave in it.
const MESSAGES: u32 = 40;

/// Alice and bob with a wire between them.
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
        // The path is measured first.
        sleep(Duration::from_secs(2)).await;
        Self { alice, bob, wire }
    }

    /// Datagrams a second while so many messages are sent, evenly.
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
async fn the_rate_is_the_same_whether_or_not_anything_is_said() {
    let talk = Talk::start("padding = \"full\"\ncover = 40").await;
    let silent = talk.rate(0).await;
    let spoken = talk.rate(MESSAGES).await;
    assert!(silent >= 60.0, "40 a second each way: {silent}");
    let ratio = spoken / silent;
    assert!(
        (0.8..1.2).contains(&ratio),
        "{silent} and {spoken} a second"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_cover_the_rate_tells() {
    let talk = Talk::start("padding = \"full\"").await;
    let silent = talk.rate(0).await;
    let spoken = talk.rate(MESSAGES).await;
    assert!(spoken > 3.0 * silent, "{silent} and {spoken} a second");
}
