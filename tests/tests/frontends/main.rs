//! Several front-ends of one daemon: all receive the same events, each from its own cursor.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod filters;
mod history;
mod live;
mod presence;
mod shared;
mod stops;

use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::{
    Event, EventClient, ListClientsRequest, MessageState, SendMessagesRequest, StartAt,
    SubscribeRequest, WatchMessageRequest, send_messages_response,
};
use m2_proto::reason::Reason;
use m2_tests::scenario::{Api, Events, PATIENCE, Pair, eventually, number};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStdout;
use tokio::time::timeout;

/// The number of events in the throughput test: enough to fill a bounded queue many times.
const MANY: usize = 5_000;

#[tokio::test]
async fn all_front_ends_see_the_same_events_in_the_same_order() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let mut streams = [
        alice.events_from_start("desk").await.unwrap(),
        alice.events_from_start("phone").await.unwrap(),
        alice.all_events().await.unwrap(),
    ];
    for number in 0..40 {
        bob.send("alice", &format!("from bob {number}"))
            .await
            .unwrap();
        alice
            .send("bob", &format!("from alice {number}"))
            .await
            .unwrap();
    }
    alice.await_empty_outbox().await.unwrap();
    bob.await_empty_outbox().await.unwrap();
    // contactAdded, 40 received messages, and sent and delivered for 40 messages.
    let mut seen = Vec::new();
    for stream in &mut streams {
        seen.push(until_delivered(stream, 40).await);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    let received = seen[0].iter().filter(|event| text_of(event).is_some());
    assert_eq!(received.count(), 40);
}

#[tokio::test]
async fn a_front_end_that_was_away_replays_from_its_cursor() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let mut desk = alice.events("desk").await.unwrap();
    send_numbers(&bob, 0..10).await;
    let first = texts(&mut desk, 10).await;
    assert_eq!(texts_of(&first), numbers(0..10));
    // Acknowledges six of them, then disconnects while more messages arrive.
    alice.acknowledge("desk", &first[5].cursor).await.unwrap();
    drop(desk);
    send_numbers(&bob, 10..20).await;
    pair.alice.kill9().await.unwrap();
    send_numbers(&bob, 20..30).await;
    pair.alice.restart().await.unwrap();

    let mut desk = alice.events("desk").await.unwrap();
    let again = texts(&mut desk, 24).await;
    assert_eq!(texts_of(&again), numbers(6..30));
    // The same events with the same cursors.
    assert_eq!(again[..4], first[6..]);
    // A new client starts at the present unless it asks for the start of the log. So does an unnamed
    // client.
    let mut all = alice.events_from_start("tablet").await.unwrap();
    assert_eq!(texts_of(&texts(&mut all, 30).await), numbers(0..30));
    let mut phone = alice.events("phone").await.unwrap();
    let mut unnamed = alice.events("").await.unwrap();
    send_numbers(&bob, 30..31).await;
    assert_eq!(texts_of(&texts(&mut phone, 1).await), numbers(30..31));
    assert_eq!(texts_of(&texts(&mut unnamed, 1).await), numbers(30..31));
}

#[tokio::test]
async fn a_slow_front_end_delays_no_other_and_costs_no_memory() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    // Separate connections: HTTP/2 shares one flow-control window among the streams of a connection.
    let lazy = Api::of(&pair.alice).await.unwrap();
    let unread = lazy.events("lazy").await.unwrap();
    let mut quick = alice.events("quick").await.unwrap();
    let before = pair.alice.rss_kib().unwrap();

    let start = Instant::now();
    let sending = tokio::spawn(send_many(bob, MANY));
    let seen = texts(&mut quick, MANY).await;
    let took = start.elapsed();
    sending.await.unwrap();
    assert_eq!(texts_of(&seen), numbers(0..MANY));
    assert!(took < PATIENCE, "{MANY} events took {took:?}");

    let grown = pair.alice.rss_kib().unwrap().saturating_sub(before);
    println!("{MANY} events in {took:?}, {grown} KiB more");
    assert!(grown < 48 * 1_024, "the daemon grew by {grown} KiB");
    // The unread events are still available.
    let mut unread = unread;
    assert_eq!(texts_of(&texts(&mut unread, MANY).await), numbers(0..MANY));
}

