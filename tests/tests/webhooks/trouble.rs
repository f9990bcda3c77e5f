//! Receivers that are dead, slow or lying, and tokens that are not valid.

use crate::receiver::{Behaviour, Post, Receiver};
use crate::{Hooks, await_no_warning, await_warning, clients, send_numbered};
use m2_proto::api::v1::AccessScope;
use m2_tests::gateway::{Gateway, bearer};
use m2_tests::scenario::{PATIENCE, Pair, eventually};
use std::fs;
use tokio::time::timeout;

/// The bound on the memory that a webhook takes: the window of its stream, an event in several forms, the allocator.
const BOUND_KIB: u64 = 8 * 1_024;

async fn await_failing(gateway: &Gateway, count: u64) {
    eventually("the health", async || {
        let health = gateway.request("GET /v1/health", &[], "").await.json();
        Ok((health["webhooks"]["failing"] == count).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_dead_receiver_is_reported_and_costs_no_message() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let receiver = Receiver::start(Behaviour::Status(204)).await;
    let hooks = Hooks::new(&alice).await.add("ops", &receiver.url(), "");
    let gateway = hooks.start(&pair.alice, &alice).await;
    let mut sent = send_numbered(&bob, "alice", 0..2).await;
    receiver.await_posts(2).await;
    let address = receiver.address;
    drop(receiver);
    sent.extend(send_numbered(&bob, "alice", 2..6).await);
    let warning = await_warning(&alice, "webhook-ops").await;
    for part in ["Connection refused", "m2 client remove webhook-ops"] {
        assert!(warning.contains(part), "{warning}");
    }
    await_failing(&gateway, 1).await;
    let listed = clients(&alice).await;
    assert!(listed[0].failing_since.is_some(), "{listed:?}");
    assert!(listed[0].lag >= 4, "{listed:?}");
    let shown = pair.alice.m2(&["client", "list"]).await.unwrap().success();
    let shown = shown.unwrap();
    assert!(
        shown.contains("webhook-ops reports a failure since"),
        "{shown}"
    );
    let token = monitor(&alice).await;
    let metrics = gateway.request("GET /metrics", &[&token], "").await.body;
    assert!(
        metrics.contains("m2_webhook_failing{webhook=\"ops\"} 1"),
        "{metrics}"
    );
    assert!(
        metrics.contains("m2_webhook_delivered_total{webhook=\"ops\"} 2"),
        "{metrics}"
    );

    let receiver = Receiver::start_at(address, Behaviour::Status(204)).await;
    let posts = receiver.await_posts(4).await;
    let texts: Vec<String> = posts.iter().map(Post::text).collect();
    assert_eq!(texts, sent[2..]);
    await_no_warning(&alice, "webhook-ops").await;
    await_failing(&gateway, 0).await;
    assert!(clients(&alice).await[0].failure.is_empty());
}

/// Returns the header with a token for metrics.
async fn monitor(api: &m2_tests::scenario::Api) -> String {
    let request = m2_proto::api::v1::CreateTokenRequest {
        name: "prometheus".to_owned(),
        scopes: vec![AccessScope::Status.into()],
        ..Default::default()
    };
    let mut access = api.client().access();
    let token = access.create_token(request).await.unwrap().into_inner();
    format!("Authorization: Bearer {}", token.token)
}

#[tokio::test]
async fn a_receiver_that_hangs_or_lies_delays_only_itself() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let good = Receiver::start(Behaviour::Status(200)).await;
    let mut hooks = Hooks::new(&alice).await.add("good", &good.url(), "");
    let mut bad = Vec::new();
    for (number, behaviour) in [
        Behaviour::Hang,
        Behaviour::EndlessHead,
        Behaviour::Status(500),
        Behaviour::Status(410),
        Behaviour::Redirect(good.url()),
    ]
    .into_iter()
    .enumerate()
    {
        let receiver = Receiver::start(behaviour).await;
        hooks = hooks.add(&format!("bad-{number}"), &receiver.url(), "");
        bad.push(receiver);
    }
    let endless = Receiver::start(Behaviour::EndlessBody).await;
    hooks = hooks.add("endless", &endless.url(), "");
    let gateway = hooks.start(&pair.alice, &alice).await;
    let sent = send_numbered(&bob, "alice", 0..4).await;
    // Its status says that the event was accepted. The rest is not read.
    for receiver in [&good, &endless] {
        let posts = receiver.await_posts(4).await;
        let texts: Vec<String> = posts.iter().map(Post::text).collect();
        assert_eq!(texts, sent);
    }
    await_failing(&gateway, bad.len() as u64).await;
    assert_eq!(good.posts().len(), 4, "no redirect is followed");
    for number in 0..bad.len() {
        await_warning(&alice, &format!("webhook-bad-{number} ")).await;
    }
    for receiver in &bad {
        let posts = receiver.posts();
        assert!(posts.iter().all(|post| post.id == posts[0].id), "{posts:?}");
        receiver.behave(Behaviour::Status(204));
        let posts = receiver.await_posts(4).await;
        let texts: Vec<String> = posts.iter().map(Post::text).collect();
        assert_eq!(texts, sent);
    }
    await_failing(&gateway, 0).await;
}

#[tokio::test]
async fn slow_readers_hold_a_bounded_amount_of_memory_and_delay_no_request() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let receiver = Receiver::start(Behaviour::Hang).await;
    let hooks = Hooks::new(&alice).await.add("slow", &receiver.url(), "");
    let gateway = hooks.start(&pair.alice, &alice).await;
    let token = bearer(&alice, "bot", &[AccessScope::Events]).await;
    let served = gateway.request("GET /v1/contacts", &[&token], "").await;
    assert_eq!(served.status, 200);
    let before = gateway.rss_kib();
    let large = "x".repeat(40_000);
    for number in 0..400 {
        bob.send("alice", &format!("{number} {large}"))
            .await
            .unwrap();
    }
    eventually("all messages", async || {
        let waiting = clients(&alice).await[0].lag;
        Ok((waiting >= 400).then_some(()))
    })
    .await
    .unwrap();
    receiver.await_posts(1).await;
    let grown = gateway.rss_kib().saturating_sub(before);
    assert!(grown < BOUND_KIB, "{grown} KiB");

    // Streams whose readers do not read fill the windows of their own connections only.
    let accept = "Accept: text/event-stream";
    let mut streams = Vec::new();
    for _ in 0..6 {
        let line = "GET /v1/events?from=start";
        streams.push(gateway.begin(line, &[&token, accept], "").await);
    }
    for _ in 0..20 {
        let headers = [token.as_str()];
        let answer = gateway.request("GET /v1/contacts", &headers, "");
        let answer = timeout(PATIENCE, answer).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    drop(streams);
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_reported_and_can_be_replaced() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let receiver = Receiver::start(Behaviour::Status(204)).await;
    let hooks = Hooks::new(&alice).await.add("ops", &receiver.url(), "");
    let gateway = hooks.start(&pair.alice, &alice).await;
    let file = hooks.directory.path().join("token");
    let token = fs::read_to_string(&file).unwrap();
    gateway.kill9().await;
    fs::write(&file, format!("m2t_{}", "0".repeat(64))).unwrap();
    let path = hooks.file();
    let gateway = Gateway::start(&pair.alice, &["--config", path.to_str().unwrap()]).await;
    await_failing(&gateway, 1).await;
    let sent = send_numbered(&bob, "alice", 0..2).await;
    alice.await_text("bob", &sent[1]).await.unwrap();
    assert!(receiver.posts().is_empty());
    fs::write(&file, token).unwrap();
    let posts = receiver.await_posts(2).await;
    let texts: Vec<String> = posts.iter().map(Post::text).collect();
    assert_eq!(texts, sent, "since the place of its first start");
    await_failing(&gateway, 0).await;
}
