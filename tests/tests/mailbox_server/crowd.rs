//! Many anonymous depositors at once. Ten thousand take about ten minutes on two cores, because
//! each costs both sides an RSA key (`M2_MAILBOX_CROWD` sets another number):
//!
//! ```text
//! cargo test --release -p m2-tests --test mailbox_server -- --ignored ten_thousand --nocapture
//! ```

use crate::people::{Depositor, SEED, Tokens, nonce};
use crate::scene::{Scene, bob, carol};
use m2_net::dial_error::DialError;
use m2_net::session::{CloseCode, Ended};
use m2_net::wire::Message;
use m2_net::wire::mailbox::{Mailbox, Outcome};
use m2_tests::harness::Setup;
use m2_tests::hostile::{Caller, identity};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The size of all letters.
const SIZE: usize = 4 << 10;
/// Sockets from which the crowd dials, each with a thread that makes its session keys.
const CALLERS: usize = 4;
/// Concurrent dials.
const AT_ONCE: usize = 8;
/// The interval at which an active member sends.
const BUSY: Duration = Duration::from_secs(10);
/// The memory allowed per session, and for the provider otherwise.
const SESSION_KIB: u64 = 96;
const BESIDE_KIB: u64 = 24 << 10;

/// How a member of the crowd fared.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// It got no place, or lost it to a prefix with fewer sessions.
    Refused,
    /// It had its place until it was idle for too long.
    Idle,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_depositors_is_bounded_in_number_and_memory() {
    comes(80, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "ten minutes of two cores"]
async fn ten_thousand_depositors_find_a_place_or_are_refused() {
    let crowd = std::env::var("M2_MAILBOX_CROWD").map_or(10_000, |size| size.parse().unwrap());
    comes(crowd, crowd * 3 / 4).await;
}

/// Lets `crowd` callers dial a provider with `places` places, one of which an honest depositor holds.
async fn comes(crowd: usize, places: usize) {
    let scene = scene(crowd, places).await;
    let callers: Vec<_> = (0..CALLERS).map(caller).collect();
    let (bob, carol) = (bob(), carol());
    let mut owner = scene.owner(&bob).await;
    let tokens = Tokens::new(&bob, SEED);
    // The honest depositor takes a place.
    let mut depositor = scene.depositor(&carol).await;
    let before = scene.alice.rss_kib().unwrap();

    let (busy, quiet) = watch::channel(true);
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut members = JoinSet::new();
    let start = Instant::now();
    for number in 0..crowd {
        let (scene, turns, quiet) = (scene.clone(), turns.clone(), quiet.clone());
        let caller = callers[number % callers.len()].clone();
        members.spawn(async move { member(&scene, &caller, turns, quiet).await });
    }
    // All have dialled once the excess was turned away. On a busy machine a member may be idle for too
    // long and make room.
    let (mut number, mut slowest) = (0, Duration::ZERO);
    let expected = (crowd + 1 - places) as u64;
    while turned_away(&scene).await < expected {
        let asked = Instant::now();
        let deposit = tokens.deposit(number, SIZE);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
        assert_eq!(owner.letter().await.nonce, nonce(number));
        slowest = slowest.max(asked.elapsed());
        number += 1;
        sleep(Duration::from_secs(2)).await;
    }
    let after = scene.alice.rss_kib().unwrap();
    println!(
        "{crowd} callers within {:?}, {places} places: {before} KiB, then {after} KiB; \
         from a deposit to its owner {slowest:?} at most",
        start.elapsed()
    );
    let bound = BESIDE_KIB + places as u64 * SESSION_KIB;
    assert!(after.saturating_sub(before) <= bound, "over {bound} KiB");

    // Members that stay silent are dropped, and there is room again.
    busy.send_replace(false);
    let fates = members.join_all().await;
    let refused = fates.iter().filter(|fate| **fate == Fate::Refused).count() as u64;
    // A dial whose refusal was lost is repeated, and refused again.
    assert!(refused <= refusals(&scene).await);
    assert!(turned_away(&scene).await >= crowd as u64);
    let mut late = scene.depositor(&carol).await;
    let deposit = tokens.deposit(999, SIZE);
    assert_eq!(late.deposit(deposit).await, Outcome::Stored);
    assert!(!scene.alice.log().contains("panicked"));
}

/// Returns how many sessions got no place or lost it.
async fn turned_away(scene: &Scene) -> u64 {
    refusals(scene).await + scene.count("MAILBOX_IDLE").await
}

/// Returns how many sessions were refused: no place was free, or a prefix with fewer sessions needed
/// theirs.
async fn refusals(scene: &Scene) -> u64 {
    scene.count("MAILBOX_DEPOSITORS_TOO_MANY").await
        + scene.count("MAILBOX_SESSION_TAKEN_FOR_OTHERS").await
}

/// A provider whose sockets have room for the whole crowd.
async fn scene(crowd: usize, places: usize) -> Arc<Scene> {
    let setup = Setup::new()
        .identity("alice")
        .network("session_keys = 32")
        .network(&format!("max_sessions = {}", crowd + 100))
        .tables(&format!(
            "[mailbox]\nserve = true\nmax_depositors = {places}"
        ));
    Arc::new(Scene::set_up("alice", setup).await)
}

/// Dials, guesses tokens while the crowd is busy, and waits for the end of the session.
async fn member(
    scene: &Scene,
    caller: &Caller,
    turns: Arc<Semaphore>,
    mut busy: watch::Receiver<bool>,
) -> Fate {
    let turn = turns.acquire_owned().await.unwrap();
    let session = loop {
        match scene.dial_anonymous(caller).await {
            Ok(session) => break session,
            // The session may end before the Hello is read.
            Err(DialError::Refused) => return Fate::Refused,
            Err(error) => println!("once more: {error}"),
        }
    };
    drop(turn);
    let tokens = Tokens::new(caller, 9);
    let mut depositor = Depositor::new(session);
    while *busy.borrow_and_update() {
        let guess = Mailbox::Deposit(tokens.deposit(0, SIZE));
        let guess = Message::Mailbox(Box::new(guess));
        let said = depositor.session.send_frame(guess).await;
        if said.is_err() || depositor.session.recv_frame().await.is_err() {
            break;
        }
        // Continues after the interval or a change of `busy`.
        let _ = tokio::time::timeout(BUSY, busy.changed()).await;
    }
    match depositor.session.closed().await {
        Ended::ByPeer(code) if code == CloseCode::Refused as u64 => Fate::Refused,
        Ended::ByPeer(code) if code == CloseCode::Done as u64 => Fate::Idle,
        other => panic!("{other:?}"),
    }
}

/// A caller that dials from its own prefix.
fn caller(number: usize) -> Arc<Caller> {
    let prefix = u8::try_from(number + 1).unwrap();
    let adjusted = Caller::adjusted(identity("carol").unwrap(), |config| {
        config.listen = vec![SocketAddr::from(([127, 1, prefix, 1], 0))];
    });
    Arc::new(adjusted.unwrap())
}
