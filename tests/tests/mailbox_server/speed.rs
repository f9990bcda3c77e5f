//! How fast a provider takes letters and gives them out: `--ignored speed --nocapture`, with
//! `--release` for a figure that counts.

use crate::people::{Depositor, Owner, Tokens};
use crate::scene::{Scene, bob, carol};
use m2_net::wire::mailbox::{Outcome, Request};
use std::time::Instant;

const LETTERS: u64 = 20_000;
const SESSIONS: u64 = 4;
/// Deposits that one session has under way, and letters that are acknowledged at once.
const AHEAD: u64 = 64;
/// Tokens of one frame.
const TOKENS: u64 = 2_048;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn speed_of_deposits_and_of_collection() {
    let scene = Scene::with("box_letters = 100000\nbox_tokens = 100000").await;
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    for first in (0..LETTERS).step_by(TOKENS as usize) {
        let last = (first + TOKENS).min(LETTERS);
        assert!(owner.add(tokens.hashes(first..last)).await.0);
    }
    drop(owner);
    let mut depositors = Vec::new();
    for _ in 0..SESSIONS {
        depositors.push(scene.depositor(&carol).await);
    }
    let share = LETTERS / SESSIONS;
    let shares = (0..SESSIONS).map(|place| place * share..(place + 1) * share);
    let start = Instant::now();
    let tasks = depositors
        .into_iter()
        .zip(shares)
        .map(|(depositor, share)| {
            let tokens = Tokens::new(&bob, 1);
            tokio::spawn(deposit_all(depositor, tokens, share))
        });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    report("deposits", start);

    let mut owner = scene.guest(&bob).await;
    let start = Instant::now();
    assert!(owner.open().await.open);
    collect_all(&mut owner).await;
    report("collected", start);
}

async fn deposit_all(mut depositor: Depositor, tokens: Tokens, share: std::ops::Range<u64>) {
    let mut next = share.start;
    for answered in share.clone() {
        while next < share.end && next < answered + AHEAD {
            depositor.send(tokens.deposit(next, next, 1 << 10)).await;
            next += 1;
        }
        assert_eq!(depositor.outcome().await.1, Outcome::Stored);
    }
}

async fn collect_all(owner: &mut Owner) {
    let mut taken = Vec::new();
    for number in 1..=LETTERS {
        taken.push(owner.letter().await.id);
        if number % AHEAD == 0 || number == LETTERS {
            owner.say(Request::Taken(std::mem::take(&mut taken))).await;
        }
    }
    owner.tokens().await;
}

fn report(what: &str, start: Instant) {
    let rate = LETTERS as f64 / start.elapsed().as_secs_f64();
    println!("{what}: {rate:.0} a second");
}
