//! `m2 listen --shared` and `m2 client dead-letters`, against a fake daemon.
#![cfg(unix)]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use m2_proto::api::v1::DeadLetterAction;
use support::{Fake, received};

/// The arguments of a worker, followed by others.
fn worker<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let arguments = ["listen", "--client", "jobs", "--shared", "--retry-delay"];
    [&arguments[..], &["2s"], more].concat()
}

#[tokio::test]
async fn the_terms_of_a_worker_reach_the_daemon() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one")];
    let terms = ["--lease", "10m", "--deliveries", "7", "--jobs", "3"];
    let run = ["--count", "1", "--exec", "true"];
    let run = fake.run(&worker(&[&terms[..], &run].concat())).await;
    assert_eq!(run.code, 0, "{run:?}");
    let asked = fake.state().subscribed.clone().unwrap();
    assert!(asked.shared);
    assert_eq!(asked.lease.unwrap().seconds, 600);
    assert_eq!((asked.max_deliveries, asked.max_open), (7, 3));
    assert_eq!(fake.state().acknowledged, ["1"]);
    // Without them the daemon decides.
    fake.state().acknowledged.clear();
    fake.run(&worker(&["--count", "1", "--exec", "true"])).await;
    let asked = fake.state().subscribed.clone().unwrap();
    assert_eq!((asked.lease, asked.max_deliveries), (None, 0));
    assert_eq!(asked.max_open, 1);
}

#[tokio::test]
async fn terms_that_are_out_of_range_are_refused() {
    let fake = Fake::start().await;
    for terms in [
        ["--lease", "13h"],
        ["--lease", "500ms"],
        ["--deliveries", "0"],
        ["--deliveries", "101"],
        ["--jobs", "65"],
    ] {
        let arguments = worker(&[&terms[..], &["--exec", "true"]].concat());
        assert_eq!(fake.run(&arguments).await.code, 2, "{terms:?}");
    }
    let alone = ["listen", "--client", "x", "--exec", "true", "--lease", "5s"];
    assert_eq!(fake.run(&alone).await.code, 2, "--lease without --shared");
}

#[tokio::test]
async fn an_event_whose_command_fails_is_returned_with_the_reason() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one"), received("2", "two")];
    let script = "[ \"$M2_TEXT\" = two ]";
    let jobs = ["--jobs", "2", "--count", "2", "--exec", script];
    let run = fake.run(&worker(&jobs)).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(fake.state().acknowledged, ["2"]);
    let refused = fake.state().refused.clone();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0].cursor, "1");
    assert_eq!(refused[0].delay.unwrap().seconds, 2);
    assert!(refused[0].reason.contains("exit status: 1"), "{refused:?}");
}

#[tokio::test]
async fn a_worker_that_is_stopped_returns_all_its_events() {
    let fake = Fake::start().await;
    fake.state().events = vec![received("1", "one"), received("2", "two")];
    let begun = fake.dir().join("begun");
    let script = format!("echo x >> {}; exec sleep 600", begun.display());
    let arguments = worker(&["--jobs", "2", "--exec", &script]);
    let mut child = fake.m2(&arguments).spawn().unwrap();
    let lines = || std::fs::read_to_string(&begun).map_or(0, |text| text.lines().count());
    while lines() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let pid = child.id().unwrap().to_string();
    let killed = std::process::Command::new("kill").arg(pid).status();
    assert!(killed.unwrap().success());
    assert!(child.wait().await.unwrap().success());
    let refused = fake.state().refused.clone();
    let mut cursors: Vec<&str> = refused.iter().map(|it| it.cursor.as_str()).collect();
    cursors.sort_unstable();
    assert_eq!(cursors, ["1", "2"]);
}

#[tokio::test]
async fn dead_letters_are_listed_page_by_page_retried_and_dropped() {
    let fake = Fake::start().await;
    let none = fake.run(&["client", "dead-letters", "jobs"]).await;
    assert!(none.stderr.contains("No dead letters"), "{none:?}");
    fake.state().events = vec![received("1", "one"), received("2", "two")];
    let listed = fake.run(&["client", "dead-letters", "jobs"]).await;
    assert_eq!(listed.stdout.lines().count(), 3, "{listed:?}");
    assert!(!listed.stdout.contains('\u{1b}'), "{listed:?}");
    let listed = fake
        .run(&["--json", "client", "dead-letters", "jobs"])
        .await;
    assert_eq!(listed.json()[1]["cursor"], "2");

    for (flags, cursors, action, said) in [
        (
            vec!["--drop", "1", "--drop", "2"],
            vec!["1", "2"],
            DeadLetterAction::Drop,
            "Dropped: 2.",
        ),
        (
            vec!["--drop", "all"],
            vec![],
            DeadLetterAction::Drop,
            "Dropped: 2.",
        ),
        (
            vec!["--retry", "1"],
            vec!["1"],
            DeadLetterAction::Retry,
            "Given to workers again: 2.",
        ),
    ] {
        let arguments = [&["client", "dead-letters", "jobs"], &flags[..]].concat();
        let run = fake.run(&arguments).await;
        assert_eq!((run.code, run.stdout.trim()), (0, said), "{run:?}");
        let asked = fake.state().settled.clone().unwrap();
        assert_eq!((asked.client.as_str(), asked.action()), ("jobs", action));
        assert_eq!(asked.cursors, cursors);
    }
    let both = [
        "client",
        "dead-letters",
        "jobs",
        "--drop",
        "1",
        "--retry",
        "2",
    ];
    assert_eq!(fake.run(&both).await.code, 2);
}
