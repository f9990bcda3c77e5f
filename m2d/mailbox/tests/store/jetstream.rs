//! The store in a NATS cluster: the suite, node failures, races of front ends, and the data that the
//! server keeps.

use crate::cluster::Cluster;
use crate::letters::{
    NOW, SIZE, collect, deposit, deposit_of, key, letter, nonce, open_box, owner, period, rival,
};
use crate::suite::{self, Backend};
use crate::traces;
use async_nats::jetstream;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use m2_crypto::Secret;
use m2_crypto::deposit::MarkSalt;
use m2_mailbox::store::{
    Deposit, Deposited, JetStreamOptions, JetStreamStore, Limits, MailboxError, MailboxStore,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The streams of one store in a cluster.
pub(crate) struct Streams<'a> {
    cluster: &'a Cluster,
    prefix: String,
}

impl Backend for Streams<'_> {
    fn open(&self, limits: Limits) -> BoxFuture<'_, [Arc<dyn MailboxStore>; 2]> {
        async move {
            let one: Arc<dyn MailboxStore> = Arc::new(self.connect(limits.clone()).await);
            let other: Arc<dyn MailboxStore> = Arc::new(self.connect(limits).await);
            [one, other]
        }
        .boxed()
    }
}

impl Streams<'_> {
    pub(crate) async fn connect(&self, limits: Limits) -> JetStreamStore {
        let options = JetStreamOptions {
            servers: self.cluster.servers(),
            prefix: self.prefix.clone(),
            replicas: 3,
        };
        // A new cluster takes a while to elect its first leader.
        let mut tries = 0;
        loop {
            match JetStreamStore::connect(options.clone(), limits.clone()).await {
                Ok(store) => return store,
                Err(error) if tries == 3 => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
            tries += 1;
        }
    }

    /// Returns a connection that bypasses the store.
    async fn context(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.cluster.servers()).await.unwrap())
    }
}

