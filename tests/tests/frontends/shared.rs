//! Several workers that share one client name.

use super::filters::three;
use super::*;
use m2_proto::api::v1::{
    DeadLetter, DeadLetterAction, EventKind, ListDeadLettersRequest, NackEventRequest,
    SettleDeadLettersRequest,
};
use pbjson_types::Duration as ProtoDuration;
use std::sync::Arc;
use tokio::sync::Mutex;

/// A worker of the name `jobs` that takes received messages and keeps each for `lease` seconds at most.
fn worker(lease: i64) -> SubscribeRequest {
    SubscribeRequest {
        client: "jobs".to_owned(),
        start_at: StartAt::Start.into(),
        kinds: vec![EventKind::MessageReceived.into()],
        shared: true,
        lease: Some(ProtoDuration {
            seconds: lease,
            nanos: 0,
        }),
        max_deliveries: 2,
        ..Default::default()
    }
}

/// The next event, its text and the number of its delivery.
async fn next(events: &mut Events) -> (Event, String, u32) {
    let answer = events.next_answer().await.unwrap();
    let event = answer.event.unwrap();
    let text = text_of(&event).unwrap().to_owned();
    (event, text, answer.delivery.unwrap().number)
}

async fn nack(api: &Api, event: &Event, delay: i64) {
    let request = NackEventRequest {
        client: "jobs".to_owned(),
        cursor: event.cursor.clone(),
        delay: Some(ProtoDuration {
            seconds: delay,
            nanos: 0,
        }),
        reason: "broken".to_owned(),
        ..Default::default()
    };
    api.client().events().nack_event(request).await.unwrap();
}

async fn letters(api: &Api) -> Vec<DeadLetter> {
    let request = ListDeadLettersRequest {
        client: "jobs".to_owned(),
        ..Default::default()
    };
    let answer = api.client().events().list_dead_letters(request).await;
    answer.unwrap().into_inner().letters
}

