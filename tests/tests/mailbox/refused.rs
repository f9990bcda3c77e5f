//! A provider refuses a registration: it is asked once, until the user asks again.

use anyhow::Context as _;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, SERVES, eventually};
use std::time::Duration;

/// Longer than the pauses after the first failed rounds, and much shorter than the longest one.
const AFTER_ROUNDS: Duration = Duration::from_secs(5);

async fn register(daemon: &Daemon, invitation: &str) {
    let asked = daemon.m2(&["mailbox", "register", invitation]).await;
    asked.unwrap().success().unwrap();
}

/// Waits until the only box of a daemon has a state.
async fn reaches(daemon: &Daemon, state: &str) {
    eventually(state, async || {
        let list = daemon.m2(&["--json", "mailbox", "list"]).await?.json()?;
        let mailbox = list.first().context("no box")?;
        Ok((mailbox["state"] == state).then_some(()))
    })
    .await
    .unwrap();
}

async fn refusals(carol: &Daemon) -> u64 {
    let refused = carol.status().await.unwrap().refused;
    let count = refused.get("MAILBOX_INVITATION_REFUSED");
    count.copied().unwrap_or_default()
}

#[tokio::test]
async fn a_refused_registration_is_not_repeated_and_a_new_one_acts_at_once() {
    let setup = |name: &str| Setup::new().identity(name);
    let carol = setup("carol").tables(SERVES).network("session_keys = 16");
    let (alice, bob, carol) = tokio::try_join!(
        Daemon::start(setup("alice")),
        Daemon::start(setup("bob")),
        Daemon::start(carol)
    )
    .unwrap();
    let carols = Api::of(&carol).await.unwrap();
    let used = carols.invite(false, "").await.unwrap();
    register(&alice, &used).await;
    reaches(&alice, "MAILBOX_STATE_OPEN").await;

    register(&bob, &used).await;
    reaches(&bob, "MAILBOX_STATE_REFUSED").await;
    assert_eq!(refusals(&carol).await, 1);
    tokio::time::sleep(AFTER_ROUNDS).await;
    assert_eq!(refusals(&carol).await, 1, "bob asks again by himself");

    let fresh = carols.invite(false, "").await.unwrap();
    register(&bob, &fresh).await;
    let opened = reaches(&bob, "MAILBOX_STATE_OPEN");
    tokio::time::timeout(AFTER_ROUNDS, opened).await.unwrap();
}