pub(crate) fn streams<'a>(cluster: &'a Cluster, prefix: &str) -> Streams<'a> {
    Streams {
        cluster,
        prefix: prefix.to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_the_suite() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    for (number, (name, check)) in suite::ALL.iter().enumerate() {
        println!("{name}");
        check(&streams(&cluster, &format!("test{number}"))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_failure_under_load_loses_no_acknowledged_letter() {
    const COUNT: u64 = 900;
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let [one, two] = streams(&cluster, "load").open(Limits::default()).await;
    open_box(&*one, 1).await;
    let done = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..16_u64)
        .map(|task| {
            let store = Arc::clone(if task % 2 == 0 { &one } else { &two });
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                for number in (task..COUNT).step_by(16) {
                    let outcome = settle(&*store, deposit(number)).await;
                    assert!(is_success(outcome), "{number}: {outcome:?}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    wait_for(&done, 200).await;
    cluster.kill(0);
    wait_for(&done, 500).await;
    cluster.run(0);
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    // Every front end sees all letters, including one that connects later.
    let late = streams(&cluster, "load").connect(Limits::default()).await;
    for store in [&*one, &*two, &late] {
        let all: BTreeMap<_, _> = collect(store, 1, 1 << 20).await.into_iter().collect();
        assert_eq!(all.len() as u64, COUNT);
        assert!((0..COUNT).all(|number| all[&nonce(number)] == letter(number, SIZE)));
    }
    for number in (0..COUNT).step_by(97) {
        let outcome = late.deposit(rival(number), NOW).await.unwrap();
        assert_eq!(outcome, Deposited::Refused, "spent");
    }
}

/// Letters of different sizes have different subjects, so the server must compare what matches the
/// filter, and must hold back the second of two writes that arrive together, also if its leader has
/// just changed.
#[tokio::test(flavor = "multi_thread")]
async fn rivals_at_two_front_ends_never_both_succeed_while_nodes_die() {
    const COUNT: usize = 3_000;
    const TASKS: usize = 24;
    let Some(mut cluster) = Cluster::start() else {
        return;
    };
    let stores = streams(&cluster, "race").open(Limits::default()).await;
    open_box(&*stores[0], 1).await;
    let done = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (stores, done) = (stores.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                for number in (task..COUNT).step_by(TASKS) {
                    race(&stores, number as u64).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for (node, count) in [(0, 500), (1, 1_250), (2, 2_000)] {
        wait_for(&done, count).await;
        cluster.kill(node);
        wait_for(&done, count + 250).await;
        cluster.run(node);
        wait_for(&done, count + 500).await;
    }
    join_all(tasks).await.into_iter().for_each(Result::unwrap);
    assert_eq!(stores[0].totals().await.unwrap().letters, COUNT as u64);
}

async fn race(stores: &[Arc<dyn MailboxStore>; 2], number: u64) {
    let mut longer = rival(number);
    longer.letter = letter(!number, 2 * SIZE);
    let attempts = [(0, deposit(number)), (1, rival(number)), (1, longer)];
    let attempts = attempts.map(|(at, deposit)| {
        let store = Arc::clone(&stores[at]);
        tokio::spawn(async move { settle(&*store, deposit).await })
    });
    let outcomes: Vec<_> = join_all(attempts).await;
    let outcomes: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    let successes = outcomes.iter().filter(|outcome| is_success(**outcome));
    assert_eq!(successes.count(), 1, "{number}: {outcomes:?}");
}

/// A crash at any moment of a deposit: the nonce carries the letter or its rival.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_deposit_leaves_a_letter_or_nothing() {
    const COUNT: u64 = 60;
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let [one, two] = streams(&cluster, "crash").open(Limits::default()).await;
    open_box(&*one, 1).await;
    for number in 0..COUNT {
        let cut = cut(number, one.deposit(deposit(number), NOW)).await;
        let (rival, again) = if number % 2 == 0 {
            let again = two.deposit(deposit(number), NOW).await.unwrap();
            (two.deposit(rival(number), NOW).await.unwrap(), again)
        } else {
            let rival = two.deposit(rival(number), NOW).await.unwrap();
            (rival, two.deposit(deposit(number), NOW).await.unwrap())
        };
        assert!(
            is_success(rival) != is_success(again),
            "{number}: {rival:?}, {again:?}"
        );
        assert!(
            cut.is_none() || is_success(again),
            "an acknowledged letter stays stored"
        );
    }
    assert_eq!(collect(&*two, 1, 1 << 20).await.len() as u64, COUNT);
}

/// A crash at any moment of taking, in particular between the mark and the deletion.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_take_leaves_the_letter_or_its_mark() {
    const COUNT: u64 = 60;
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let [one, two] = streams(&cluster, "taking").open(Limits::default()).await;
    open_box(&*one, 1).await;
    for number in 0..COUNT {
        let stored = one.deposit(deposit(number), NOW).await.unwrap();
        assert_eq!(stored, Deposited::Stored);
    }
    collect(&*one, 1, 1 << 20).await;
    for number in 0..COUNT {
        let cut = cut(number, one.take(owner(1), vec![nonce(number)])).await;
        let second = two.deposit(rival(number), NOW).await.unwrap();
        assert_eq!(second, Deposited::Refused, "{number}");
        let again = two.deposit(deposit(number), NOW).await.unwrap();
        assert_eq!(again, Deposited::AlreadyThere, "{number}");
        let left = collect(&*two, 1, 1 << 20).await;
        let is_there = left.iter().any(|(left, _)| *left == nonce(number));
        assert!(cut.is_none() || !is_there, "it was taken");
        // The owner receives what is left again, and takes it at another front end.
        two.take(owner(1), vec![nonce(number)]).await.unwrap();
        let left = collect(&*one, 1, 1 << 20).await;
        assert_eq!(left.len() as u64, COUNT - 1 - number);
        let second = one.deposit(rival(number), NOW).await.unwrap();
        assert_eq!(second, Deposited::Refused, "{number}");
    }
    // Nothing but one mark for each letter is in the stream.
    let context = streams(&cluster, "taking").context().await;
    let info = context.get_stream("taking-kept").await.unwrap();
    assert_eq!(info.cached_info().state.messages, COUNT);
}

/// A front end died after it had written the mark.
#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_has_its_mark_is_taken_again() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let streams = streams(&cluster, "marked");
    let [one, two] = streams.open(Limits::default()).await;
    open_box(&*one, 1).await;
    for number in 0..2 {
        one.deposit(deposit(number), NOW).await.unwrap();
    }
    assert_eq!(collect(&*one, 1, 1 << 20).await.len(), 2);
    let context = streams.context().await;
    let boxes = context.get_stream("marked-boxes").await.unwrap();
    let salt = boxes.get_last_raw_message_by_subject("marked.salt").await;
    let salt = MarkSalt::new(Secret::from_slice(&salt.unwrap().payload).unwrap());
    for number in 0..2 {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        let (of, at) = (hex(owner(1).as_bytes()), hex(nonce(number).as_bytes()));
        let subject = format!("marked.mark.{}.{of}.{at}", period().number());
        let mark = salt.mark(&nonce(number), &letter(number, SIZE));
        let mark = Bytes::copy_from_slice(mark.as_bytes());
        context.publish(subject, mark).await.unwrap().await.unwrap();
    }
    for (store, number) in [(&one, 0), (&two, 1)] {
        let again = store.deposit(deposit(number), NOW).await.unwrap();
        assert_eq!(again, Deposited::AlreadyThere);
        let second = store.deposit(rival(number), NOW).await.unwrap();
        assert_eq!(second, Deposited::Refused);
        let left = collect(&**store, 1, 1 << 20).await.len() as u64;
        assert_eq!(left, 2 - number, "the owner receives it again");
        // One front end has read the letter before, the other one has not.
        store.take(owner(1), vec![nonce(number)]).await.unwrap();
        let left = collect(&**store, 1, 1 << 20).await.len() as u64;
        assert_eq!(left, 1 - number);
    }
    let kept = context.get_stream("marked-kept").await.unwrap();
    assert_eq!(kept.cached_info().state.messages, 2, "the marks");
}

/// Drops the future after a time that grows with `number` from zero. Returns the result if it ended
/// before.
async fn cut<T>(
    number: u64,
    call: impl Future<Output = Result<T, MailboxError>>,
) -> Option<Result<T, MailboxError>> {
    let time = Duration::from_micros(number * 250);
    tokio::time::timeout(time, call).await.ok()
}

/// Marks of one front end are checked by all others.
#[tokio::test(flavor = "multi_thread")]
async fn front_ends_that_start_together_draw_one_salt() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let streams = streams(&cluster, "salt");
    let stores = (0..6).map(|_| streams.connect(Limits::default()));
    let stores = join_all(stores).await;
    let later = streams.connect(Limits::default()).await;
    open_box(&later, 1).await;
    for (number, store) in (0..).zip(&stores) {
        store.deposit(deposit(number), NOW).await.unwrap();
        store.take(owner(1), vec![nonce(number)]).await.unwrap();
        for other in stores.iter().chain([&later]) {
            let again = other.deposit(deposit(number), NOW).await.unwrap();
            assert_eq!(again, Deposited::AlreadyThere);
        }
    }
    let boxes = streams.context().await.get_stream("salt-boxes").await;
    let state = boxes.unwrap().cached_info().state.clone();
    assert_eq!(state.messages, 2, "one salt and one key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_front_end_replaced_admits_nothing() {
    const ROUNDS: u64 = 5;
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let streams = streams(&cluster, "keys");
    let [one, two] = streams.open(Limits::default()).await;
    open_box(&*one, 1).await;
    let under = |of, number| Deposit {
        token: key(of).token(&owner(1), nonce(number), period()),
        ..deposit(number)
    };
    // Both know the key when it is replaced. As soon as the replacement is confirmed, it holds.
    for round in 0..ROUNDS {
        let (first, of) = (10 * round, if round == 0 { 1 } else { 10 + round });
        for (store, number) in [(&one, first), (&two, first + 1)] {
            let stored = store.deposit(under(of, number), NOW).await.unwrap();
            assert_eq!(stored, Deposited::Stored);
        }
        let replaced = one.set_key(owner(1), key(11 + round)).await.unwrap();
        assert!(replaced);
        for (store, number) in [(&one, first + 2), (&two, first + 3)] {
            let refused = store.deposit(under(of, number), NOW).await.unwrap();
            assert_eq!(refused, Deposited::Refused, "round {round}");
        }
    }
    // A replacement of which no notice comes holds within seconds.
    let last = 10 + ROUNDS;
    let stored = two.deposit(under(last, 900), NOW).await.unwrap();
    assert_eq!(stored, Deposited::Stored);
    let context = streams.context().await;
    let subject = format!(
        "keys.key.{}",
        data_encoding::HEXLOWER.encode(owner(1).as_bytes())
    );
    let bytes = key(77).expose().to_vec();
    let written = context.publish(subject, bytes.into()).await.unwrap();
    written.await.unwrap();
    let start = Instant::now();
    for number in 901.. {
        match two.deposit(under(last, number), NOW).await.unwrap() {
            Deposited::Refused => break,
            outcome => assert_eq!(outcome, Deposited::Stored),
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let stored = two.deposit(under(77, 2_000), NOW).await.unwrap();
    assert_eq!(stored, Deposited::Stored);
}

/// Marks must fit when no letter does: else letters could not be taken from a full store.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_can_be_emptied() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let limits = Limits {
        bytes: 1 << 20,
        ..Limits::default()
    };
    let [one, two] = streams(&cluster, "full").open(limits).await;
    open_box(&*one, 1).await;
    let mut count = 0;
    for size in [64 << 10, SIZE] {
        while one.deposit(deposit_of(count, size), NOW).await.unwrap() != Deposited::ServerFull {
            count += 1;
        }
    }
    assert!((15..=32).contains(&count), "{count} letters");
    for number in 0..count {
        two.take(owner(1), vec![nonce(number)]).await.unwrap();
    }
    assert_eq!(two.totals().await.unwrap().letters, 0);
    let refused = one.deposit(rival(0), NOW).await.unwrap();
    assert_eq!(refused, Deposited::Refused);
    let stored = one.deposit(deposit(1_000), NOW).await.unwrap();
    assert_eq!(stored, Deposited::Stored);
}

/// As the operator's guide states: the letters of a small burst are erased from the stream's own
/// files at once, and a replaced key always is, while the Raft logs keep them until the server next
/// compacts them.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_letters_are_erased_from_the_streams_files() {
    const COUNT: u64 = 40;
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let [store, _] = streams(&cluster, "trace").open(Limits::default()).await;
    open_box(&*store, 1).await;
    let deposits = (0..COUNT).map(|number| store.deposit(deposit(number), NOW));
    join_all(deposits).await.into_iter().for_each(|outcome| {
        outcome.unwrap();
    });
    let mut needles: Vec<_> = (0..COUNT)
        .map(|number| letter(number, SIZE)[..64].to_vec())
        .collect();
    needles.push(key(1).expose().to_vec());
    let streams = cluster.stream_dirs();
    let found = |dirs: &[PathBuf]| {
        dirs.iter()
            .map(|dir| traces::count(dir, &needles))
            .sum::<usize>()
    };
    let all = 3 * needles.len();
    assert!(soon(|| found(&streams) == all).await, "on three nodes");
    store
        .take(owner(1), (0..COUNT).map(nonce).collect())
        .await
        .unwrap();
    assert!(store.set_key(owner(1), key(2)).await.unwrap());
    // A node that lags behind erases the letter when it catches up.
    let erased = soon(|| found(&streams) == 0).await;
    assert!(erased, "{} pieces are left", found(&streams));
    // The nonces remain, with the marks.
    let nonces: Vec<_> = (0..COUNT).map(|n| nonce(n).as_bytes().to_vec()).collect();
    for dir in &streams {
        assert_eq!(traces::count(dir, &nonces) as u64, COUNT);
    }
}

async fn soon(is_so: impl Fn() -> bool) -> bool {
    for _ in 0..600 {
        if is_so() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Repeats a deposit until it is answered, as a sender does.
async fn settle(store: &dyn MailboxStore, deposit: Deposit) -> Deposited {
    for _ in 0..10 {
        match store.deposit(deposit.clone(), NOW).await {
            Ok(outcome) => return outcome,
            Err(MailboxError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("a deposit was never answered");
}

fn is_success(outcome: Deposited) -> bool {
    matches!(outcome, Deposited::Stored | Deposited::AlreadyThere)
}

async fn wait_for(done: &AtomicUsize, count: usize) {
    for _ in 0..4_800 {
        if done.load(Ordering::Relaxed) >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} of {count}", done.load(Ordering::Relaxed));
}
