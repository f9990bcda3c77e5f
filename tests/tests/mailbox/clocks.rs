//! Real daemons whose clocks are set ahead by a week.
//!
//! Verified by mutation: with a longer `LETTER_LIFE_MS` the second letter never arrives.
#![cfg(target_os = "linux")]

use crate::disk::Disk;
use m2_proto::api::v1::MessageState;
use m2_tests::harness::Clock;
use m2_tests::scenario::{Api, Trio, eventually};
use std::time::Duration;

const WEEK: Duration = Duration::from_secs(7 * 86_400);

struct Scene {
    trio: Trio,
    clocks: [Clock; 3],
    disk: Disk,
}

impl Scene {
    async fn start() -> Self {
        let clocks = [(); 3].map(|()| Clock::new().unwrap());
        let trio = Trio::start_as(|name, setup| {
            let place = ["alice", "bob", "carol"]
                .iter()
                .position(|one| *one == name);
            clocks[place.unwrap()].for_daemon(setup)
        });
        let trio = trio.await.unwrap();
        trio.consent().await.unwrap();
        let disk = Disk::of(&trio.carol);
        Self { trio, clocks, disk }
    }

    /// Sets carol's clock ahead.
    fn later_for_carol(&self, by: Duration) {
        self.clocks[2].set_ahead(by).unwrap();
    }

    fn later_for_the_others(&self, by: Duration) {
        self.clocks[0].set_ahead(by).unwrap();
        self.clocks[1].set_ahead(by).unwrap();
    }

    /// Waits until carol holds `letters` letters and has received `deposited` since her start.
    async fn letters(&self, letters: u64, deposited: u64) {
        eventually(&format!("{letters} letters of {deposited}"), async || {
            // The call makes alice read her clock.
            self.trio.alice.status().await?;
            let server = self.trio.server().await?;
            Ok((server.letters == letters && server.deposited == deposited).then_some(()))
        })
        .await
        .unwrap();
    }

    /// The pieces of all letters in the store, and their nonces.
    fn traces(&self) -> Vec<Vec<u8>> {
        let letters = self.disk.letters().into_iter();
        let traces: Vec<Vec<u8>> = letters
            .flat_map(|(nonce, letter)| {
                let pieces: Vec<_> = letter.chunks(16).map(<[u8]>::to_vec).collect();
                pieces.into_iter().chain([nonce.to_vec()])
            })
            .collect();
        assert!(traces.len() > 100, "a letter and its nonce");
        // Control: most of them are found in the file or its log.
        assert!(self.disk.count(&traces) > traces.len() * 9 / 10);
        traces
    }

    async fn gone(&self, traces: &[Vec<u8>]) {
        eventually("no trace on the disk", async || {
            Ok((self.disk.count(traces) == 0).then_some(()))
        })
        .await
        .unwrap();
    }
}

/// A letter expires at a running provider, and at one that was stopped meanwhile. The sender deposits
/// its message again each time, until it is collected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_expires_after_a_week_and_is_deposited_again() {
    let mut scene = Scene::start().await;
    let alice = Api::of(&scene.trio.alice).await.unwrap();
    scene.trio.bob.stop().await.unwrap();
    let id = alice.send("bob", "patience").await.unwrap();
    scene.letters(1, 1).await;
    let deposited = MessageState::Deposited;
    alice.await_message(&id, deposited).await.unwrap();

    let first = scene.traces();
    scene.later_for_carol(WEEK);
    scene.letters(0, 1).await;
    scene.gone(&first).await;
    assert_eq!(alice.message(&id).await.unwrap().state(), deposited);

    scene.later_for_the_others(WEEK);
    scene.letters(1, 2).await;
    assert_eq!(alice.message(&id).await.unwrap().state(), deposited);

    let second = scene.traces();
    assert!(second.iter().all(|piece| !first.contains(piece)));
    scene.trio.carol.stop().await.unwrap();
    scene.later_for_carol(2 * WEEK);
    scene.trio.carol.restart().await.unwrap();
    scene.letters(0, 0).await;
    scene.gone(&second).await;

    scene.later_for_the_others(2 * WEEK);
    scene.letters(1, 1).await;
    scene.trio.wire.cut();
    scene.trio.bob.restart().await.unwrap();
    let bob = Api::of(&scene.trio.bob).await.unwrap();
    bob.await_text("alice", "patience").await.unwrap();
    scene.letters(0, 1).await;
    scene.trio.wire.pass_all();
    let delivered = MessageState::Delivered;
    alice.await_message(&id, delivered).await.unwrap();
    assert_eq!(bob.received("alice").await.unwrap(), ["patience"]);
}
