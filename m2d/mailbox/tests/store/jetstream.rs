//! The store in a NATS cluster: the suite, node failures, and the data that the server keeps.

use crate::cluster::Cluster;
use crate::letters::{NOW, collect, deposit, id, letter, open_box, owner, token};
use crate::suite::{self, Backend};
use crate::traces;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use m2_mailbox::store::{
    Deposited, JetStreamOptions, JetStreamStore, Limits, MailboxError, MailboxStore,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The streams of one store in a cluster.
struct Streams<'a> {
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
    async fn connect(&self, limits: Limits) -> JetStreamStore {
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
}

fn streams<'a>(cluster: &'a Cluster, prefix: &str) -> Streams<'a> {
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
    open_box(&*one, 1, COUNT).await;
    let done = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..16_u64)
        .map(|task| {
            let store = Arc::clone(if task % 2 == 0 { &one } else { &two });
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                for number in (task..COUNT).step_by(16) {
                    deposit_until_acknowledged(&*store, number).await;
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
        assert!((0..COUNT).all(|number| all[&id(number)] == letter(number, 1024)));
    }
    for number in (0..COUNT).step_by(97) {
        let mut second = deposit(u64::MAX - number);
        second.token = token(number);
        let outcome = late.deposit(second, NOW).await.unwrap();
        assert_eq!(outcome, Deposited::TokenUnknown, "spent");
    }
}

/// Retries a letter until it is acknowledged, as a sender does.
async fn deposit_until_acknowledged(store: &dyn MailboxStore, number: u64) {
    for _ in 0..10 {
        match store.deposit(deposit(number), NOW).await {
            Ok(Deposited::Stored | Deposited::AlreadyThere) => return,
            Ok(other) => panic!("{number}: {other:?}"),
            Err(MailboxError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("letter {number} was never acknowledged");
}

async fn wait_for(done: &AtomicUsize, count: usize) {
    for _ in 0..1200 {
        if done.load(Ordering::Relaxed) >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} of {count}", done.load(Ordering::Relaxed));
}

/// A crash between any two steps: only the same letter can continue with the token.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_deposit_continues_only_with_its_letter() {
    const COUNT: u64 = 60;
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let [one, two] = streams(&cluster, "crash").open(Limits::default()).await;
    open_box(&*one, 1, COUNT).await;
    for number in 0..COUNT {
        // The future is dropped after a time that grows from zero to that of a whole deposit.
        let time = Duration::from_micros(number * 250);
        let cut = tokio::time::timeout(time, one.deposit(deposit(number), NOW)).await;
        let mut rival = deposit(1000 + number);
        rival.token = token(number);
        let (rival, again) = if number % 2 == 0 {
            let again = two.deposit(deposit(number), NOW).await.unwrap();
            (two.deposit(rival, NOW).await.unwrap(), again)
        } else {
            let rival = two.deposit(rival, NOW).await.unwrap();
            (rival, two.deposit(deposit(number), NOW).await.unwrap())
        };
        let stored = |outcome| matches!(outcome, Deposited::Stored | Deposited::AlreadyThere);
        assert!(
            stored(rival) != stored(again),
            "{number}: {rival:?}, {again:?}"
        );
        assert!(
            cut.is_err() || stored(again),
            "an acknowledged letter stays stored"
        );
    }
    let all: BTreeSet<_> = collect(&*two, 1, 1 << 20).await.into_iter().collect();
    assert_eq!(all.len() as u64, COUNT);
}

/// As the operator's guide states: deleting a letter erases it from the stream's own files, while
/// the Raft logs keep it until the server next compacts them.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_letters_are_erased_from_the_streams_files() {
    const COUNT: u64 = 40;
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let [store, _] = streams(&cluster, "trace").open(Limits::default()).await;
    open_box(&*store, 1, COUNT).await;
    let deposits = (0..COUNT).map(|number| store.deposit(deposit(number), NOW));
    join_all(deposits).await.into_iter().for_each(|outcome| {
        outcome.unwrap();
    });
    let letters: Vec<_> = (0..COUNT).map(|n| letter(n, 1024)[..64].to_vec()).collect();
    let ids: Vec<_> = (0..COUNT).map(|n| id(n).to_vec()).collect();
    let tokens: Vec<_> = (0..COUNT).map(|n| token(n).to_vec()).collect();
    let needles = [letters, ids, tokens].concat();
    let streams = cluster.stream_dirs();
    let found = |dirs: &[PathBuf]| {
        dirs.iter()
            .map(|dir| traces::count(dir, &needles))
            .sum::<usize>()
    };
    assert!(
        found(&streams) >= 3 * 2 * COUNT as usize,
        "three nodes have letters and ids"
    );
    collect(&*store, 1, 1 << 20).await;
    store
        .remove(owner(1), (0..COUNT).map(id).collect())
        .await
        .unwrap();
    // A node that lags behind erases the letter when it catches up.
    for _ in 0..600 {
        if found(&streams) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} pieces are left", found(&streams));
}
