//! Measures the speed of the embedded store: `cargo test --release -p m2-mailbox --test mailbox_store
//! -- speed --ignored --nocapture`, with `LETTERS=1000000` for the design target.

use crate::letters::{NOW, SIZE, key, letter, owner, period};
use bytes::Bytes;
use futures::future::join_all;
use m2_crypto::deposit::DepositNonce;
use m2_crypto::{Secret, label};
use m2_mailbox::store::{Deposit, Deposited, EmbeddedStore, Limits, MailboxStore};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const TASKS: u64 = 256;
const LATER: u64 = NOW + 8 * 24 * 3_600_000;

/// A deposit that is cheap to create.
fn quick(number: u64, boxes: u64, letter: &Bytes) -> Deposit {
    let (of, nonce) = (number % boxes, nonce(number));
    let owner = owner(of);
    Deposit {
        owner,
        token: key(of).token(&owner, nonce, period()),
        letter: letter.clone(),
    }
}

fn nonce(number: u64) -> DepositNonce {
    let hash = label::hash("quick nonce", &[&number.to_be_bytes()]);
    DepositNonce::from_bytes(hash.first_chunk().copied().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn speed_of_the_embedded_store() {
    let letters: u64 = std::env::var("LETTERS").map_or(50_000, |n| n.parse().unwrap());
    let boxes = (letters / 100).clamp(1, 10_000);
    let dir = tempfile::tempdir().unwrap();
    let file_key = Some(Secret::new([7; 32]));
    let limits = Limits {
        box_letters: letters,
        ..Limits::default()
    };
    let store = EmbeddedStore::open(dir.path(), file_key.clone(), limits.clone()).unwrap();
    let sweeper = sweep_now_and_then(store.clone());
    for number in 0..boxes {
        let made = store.register_box(owner(number), key(number)).await;
        made.unwrap();
    }
    println!("registered: {} MiB RSS", rss());

    let (took, slowest) = deposit(&store, 0..letters, boxes).await;
    println!(
        "deposits: {:.0}/s, p99 {slowest:?}, {} MiB RSS",
        per(letters, took),
        rss()
    );

    let start = Instant::now();
    store.letters(owner(boxes / 2), None, 1).await.unwrap();
    println!("first letter of a box: {:?}", start.elapsed());

    let (count, took) = collect(&store, (boxes / 10).max(1)).await;
    println!("collected and taken: {:.0}/s", per(count, took));

    let over = Arc::new(AtomicBool::new(false));
    let purging = {
        let (store, over) = (store.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            let start = Instant::now();
            let count = store.purge(LATER, usize::MAX).await.unwrap();
            over.store(true, Ordering::Relaxed);
            (count as u64, start.elapsed())
        })
    };
    let waits = deposit_gently(&store, letters, boxes, &over).await;
    let (count, took) = purging.await.unwrap();
    println!(
        "purged {count}: {:.0}/s, deposits' p99 {waits:?}, {} MiB RSS",
        per(count, took),
        rss()
    );
    sweeper.abort();
    drop(store);
    let start = Instant::now();
    EmbeddedStore::open(dir.path(), file_key, limits).unwrap();
    println!("opened again in {:?}", start.elapsed());
}

fn sweep_now_and_then(store: EmbeddedStore) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            store.sweep().await.unwrap();
        }
    })
}

async fn deposit(
    store: &EmbeddedStore,
    numbers: std::ops::Range<u64>,
    boxes: u64,
) -> (Duration, Duration) {
    let letter = letter(0, SIZE);
    let start = Instant::now();
    let tasks = (0..TASKS).map(|task| {
        let (store, letter, numbers) = (store.clone(), letter.clone(), numbers.clone());
        tokio::spawn(async move {
            let mut waits = Vec::new();
            for number in (numbers.start + task..numbers.end).step_by(TASKS as usize) {
                let asked = Instant::now();
                let outcome = store
                    .deposit(quick(number, boxes, &letter), NOW)
                    .await
                    .unwrap();
                assert_eq!(outcome, Deposited::Stored);
                waits.push(asked.elapsed());
            }
            waits
        })
    });
    let waits = join_all(tasks)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    (start.elapsed(), p99(waits))
}

async fn collect(store: &EmbeddedStore, boxes: u64) -> (u64, Duration) {
    let start = Instant::now();
    let mut count = 0;
    for number in 0..boxes {
        loop {
            let page = store.letters(owner(number), None, 256 << 10).await.unwrap();
            let nonces: Vec<_> = page.letters.iter().map(|(nonce, _)| *nonce).collect();
            if nonces.is_empty() {
                break;
            }
            count += nonces.len() as u64;
            store.take(owner(number), nonces).await.unwrap();
        }
    }
    (count, start.elapsed())
}

/// Deposits 500 per second until the purge has ended. Returns the 99th percentile of the latencies.
async fn deposit_gently(
    store: &EmbeddedStore,
    first: u64,
    boxes: u64,
    over: &AtomicBool,
) -> Duration {
    let letter = letter(0, SIZE);
    let mut tick = tokio::time::interval(Duration::from_millis(2));
    let mut tasks = Vec::new();
    for number in first..first + 100_000 {
        if over.load(Ordering::Relaxed) {
            break;
        }
        tick.tick().await;
        let (store, letter) = (store.clone(), letter.clone());
        tasks.push(tokio::spawn(async move {
            let asked = Instant::now();
            // Far in the future, so that the purge leaves it.
            store
                .deposit(quick(number, boxes, &letter), LATER)
                .await
                .unwrap();
            asked.elapsed()
        }));
    }
    p99(join_all(tasks)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect())
}

fn p99(mut waits: Vec<Duration>) -> Duration {
    waits.sort_unstable();
    waits
        .get(waits.len() * 99 / 100)
        .copied()
        .unwrap_or_default()
}

fn per(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn rss() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() >> 10
}
