//! Measures the store in a NATS cluster against async-nats alone, and how long the nodes keep deleted
//! letters: `cargo test -p m2-mailbox --test mailbox_store -- jetstream_speed --ignored --nocapture
//! --test-threads 1`.

use crate::cluster::Cluster;
use crate::jetstream::streams;
use crate::letters::{NOW, SIZE, key, letter, nonce, owner, period};
use crate::suite::Backend;
use crate::traces;
use async_nats::jetstream::stream::Config;
use async_nats::jetstream::{self, Context};
use futures::future::join_all;
use m2_mailbox::store::{Deposit, Deposited, Limits, MailboxStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The number of messages that are not acknowledged yet.
const IN_FLIGHT: usize = 256;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn deposits_against_async_nats_alone() {
    const ROUNDS: u64 = 5;
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let count: u64 = std::env::var("LETTERS").map_or(8_000, |n| n.parse().unwrap());
    let boxes: u64 = std::env::var("BOXES").map_or(1, |n| n.parse().unwrap());
    let limits = Limits {
        box_letters: u64::MAX,
        box_bytes: u64::MAX,
        box_spent: u64::MAX,
        ..Limits::default()
    };
    let [store, _other] = streams(&cluster, "speed").open(limits).await;
    for number in 0..boxes {
        let made = store.register_box(owner(number), key(number)).await;
        made.unwrap();
    }
    let alone = stock(&cluster).await;
    let (mut ours, mut stocks) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        stocks.push(publish(&alone, count).await);
        let (nodes, own) = (ticks(&cluster.pids()), ticks(&[std::process::id()]));
        ours.push(deposit(&store, round * count..(round + 1) * count, boxes).await);
        let us = |ticks| ticks * 10_000 / count;
        let nodes = us(ticks(&cluster.pids()) - nodes);
        let own = us(ticks(&[std::process::id()]) - own);
        let (our, stock) = (ours.last(), stocks.last());
        println!(
            "{our:.0?} to {stock:.0?} a second, {nodes} us of the nodes, {own} of this process"
        );
    }
    let (our, stock) = (median(&mut ours), median(&mut stocks));
    println!(
        "deposits: {our:.0}/s, async-nats: {stock:.0}/s, {:.2}",
        our / stock
    );
    let start = Instant::now();
    let taken = take_all(&*store, boxes).await;
    println!(
        "collected: {:.0}/s",
        taken as f64 / start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    let totals = store.totals().await.unwrap();
    println!("{totals:?}, counted in {:?}", start.elapsed());
    let start = Instant::now();
    let later = period().mark_kept_until_s() * 1_000;
    let purged = store.purge(later, usize::MAX).await.unwrap();
    println!(
        "marks purged: {:.0}/s",
        purged as f64 / start.elapsed().as_secs_f64()
    );
}

async fn deposit(store: &Arc<dyn MailboxStore>, numbers: std::ops::Range<u64>, boxes: u64) -> f64 {
    let (bytes, count) = (letter(1, SIZE), numbers.end - numbers.start);
    let deposits = numbers.map(|number| {
        let of = number % boxes;
        Deposit {
            owner: owner(of),
            token: key(of).token(&owner(of), nonce(number), period()),
            letter: bytes.clone(),
        }
    });
    let mut shares = vec![Vec::new(); IN_FLIGHT];
    for (at, deposit) in deposits.enumerate() {
        shares[at % IN_FLIGHT].push(deposit);
    }
    let start = Instant::now();
    let tasks = shares.into_iter().map(|share| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for deposit in share {
                let stored = store.deposit(deposit, NOW).await.unwrap();
                assert_eq!(stored, Deposited::Stored);
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    count as f64 / start.elapsed().as_secs_f64()
}

async fn take_all(store: &dyn MailboxStore, boxes: u64) -> usize {
    let mut taken = 0;
    for number in 0..boxes {
        loop {
            let page = store.letters(owner(number), None, 1 << 20).await.unwrap();
            if page.letters.is_empty() {
                break;
            }
            taken += page.letters.len();
            let nonces = page.letters.into_iter().map(|(nonce, _)| nonce).collect();
            store.take(owner(number), nonces).await.unwrap();
        }
    }
    taken
}

/// Creates a stream for async-nats alone, on as many nodes.
async fn stock(cluster: &Cluster) -> Context {
    let client = async_nats::connect(cluster.servers()).await.unwrap();
    let context = jetstream::new(client);
    let config = Config {
        name: "stock".into(),
        subjects: vec!["stock".into()],
        num_replicas: 3,
        ..Config::default()
    };
    context.create_stream(config).await.unwrap();
    context
}

async fn publish(context: &Context, count: u64) -> f64 {
    let (payload, start) = (letter(1, SIZE), Instant::now());
    let tasks = (0..IN_FLIGHT as u64).map(|task| {
        let (context, payload) = (context.clone(), payload.clone());
        tokio::spawn(async move {
            for _ in (task..count).step_by(IN_FLIGHT) {
                let sent = context.publish("stock", payload.clone()).await.unwrap();
                sent.await.unwrap();
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    count as f64 / start.elapsed().as_secs_f64()
}

/// Returns the processor time of processes in hundredths of a second.
fn ticks(pids: &[u32]) -> u64 {
    let of = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    pids.iter().map(of).sum()
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Prints every ten seconds how many letters are in the files of the streams and in the Raft logs of
/// each node: of 32 that were overwritten, of 32 that were only deleted, and one that stays. `LETTERS`
/// are deposited and taken at first, and `TRICKLE` a second meanwhile.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn how_long_nodes_keep_deleted_letters() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let number_of = |name: &str, usual| std::env::var(name).map_or(usual, |n| n.parse().unwrap());
    let (more, trickle) = (number_of("LETTERS", 100), number_of("TRICKLE", 0));
    let [store, _other] = streams(&cluster, "traces").open(Limits::default()).await;
    store.register_box(owner(0), key(0)).await.unwrap();
    let put = async |number| {
        let deposit = Deposit {
            owner: owner(0),
            token: key(0).token(&owner(0), nonce(number), period()),
            letter: letter(number, SIZE),
        };
        let stored = store.deposit(deposit, NOW).await.unwrap();
        assert_eq!(stored, Deposited::Stored);
    };
    let take = async |numbers: std::ops::Range<u64>| {
        let nonces = numbers.map(nonce).collect();
        store.take(owner(0), nonces).await.unwrap();
    };
    for number in 0..=more {
        put(number).await;
    }
    take(0..64).await;
    take(64..more).await;
    let start = Instant::now();
    let mut next = more + 1;
    while start.elapsed() < Duration::from_secs(400) {
        let of = |numbers: std::ops::Range<u64>, dirs: &[PathBuf]| {
            let needles: Vec<_> = numbers.map(|n| letter(n, SIZE)[..64].to_vec()).collect();
            dirs.iter()
                .map(|dir| traces::count(dir, &needles))
                .collect::<Vec<_>>()
        };
        let (files, logs) = (cluster.stream_dirs(), cluster.log_dirs());
        println!(
            "{:>4.0} s: overwritten: files {:?}, logs {:?}; deleted: files {:?}, logs {:?}; kept: \
             files {:?}, logs {:?}",
            start.elapsed().as_secs_f64(),
            of(0..32, &files),
            of(0..32, &logs),
            of(64..96, &files),
            of(64..96, &logs),
            of(more..more + 1, &files),
            of(more..more + 1, &logs),
        );
        for _ in 0..10 {
            for _ in 0..trickle {
                put(next).await;
                take(next..next + 1).await;
                next += 1;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