#[tokio::test]
async fn each_event_goes_to_one_worker_and_each_contacts_events_in_order() {
    let (pair, carol) = three().await;
    let (alice, bob) = pair.apis().await.unwrap();
    let carol = Api::of(&carol).await.unwrap();
    let handled = Arc::new(Mutex::new(Vec::new()));
    let mut workers = Vec::new();
    for _ in 0..3 {
        let api = Api::of(&pair.alice).await.unwrap();
        let mut events = api.subscribe(worker(60)).await.unwrap();
        let handled = handled.clone();
        workers.push(tokio::spawn(async move {
            loop {
                let answer = events.next_answer().await.unwrap();
                let Some(event) = answer.event else { continue };
                let name = event.contact_name.clone();
                let text = text_of(&event).unwrap().to_owned();
                handled.lock().await.push((name, text));
                api.acknowledge("jobs", &event.cursor).await.unwrap();
            }
        }));
    }
    for number in 0..30 {
        bob.send("alice", &number.to_string()).await.unwrap();
        carol.send("alice", &number.to_string()).await.unwrap();
    }
    eventually("all to be handled", async || {
        Ok((handled.lock().await.len() >= 60).then_some(()))
    })
    .await
    .unwrap();
    let client = &clients(&alice).await[0];
    assert!(client.shared && client.workers == 3, "{client:?}");
    workers.iter().for_each(|worker| worker.abort());
    let handled = handled.lock().await.clone();
    for name in ["bob", "carol"] {
        let of_one = handled.iter().filter(|(contact, _)| contact == name);
        let of_one: Vec<String> = of_one.map(|(_, text)| text.clone()).collect();
        assert_eq!(of_one, numbers(0..30), "{name}");
    }
    eventually("the cursor to pass all", async || {
        Ok((clients(&alice).await[0].lag == 0).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_event_whose_lease_ends_goes_to_another_worker() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    send_numbers(&bob, 0..2).await;
    alice.await_text("bob", "1").await.unwrap();
    let mut lost = alice.subscribe(worker(3)).await.unwrap();
    assert_eq!(next(&mut lost).await.1, "0");
    let mut other = alice.subscribe(worker(60)).await.unwrap();
    drop(lost);
    let (first, text, delivery) = next(&mut other).await;
    assert_eq!(
        (text.as_str(), delivery),
        ("0", 2),
        "the second waits for it"
    );
    alice.acknowledge("jobs", &first.cursor).await.unwrap();
    let (second, text, delivery) = next(&mut other).await;
    assert_eq!((text.as_str(), delivery), ("1", 1));

    // The lease lasts while the daemon is away, and the worker may still acknowledge.
    pair.alice.kill9().await.unwrap();
    pair.alice.restart().await.unwrap();
    assert_eq!(clients(&alice).await[0].leased, 1);
    send_numbers(&bob, 2..3).await;
    let mut other = alice.subscribe(worker(60)).await.unwrap();
    alice.acknowledge("jobs", &second.cursor).await.unwrap();
    assert_eq!(next(&mut other).await.1, "2");
}

#[tokio::test]
async fn an_event_that_is_never_handled_becomes_a_dead_letter() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    send_numbers(&bob, 0..3).await;
    alice.await_text("bob", "2").await.unwrap();
    let mut events = alice.subscribe(worker(60)).await.unwrap();
    for delivery in 1..=2 {
        let (event, text, number) = next(&mut events).await;
        assert_eq!((text.as_str(), number), ("0", delivery));
        nack(&alice, &event, 0).await;
    }
    // The next event of the contact is not kept back by the dead letter.
    let (event, text, _) = next(&mut events).await;
    assert_eq!(text, "1");
    alice.acknowledge("jobs", &event.cursor).await.unwrap();
    let (event, text, _) = next(&mut events).await;
    assert_eq!(text, "2");
    // A pause lasts.
    nack(&alice, &event, 3_600).await;
    pair.alice.kill9().await.unwrap();
    pair.alice.restart().await.unwrap();

    let dead = letters(&alice).await;
    assert_eq!(dead.len(), 1);
    assert_eq!(text_of(dead[0].event.as_ref().unwrap()), Some("0"));
    assert_eq!((dead[0].deliveries, dead[0].reason.as_str()), (2, "broken"));
    let warnings = alice.status().await.unwrap().warnings.join("\n");
    assert!(warnings.contains("m2 client dead-letters"), "{warnings}");
    let listed = pair.alice.m2(&["client", "dead-letters", "jobs"]).await;
    let listed = listed.unwrap().success().unwrap();
    assert!(
        listed.contains("bob") && listed.contains("broken"),
        "{listed}"
    );

    let retry = ["client", "dead-letters", "jobs", "--retry", "all"];
    let retried = pair.alice.m2(&retry).await.unwrap().success().unwrap();
    assert_eq!(retried.trim(), "Given to workers again: 1.");
    let mut events = alice.subscribe(worker(60)).await.unwrap();
    for delivery in 1..=2 {
        let (event, text, number) = next(&mut events).await;
        assert_eq!((text.as_str(), number), ("0", delivery));
        nack(&alice, &event, 0).await;
    }
    let request = SettleDeadLettersRequest {
        client: "jobs".to_owned(),
        cursors: vec![dead[0].cursor.clone()],
        action: DeadLetterAction::Drop.into(),
    };
    let mut service = alice.client().events();
    let dropped = service.settle_dead_letters(request.clone()).await;
    assert_eq!(dropped.unwrap().into_inner().count, 1);
    let again = service.settle_dead_letters(request).await;
    assert_eq!(again.unwrap().into_inner().count, 0);
    assert_eq!(letters(&alice).await, []);
}

#[tokio::test]
async fn a_name_is_shared_or_not() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let one = alice.subscribe(worker(60)).await.unwrap();
    let in_use = alice.events("jobs").await.unwrap_err();
    assert_eq!(Reason::of(&in_use), Some(Reason::ClientInUse));
    let mut other = worker(60);
    other.kinds.clear();
    let other = alice.subscribe(other).await.unwrap_err();
    assert_eq!(Reason::of(&other), Some(Reason::InvalidArgument));
    drop(one);
    eventually("the name to be free", async || {
        Ok((!clients(&alice).await[0].connected).then_some(()))
    })
    .await
    .unwrap();
    let differs = alice.events("jobs").await.unwrap_err();
    assert_eq!(Reason::of(&differs), Some(Reason::ClientModeDiffers));
    drop(alice.events("desk").await.unwrap());
    eventually("the name to be free", async || {
        Ok((!clients(&alice).await[0].connected).then_some(()))
    })
    .await
    .unwrap();
    let mut desk = worker(60);
    desk.client = "desk".to_owned();
    let differs = alice.subscribe(desk).await.unwrap_err();
    assert_eq!(Reason::of(&differs), Some(Reason::ClientModeDiffers));
    let request = NackEventRequest {
        client: "desk".to_owned(),
        cursor: alice.log().await.unwrap().pop().unwrap().cursor,
        ..Default::default()
    };
    let differs = alice.client().events().nack_event(request).await;
    let differs = differs.unwrap_err();
    assert_eq!(Reason::of(&differs), Some(Reason::ClientModeDiffers));
}

#[tokio::test]
async fn commands_of_several_listeners_share_the_events() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    send_numbers(&bob, 0..3).await;
    alice.await_text("bob", "2").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    // The first attempt for "1" fails.
    let script = format!(
        "printf '%s %s\\n' \"$M2_TEXT\" \"$M2_DELIVERY\" >> {}; [ \"$M2_TEXT $M2_DELIVERY\" != '1 1' ]",
        out.display()
    );
    let listen = [
        "listen",
        "--client",
        "jobs",
        "--shared",
        "--from",
        "start",
        "--kind",
        "messageReceived",
        "--retry-delay",
        "10ms",
        "--exec",
        &script,
    ];
    let mut listeners: Vec<_> = (0..2)
        .map(|_| {
            let mut command = pair.alice.m2_command().unwrap();
            command.args(listen).stderr(std::process::Stdio::null());
            command.spawn().unwrap()
        })
        .collect();
    eventually("all to be handled", async || {
        let clients = clients(&alice).await;
        let is_done = clients
            .first()
            .is_some_and(|it| it.lag == 0 && it.leased == 0);
        Ok(is_done.then_some(()))
    })
    .await
    .unwrap();
    for listener in &mut listeners {
        listener.kill().await.unwrap();
    }
    let written = std::fs::read_to_string(&out).unwrap();
    assert_eq!(written, "0 1\n1 1\n1 2\n2 1\n");
}

