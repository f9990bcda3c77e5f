//! Presence: which contacts are online, for the streams that ask for it.

use super::filters::three;
use super::*;
use m2_proto::api::v1::notice::Kind;
use m2_proto::api::v1::{EventKind, Notice, Path};

fn presence(contacts: &[&str]) -> SubscribeRequest {
    SubscribeRequest {
        kinds: vec![EventKind::Presence.into()],
        contacts: contacts.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

fn state(notice: &Notice) -> (&str, bool, Path) {
    match &notice.kind {
        Some(Kind::Presence(it)) => (&notice.contact_name, it.online, it.path()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_begins_with_the_present_state_and_follows_it() {
    let (mut pair, carol) = three().await;
    let (alice, bob) = pair.apis().await.unwrap();
    let mut all = alice.subscribe(presence(&[])).await.unwrap();
    let mut first = [
        all.next_notice().await.unwrap(),
        all.next_notice().await.unwrap(),
    ];
    first.sort_by(|one, other| one.contact_name.cmp(&other.contact_name));
    let states: Vec<_> = first.iter().map(state).collect();
    assert_eq!(
        states,
        [("bob", true, Path::Direct), ("carol", true, Path::Direct)]
    );
    let mut of_carol = alice.subscribe(presence(&["carol"])).await.unwrap();
    assert_eq!(state(&of_carol.next_notice().await.unwrap()).0, "carol");

    // Events are not of the kind that the stream asks for.
    bob.send("alice", "hello").await.unwrap();
    alice.await_text("bob", "hello").await.unwrap();
    assert!(pair.bob.stop().await.unwrap().success());
    let answer = all.next_answer().await.unwrap();
    let gone = answer.notice.unwrap();
    assert_eq!(state(&gone), ("bob", false, Path::None));
    // A stream that begins now is told so at once.
    let mut late = alice.subscribe(presence(&["bob"])).await.unwrap();
    assert!(!state(&late.next_notice().await.unwrap()).1);
    pair.bob.restart().await.unwrap();
    let back = all.next_notice().await.unwrap();
    assert_eq!(state(&back), ("bob", true, Path::Direct));
    assert!(state(&late.next_notice().await.unwrap()).1);

    drop(carol);
    // The first change that concerns carol's stream is her own.
    alice.send("carol", "are you there?").await.unwrap();
    let gone = of_carol.next_notice().await.unwrap();
    assert_eq!(state(&gone), ("carol", false, Path::None));
}

#[tokio::test]
async fn a_new_contact_is_reported_as_online() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let mut all = alice.subscribe(presence(&[])).await.unwrap();
    assert_eq!(state(&all.next_notice().await.unwrap()).0, "bob");
    let carol = m2_tests::harness::Setup::new().identity("carol");
    let carol = m2_tests::harness::Daemon::start(carol).await.unwrap();
    m2_tests::scenario::befriend((&pair.alice, "alice"), (&carol, "carol"))
        .await
        .unwrap();
    let carol = all.next_notice().await.unwrap();
    assert_eq!(state(&carol), ("carol", true, Path::Direct));
}

#[tokio::test]
async fn the_command_line_prints_presence() {
    let mut pair = Pair::start().await.unwrap();
    let mut listen = pair.alice.m2_command().unwrap();
    listen.args(["listen", "--presence"]);
    listen.stdout(std::process::Stdio::piped());
    let mut listen = listen.spawn().unwrap();
    let mut lines = BufReader::new(listen.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
    assert_eq!(line.unwrap(), "bob  is online");
    assert!(pair.bob.stop().await.unwrap().success());
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
    assert_eq!(line.unwrap(), "bob  is offline");
    listen.kill().await.unwrap();
    let refused = ["listen", "--kind", "presence", "--exec", "true"];
    assert_eq!(pair.alice.m2(&refused).await.unwrap().code, Some(2));
}
