//! Events that are delivered.

use crate::receiver::{Behaviour, Post, Receiver};
use crate::{Hooks, clients, send_numbered};
use m2_proto::api::v1::EditMessageRequest;
use m2_tests::harness::Setup;
use m2_tests::harness::{Binaries, Daemon};
use m2_tests::scenario::{Pair, befriend, eventually};
use tokio::process::Command;

fn texts(posts: &[Post]) -> Vec<String> {
    posts.iter().map(Post::text).collect()
}

#[tokio::test]
async fn messages_arrive_signed_once_and_in_order() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let receiver = Receiver::start(Behaviour::Status(204)).await;
    let hooks = Hooks::new(&alice).await.add("ops", &receiver.url(), "");
    let gateway = hooks.start(&pair.alice, &alice).await;
    let sent = send_numbered(&bob, "alice", 0..5).await;
    let posts = receiver.await_posts(5).await;
    assert_eq!(texts(&posts), sent);
    assert!(posts.iter().all(Post::is_signed), "{posts:?}");
    assert_eq!(posts[0].json()["contactName"], "bob");
    assert_eq!(receiver.posts().len(), 5, "no event is posted twice");
    let caught_up = eventually("the position", async || {
        let found = clients(&alice).await;
        let found = found.iter().find(|it| it.name == "webhook-ops");
        Ok(found.is_some_and(|it| it.lag == 0).then_some(()))
    });
    caught_up.await.unwrap();
    let health = gateway.request("GET /v1/health", &[], "").await.json();
    assert_eq!(health["webhooks"]["running"], 1, "{health}");
    assert_eq!(health["webhooks"]["failing"], 0, "{health}");
}

#[tokio::test]
async fn a_webhook_gets_the_kinds_and_contacts_that_it_asks_for() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let carol = Daemon::start(Setup::new().identity("carol")).await.unwrap();
    befriend((&pair.alice, "alice"), (&carol, "carol"))
        .await
        .unwrap();
    let carol = m2_tests::scenario::Api::of(&carol)
        .await
        .map(|api| (api, carol));
    let (carol, _running) = carol.unwrap();
    let receiver = Receiver::start(Behaviour::Status(200)).await;
    let only_bob = "contacts = [\"bob\"]";
    let hooks = Hooks::new(&alice)
        .await
        .add("bob", &receiver.url(), only_bob);
    let _gateway = hooks.start(&pair.alice, &alice).await;
    let id = bob.send("alice", "first").await.unwrap();
    let edit = EditMessageRequest {
        message_id: id,
        text: "edited".to_owned(),
    };
    bob.client().messages().edit_message(edit).await.unwrap();
    carol.send("alice", "of carol").await.unwrap();
    alice.await_text("carol", "of carol").await.unwrap();
    bob.send("alice", "last").await.unwrap();
    let posts = receiver.await_posts(2).await;
    let last = posts.last().unwrap();
    assert_eq!(last.text(), "last", "{posts:?}");
    assert_eq!(posts.len(), 2, "neither the edit nor carol's: {posts:?}");
}

#[tokio::test]
async fn a_gateway_that_is_killed_repeats_what_was_not_accepted() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let receiver = Receiver::start(Behaviour::Status(500)).await;
    let hooks = Hooks::new(&alice).await.add("ops", &receiver.url(), "");
    let mut sent = Vec::new();
    for round in 0..4 {
        let gateway = hooks.start(&pair.alice, &alice).await;
        let seen = receiver.posts().len();
        sent.extend(send_numbered(&bob, "alice", round * 3..round * 3 + 3).await);
        // Killed while it repeats an event, and then somewhere among the accepted ones.
        let behaviour = if round % 2 == 0 { 500 } else { 204 };
        receiver.behave(Behaviour::Status(behaviour));
        eventually("a post", async || {
            Ok((receiver.posts().len() > seen).then_some(()))
        })
        .await
        .unwrap();
        gateway.kill9().await;
        eventually("the daemon notices", async || {
            let clients = clients(&alice).await;
            Ok(clients.iter().all(|it| !it.connected).then_some(()))
        })
        .await
        .unwrap();
    }
    receiver.behave(Behaviour::Status(204));
    let _gateway = hooks.start(&pair.alice, &alice).await;
    let posts = receiver.await_posts(sent.len()).await;
    assert_eq!(
        texts(&posts),
        sent,
        "each at least once, the first time in order"
    );
    for post in receiver.posts() {
        let same = posts.iter().find(|it| it.id == post.id).unwrap();
        assert_eq!(
            same.text(),
            post.text(),
            "a repetition has the id of the first"
        );
    }
}

#[tokio::test]
async fn a_configuration_that_is_not_valid_is_explained() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let hooks = Hooks::new(&alice)
        .await
        .add("ops", "http://127.0.0.1:1/", "x = 1");
    let run = Command::new(Binaries::beside("m2-http").unwrap())
        .args(["--listen", "127.0.0.1:0", "--config"])
        .arg(hooks.file())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{told}");
    assert!(told.contains("`x`"), "{told}");
}