#[tokio::test]
async fn one_listener_runs_commands_for_several_contacts_at_once() {
    let (pair, carol) = three().await;
    for friend in [&pair.bob, &carol] {
        let api = Api::of(friend).await.unwrap();
        for number in 0..2 {
            api.send("alice", &format!("{number}")).await.unwrap();
        }
        api.await_empty_outbox().await.unwrap();
    }
    // Each command for a first message ends only once the other contact's has begun.
    let directory = tempfile::tempdir().unwrap();
    let script = "cd \"$DIR\"; echo $M2_TEXT >> $M2_CONTACT_NAME; for try in $(seq 600); do \
                  [ -e bob ] && [ -e carol ] && exit 0; sleep 0.1; done; exit 1";
    let mut command = pair.alice.m2_command().unwrap();
    command.args(["listen", "--client", "jobs", "--shared", "--from", "start"]);
    command.args(["--kind", "messageReceived", "--lease", "5m", "--count", "4"]);
    command.args(["--jobs", "2", "--exec", script]);
    command.env("DIR", directory.path());
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    for name in ["bob", "carol"] {
        let written = std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!(written, "0\n1\n", "{name}");
    }
    let clients = clients(&Api::of(&pair.alice).await.unwrap()).await;
    assert_eq!((clients[0].lag, clients[0].leased), (0, 0));
}