#[tokio::test]
async fn a_name_is_leased_to_one_stream() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let first = alice.events("desk").await.unwrap();
    let second = alice.events("desk").await.unwrap_err();
    assert_eq!(Reason::of(&second), Some(Reason::ClientInUse));
    let listen = ["--json", "listen", "--client", "desk", "--count", "1"];
    let listen = pair.alice.m2(&listen).await.unwrap();
    assert_eq!(listen.code, Some(1));
    assert!(listen.stderr.contains("CLIENT_IN_USE"), "{}", listen.stderr);
    // Another name is free. This one becomes free when its stream ends.
    alice.events("phone").await.unwrap();
    drop(first);
    eventually("the lease to end", async || {
        match alice.events("desk").await {
            Ok(_) => Ok(Some(())),
            Err(status) if Reason::of(&status) == Some(Reason::ClientInUse) => Ok(None),
            Err(status) => Err(status.into()),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn invalid_cursors_are_refused() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    send_numbers(&bob, 0..3).await;
    let mut desk = alice.events_from_start("desk").await.unwrap();
    let last = texts(&mut desk, 3).await.pop().unwrap();
    let (log, place) = last.cursor.rsplit_once('-').unwrap();
    let foreign = bob.all_events().await.unwrap().next().await.unwrap().cursor;
    let future = format!("{log}-{}", place.parse::<u64>().unwrap() + 1_000);
    let wrong = [
        "",
        "x",
        "-",
        "12",
        "--",
        &foreign,
        &future,
        &format!("{log}--1"),
    ]
    .map(String::from);
    for cursor in wrong {
        let refused = alice.acknowledge("desk", &cursor).await.unwrap_err();
        assert_eq!(
            Reason::of(&refused),
            Some(Reason::CursorInvalid),
            "{cursor}"
        );
        if !cursor.is_empty() {
            let refused = subscribe_after(&alice, &cursor).await.unwrap_err();
            assert_eq!(
                Reason::of(&refused),
                Some(Reason::CursorInvalid),
                "{cursor}"
            );
        }
    }
    let unknown = alice.acknowledge("nobody", &last.cursor).await.unwrap_err();
    assert_eq!(Reason::of(&unknown), Some(Reason::ClientUnknown));
    // A valid cursor still works. An earlier one is accepted and changes nothing.
    alice.acknowledge("desk", &last.cursor).await.unwrap();
    let before = format!("{log}-{}", place.parse::<u64>().unwrap() - 1);
    alice.acknowledge("desk", &before).await.unwrap();
    assert_eq!(clients(&alice).await[0].cursor, last.cursor);
    let mut after = subscribe_after(&alice, &last.cursor).await.unwrap();
    send_numbers(&bob, 3..4).await;
    assert_eq!(texts_of(&texts(&mut after, 1).await), numbers(3..4));
}

#[tokio::test]
async fn events_are_replayed_with_the_same_cursor() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    send_numbers(&bob, 0..5).await;
    let mut before = alice.events_from_start("desk").await.unwrap();
    let before = texts(&mut before, 5).await;
    assert!(pair.alice.stop().await.unwrap().success());
    pair.alice.restart().await.unwrap();
    let mut after = alice.events("desk").await.unwrap();
    assert_eq!(before, texts(&mut after, 5).await);
    let numbers: Vec<u64> = before.iter().map(|event| number(event).unwrap()).collect();
    assert!(numbers.is_sorted());
    let times = before.iter().map(|event| event.time.unwrap().unix_millis());
    assert!(times.is_sorted());
}

#[tokio::test]
async fn a_command_is_run_for_every_event() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    send_numbers(&bob, 0..3).await;
    alice.await_text("bob", "2").await.unwrap();
    // The command receives the contact's event, then the texts. It fails five times for "1".
    let script = format!(
        "IFS= read -r line; case \"$line\" in *'\"text\":\"1\"'*) echo tried >> {out}; exit 7;; esac; \
         printf '%s\\n' \"$line\" >> {out}",
        out = out.display()
    );
    let arguments = [
        "--json",
        "listen",
        "--client",
        "hook",
        "--from",
        "start",
        "--exec",
        &script,
        "--count",
        "4",
        "--retry-delay",
        "10ms",
    ];
    let dead = pair.alice.m2(&arguments).await.unwrap().json().unwrap();
    let written = std::fs::read_to_string(&out).unwrap();
    let tried = written.lines().filter(|line| *line == "tried").count();
    assert_eq!(tried, 5, "{written}");
    for text in ["0", "2"] {
        let found = written.matches(&format!("\"text\":\"{text}\"")).count();
        assert_eq!(found, 1, "{written}");
    }
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0]["deadLetter"]["attempts"], 5);
    assert_eq!(
        dead[0]["deadLetter"]["event"]["messageReceived"]["text"],
        "1"
    );

    // All four events are acknowledged, so the next one is the first that the client receives.
    send_numbers(&bob, 9..10).await;
    let next = ["--json", "listen", "--client", "hook", "--count", "1"];
    let next = pair.alice.m2(&next).await.unwrap().json().unwrap();
    assert_eq!(next[0]["messageReceived"]["text"], "9");
}

