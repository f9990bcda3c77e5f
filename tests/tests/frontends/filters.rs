//! Streams that select kinds and contacts, and say how far they have come.

use super::*;
use m2_proto::api::v1::{Event, EventKind};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::befriend;
use pbjson_types::Duration as ProtoDuration;

/// Alice and bob, and carol, another contact of alice.
pub(crate) async fn three() -> (Pair, Daemon) {
    let (pair, carol) = tokio::join!(Pair::start(), Daemon::start(Setup::new().identity("carol")));
    let (pair, carol) = (pair.unwrap(), carol.unwrap());
    befriend((&pair.alice, "alice"), (&carol, "carol"))
        .await
        .unwrap();
    (pair, carol)
}

const SECOND: ProtoDuration = ProtoDuration {
    seconds: 1,
    nanos: 0,
};

/// All events from the oldest on, of these kinds and contacts, with a heartbeat.
fn select(kinds: &[EventKind], contacts: &[&str]) -> SubscribeRequest {
    SubscribeRequest {
        start_at: StartAt::Start.into(),
        kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
        contacts: contacts.iter().map(ToString::to_string).collect(),
        heartbeat: Some(SECOND),
        ..Default::default()
    }
}

async fn selected(api: &Api, kinds: &[EventKind], contacts: &[&str]) -> Vec<Event> {
    let mut events = api.subscribe(select(kinds, contacts)).await.unwrap();
    events.until_caught_up().await.unwrap().1
}

#[tokio::test]
async fn a_stream_contains_what_it_selects() {
    let (pair, carol) = three().await;
    let (alice, bob) = pair.apis().await.unwrap();
    let carol = Api::of(&carol).await.unwrap();
    for (api, text) in [(&bob, "from bob"), (&carol, "from carol")] {
        api.send("alice", text).await.unwrap();
        let name = text.trim_start_matches("from ");
        alice.await_text(name, text).await.unwrap();
    }
    let received = [EventKind::MessageReceived];
    let all = selected(&alice, &received, &[]).await;
    assert_eq!(texts_of(&all), ["from bob", "from carol"]);
    let names: Vec<&str> = all
        .iter()
        .map(|event| event.contact_name.as_str())
        .collect();
    assert_eq!(names, ["bob", "carol"]);
    let of_carol = selected(&alice, &received, &["carol"]).await;
    assert_eq!(texts_of(&of_carol), ["from carol"]);
    // A prefix of the peer id names a contact as well, and kinds are not required.
    let id = alice.contact("bob").await.unwrap().peer_id;
    let of_bob = selected(&alice, &[], &[&id[..12]]).await;
    assert!(of_bob.iter().all(|event| event.contact_name == "bob"));
    assert!(of_bob.len() >= 2, "{of_bob:?}");
    let none = selected(&alice, &[EventKind::Typing], &[]).await;
    assert_eq!(none, []);

    let unknown = alice.subscribe(select(&[], &["zoe"])).await.unwrap_err();
    assert_eq!(Reason::of(&unknown), Some(Reason::ContactUnknown));
    let mut unknown = select(&[], &[]);
    unknown.kinds = vec![1, 99];
    let unknown = alice.subscribe(unknown).await.unwrap_err();
    assert_eq!(Reason::of(&unknown), Some(Reason::InvalidArgument));
}

#[tokio::test]
async fn a_client_that_selects_events_moves_past_the_others() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let mut request = select(&[EventKind::Gap], &[]);
    request.client = "gaps".to_owned();
    let mut gaps = alice.subscribe(request.clone()).await.unwrap();
    send_numbers(&bob, 0..5).await;
    alice.await_text("bob", "4").await.unwrap();
    let newest = alice.log().await.unwrap().pop().unwrap().cursor;
    loop {
        let (cursor, events) = gaps.until_caught_up().await.unwrap();
        assert_eq!(events, []);
        if cursor == newest {
            break;
        }
    }
    assert!(clients(&alice).await[0].lag >= 5);
    alice.acknowledge("gaps", &newest).await.unwrap();
    assert_eq!(clients(&alice).await[0].lag, 0);
}

/// `m2 listen` acknowledges the heartbeat itself.
#[tokio::test]
async fn the_position_of_a_listener_moves_past_events_that_it_does_not_want() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    send_numbers(&bob, 0..3).await;
    alice.await_text("bob", "2").await.unwrap();
    let mut listen = pair.alice.m2_command().unwrap();
    listen.args(["--json", "listen", "--client", "quiet", "--from", "start"]);
    listen.args(["--kind", "gap", "--heartbeat", "1s"]);
    listen.stdout(std::process::Stdio::piped());
    let mut listen = listen.spawn().unwrap();
    let mut lines = BufReader::new(listen.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
    let printed: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
    assert!(printed["caughtUp"]["cursor"].is_string(), "{printed}");
    eventually("the acknowledgement", async || {
        Ok((clients(&alice).await[0].lag == 0).then_some(()))
    })
    .await
    .unwrap();
    listen.kill().await.unwrap();
}

#[tokio::test]
async fn a_command_gets_the_text_and_the_contact() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let first = alice.send("bob", "question").await.unwrap();
    bob.await_text("alice", "question").await.unwrap();
    let mut reply = Api::text("alice", "an\0swer; $(exit)");
    reply.reply_to.clone_from(&first);
    bob.send_request(reply).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let script = format!(
        "printf '%s|%s|%s\\n' \"$M2_CONTACT_NAME\" \"$M2_TEXT\" \"$M2_REPLY_TO\" > {}",
        out.display()
    );
    let listen = [
        "listen",
        "--from",
        "start",
        "--kind",
        "messageReceived",
        "--contact",
        "bob",
        "--count",
        "1",
        "--exec",
        &script,
    ];
    pair.alice.m2(&listen).await.unwrap().success().unwrap();
    let written = std::fs::read_to_string(&out).unwrap();
    assert_eq!(written, format!("bob|an\u{fffd}swer; $(exit)|{first}\n"));
}