#[tokio::test]
async fn an_interrupted_command_is_run_again() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    send_numbers(&bob, 0..1).await;
    alice.await_text("bob", "0").await.unwrap();
    // The daemon dies while the command handles the message. The command runs until the end of the
    // test, so it must not keep the test's output open.
    let script = format!(
        "[ \"$M2_EVENT\" = messageReceived ] || exit 0; echo began >> {out}; \
         exec > /dev/null 2>&1; while [ -e {out} ]; do sleep 0.1; done",
        out = out.display()
    );
    let mut listen = pair.alice.m2_command().unwrap();
    listen.args(["listen", "--client", "hook", "--from", "start"]);
    listen.args(["--exec", &script]);
    let mut listen = listen.spawn().unwrap();
    eventually("the command to run", async || {
        Ok(out.exists().then_some(()))
    })
    .await
    .unwrap();
    listen.kill().await.unwrap();
    pair.alice.kill9().await.unwrap();
    pair.alice.restart().await.unwrap();

    let script = format!(
        "printf '%s\\n' \"$M2_EVENT $M2_MESSAGE_ID\" >> {}",
        out.display()
    );
    let again = [
        "listen", "--client", "hook", "--exec", &script, "--count", "1",
    ];
    pair.alice.m2(&again).await.unwrap().success().unwrap();
    let written = std::fs::read_to_string(&out).unwrap();
    let id = alice.await_text("bob", "0").await.unwrap().message_id;
    assert_eq!(written, format!("began\nmessageReceived {id}\n"));
}

async fn clients(api: &Api) -> Vec<EventClient> {
    let request = ListClientsRequest {};
    let answer = api.client().events().list_clients(request).await;
    answer.unwrap().into_inner().clients
}

#[tokio::test]
async fn named_clients_are_listed_and_removed() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let mut desk = alice.events_from_start("desk").await.unwrap();
    let phone = alice.events("phone").await.unwrap();
    send_numbers(&bob, 0..3).await;
    let first = texts(&mut desk, 3).await.remove(0);
    alice.acknowledge("desk", &first.cursor).await.unwrap();
    let listed = clients(&alice).await;
    let names = listed.iter().map(|client| client.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["desk", "phone"]);
    assert!(listed.iter().all(|client| client.connected));
    assert_eq!(listed[0].cursor, first.cursor);
    assert_eq!((listed[0].lag, listed[1].lag), (2, 3));
    assert!(listed[0].acknowledged && !listed[1].acknowledged);
    let seen = listed[0].last_seen.unwrap().unix_millis();
    assert!(seen >= first.time.unwrap().unix_millis());

    let busy = pair
        .alice
        .m2(&["--json", "client", "remove", "phone"])
        .await;
    assert!(busy.unwrap().stderr.contains("CLIENT_IN_USE"));
    drop(phone);
    eventually("the name to be free", async || {
        let free = clients(&alice).await.iter().any(|client| !client.connected);
        Ok(free.then_some(()))
    })
    .await
    .unwrap();
    let removed = pair.alice.m2(&["client", "remove", "phone"]).await.unwrap();
    removed.success().unwrap();
    let again = pair
        .alice
        .m2(&["--json", "client", "remove", "phone"])
        .await;
    assert!(again.unwrap().stderr.contains("CLIENT_UNKNOWN"));
    let list = pair.alice.m2(&["client", "list"]).await.unwrap();
    let list = list.success().unwrap();
    assert!(list.contains("desk") && !list.contains("phone"), "{list}");
}

async fn send_numbers(api: &Api, range: std::ops::Range<usize>) {
    for text in numbers(range) {
        api.send("alice", &text).await.unwrap();
    }
}

/// Sends 0, 1, 2, … in one stream.
async fn send_many(api: Api, count: usize) {
    let requests = numbers(0..count)
        .into_iter()
        .map(|text| SendMessagesRequest {
            message: Some(Api::text("alice", &text)),
        });
    let requests = tokio_stream::iter(requests.collect::<Vec<_>>());
    let answers = api.client().messages().send_messages(requests).await;
    let mut answers = answers.unwrap().into_inner();
    let mut sent = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        let result = answer.result.unwrap();
        assert!(matches!(result, send_messages_response::Result::Sent(_)));
        sent += 1;
    }
    assert_eq!(sent, count);
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// The next `count` events that are received messages.
async fn texts(events: &mut Events, count: usize) -> Vec<Event> {
    let mut found = Vec::new();
    while found.len() < count {
        let event = events.next().await.unwrap();
        if text_of(&event).is_some() {
            found.push(event);
        }
    }
    found
}

fn texts_of(events: &[Event]) -> Vec<String> {
    let texts = events.iter().filter_map(text_of);
    texts.map(str::to_owned).collect()
}

fn text_of(event: &Event) -> Option<&str> {
    match event.kind.as_ref()? {
        Kind::MessageReceived(received) => Some(&received.text),
        _ => None,
    }
}

/// All events up to the last delivery and the last received message.
async fn until_delivered(events: &mut Events, count: usize) -> Vec<Event> {
    let (mut seen, mut delivered, mut received) = (Vec::new(), 0, 0);
    while delivered < count || received < count {
        let event = events.next().await.unwrap();
        match event.kind.as_ref().unwrap() {
            Kind::MessageState(change) if change.state() == MessageState::Delivered => {
                delivered += 1;
            }
            Kind::MessageReceived(_) => received += 1,
            _ => {}
        }
        seen.push(event);
    }
    seen
}

async fn subscribe_after(api: &Api, cursor: &str) -> Result<Events, tonic::Status> {
    api.subscribe(SubscribeRequest {
        client: String::new(),
        start_at: StartAt::Unspecified.into(),
        after: cursor.to_owned(),
        ..SubscribeRequest::default()
    })
    .await
}

#[tokio::test]
async fn a_subscription_has_one_starting_point() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let event = alice.all_events().await.unwrap().next().await.unwrap();
    let refused = alice
        .subscribe(SubscribeRequest {
            client: String::new(),
            start_at: StartAt::Now.into(),
            after: event.cursor,
            ..SubscribeRequest::default()
        })
        .await
        .unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::InvalidArgument));
    // There are no new events, so a stream that starts at the present is silent.
    let mut silent = alice.events("").await.unwrap();
    let rest = silent.rest(Duration::from_millis(200)).await.unwrap();
    assert_eq!(rest, []);
}
