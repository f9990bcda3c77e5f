//! The life of a token: created, used, listed, expired, revoked.

use super::{create, reason, with};
use m2_proto::api::v1::{
    AccessScope, CreateTokenRequest, ListTokenUsesRequest, ListTokensRequest, RevokeTokenRequest,
    SendMessagesRequest, TokenUse,
};
use m2_proto::reason::Reason;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, PATIENCE, Pair, eventually};
use pbjson_types::Duration as ProtoDuration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

async fn revoke(api: &Api, name: &str) {
    let name = name.to_owned();
    let request = RevokeTokenRequest { name };
    let mut access = api.client().access();
    access.revoke_token(request).await.unwrap();
}

async fn uses(api: &Api, name: &str) -> Vec<TokenUse> {
    let name = name.to_owned();
    let request = ListTokenUsesRequest { name, limit: 0 };
    let mut access = api.client().access();
    let answer = access.list_token_uses(request).await.unwrap();
    answer.into_inner().uses
}

#[tokio::test]
async fn a_revoked_token_ends_its_open_streams_at_once() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let scopes = [AccessScope::Events, AccessScope::Send];
    let token = create(&alice, "bot", &scopes, &[]).await.unwrap();
    let other = create(&alice, "cam", &scopes, &[]).await.unwrap();
    let (bot, cam) = (with(&alice, &token), with(&alice, &other));
    let mut events = bot.events("bot").await.unwrap();
    let mut kept = cam.events("cam").await.unwrap();
    let (sender, requests) = mpsc::channel(4);
    let mut messages = bot.client().messages();
    let sending = messages.send_messages(ReceiverStream::new(requests));
    let mut sent = sending.await.unwrap().into_inner();
    let text = |text| SendMessagesRequest {
        message: Some(Api::text("bob", text)),
    };
    sender.send(text("one")).await.unwrap();
    sent.message().await.unwrap().unwrap();

    revoke(&alice, "bot").await;
    let _ = sender.send(text("two")).await;
    let ended = loop {
        match timeout(PATIENCE, events.take()).await.unwrap() {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert_eq!(reason(ended), Some(Reason::TokenInvalid));
    let ended = loop {
        match timeout(PATIENCE, sent.message()).await.unwrap() {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert_eq!(reason(ended), Some(Reason::TokenInvalid));
    let again = bot.send("bob", "three").await;
    assert_eq!(reason(again), Some(Reason::TokenInvalid));
    // The stream of the other token goes on.
    bob.send("alice", "still there").await.unwrap();
    kept.next().await.unwrap();
    alice.send("bob", "last").await.unwrap();
    bob.await_text("alice", "last").await.unwrap();
    let received = bob.received("alice").await.unwrap();
    assert_eq!(received, ["one", "last"]);
}

#[tokio::test]
async fn a_token_survives_a_restart_and_its_uses_are_listed() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let token = create(&alice, "bot", &[AccessScope::Send], &["bob"]);
    let token = token.await.unwrap();
    let bot = with(&alice, &token);
    let bob = alice.contact("bob").await.unwrap().peer_id;
    for number in 0..3 {
        bot.send("bob", &number.to_string()).await.unwrap();
    }
    assert_eq!(
        reason(bot.conversation("bob").await),
        Some(Reason::NotAllowed)
    );
    assert_eq!(
        reason(bot.send("carol", "x").await),
        Some(Reason::NotAllowed)
    );
    pair.alice.stop().await.unwrap();
    pair.alice.restart().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    with(&alice, &token).send("bob", "again").await.unwrap();

    let mut access = alice.client().access();
    let listed = access.list_tokens(ListTokensRequest {}).await.unwrap();
    let listed = listed.into_inner().tokens;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].limited && listed[0].last_used.is_some());
    assert_eq!(listed[0].contacts[0].name, "bob");
    revoke(&alice, "bot").await;
    let used = uses(&alice, "bot").await;
    let count = |call: &str, peer: &str| {
        let found = used
            .iter()
            .filter(|one| one.call == call && one.peer_id == peer);
        found.fold((0, 0), |(permitted, refused), one| {
            (permitted + one.permitted, refused + one.refused)
        })
    };
    assert_eq!(count("MessageService/SendMessage", &bob), (4, 0));
    assert_eq!(count("MessageService/SendMessage", ""), (0, 1));
    assert_eq!(count("MessageService/ListMessages", ""), (0, 1));
    let secret = token.rsplit('_').next().unwrap();
    assert!(!pair.alice.log().contains(secret));
    assert!(uses(&alice, "other").await.is_empty());
}

#[tokio::test]
async fn a_name_of_another_front_end_is_out_of_reach() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let token = create(&alice, "bot", &[AccessScope::Events], &[]);
    let bot = with(&alice, &token.await.unwrap());
    drop(alice.events("desk").await.unwrap());
    bob.send("alice", "hello").await.unwrap();
    let hello = alice.await_text("bob", "hello").await.unwrap();
    assert_eq!(reason(bot.events("desk").await), Some(Reason::NotAllowed));
    let mut events = bot.events_from_start("mine").await.unwrap();
    let newest = events.next().await.unwrap().cursor;
    let stolen = bot.acknowledge("desk", &newest).await;
    assert_eq!(reason(stolen), Some(Reason::NotAllowed));
    bot.acknowledge("mine", &newest).await.unwrap();
    let mut desk = alice.events("desk").await.unwrap();
    let seen = desk.next().await.unwrap();
    assert!(format!("{seen:?}").contains(&hello.message_id));
}

#[tokio::test]
async fn a_token_expires_by_itself() {
    let clock = m2_tests::harness::Clock::new().unwrap();
    let setup = clock.for_daemon(Setup::new().identity("alice"));
    let daemon = Daemon::start(setup).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    let request = CreateTokenRequest {
        name: "bot".to_owned(),
        scopes: vec![AccessScope::Events.into()],
        contacts: Vec::new(),
        valid_for: Some(ProtoDuration {
            seconds: 60,
            nanos: 0,
        }),
    };
    let mut access = api.client().access();
    let created = access.create_token(request.clone()).await.unwrap();
    let bot = with(&api, &created.into_inner().token);
    let mut events = bot.events("").await.unwrap();
    let again = access.create_token(request).await;
    assert_eq!(reason(again), Some(Reason::NameTaken));
    clock.set_ahead(std::time::Duration::from_secs(61)).unwrap();
    eventually("a refused token", async || {
        let refused = reason(bot.events("").await);
        Ok((refused == Some(Reason::TokenInvalid)).then_some(()))
    })
    .await
    .unwrap();
    let ended = timeout(PATIENCE, events.take()).await.unwrap();
    assert_eq!(reason(ended), Some(Reason::TokenInvalid));
}

#[tokio::test]
async fn the_command_line_makes_and_uses_tokens() {
    let pair = Pair::start().await.unwrap();
    let alice = &pair.alice;
    let create = [
        "token",
        "create",
        "bot",
        "--scope",
        "send,events",
        "--contact",
        "bob",
    ];
    let created = alice.m2(&create).await.unwrap().success().unwrap();
    let token = created.trim();
    assert!(token.starts_with("m2t_"), "{token}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, token).unwrap();
    let file = file.to_str().unwrap();
    let send = ["--token-file", file, "send", "bob", "hello"];
    alice.m2(&send).await.unwrap().success().unwrap();
    for refused in [&["status"][..], &["history", "bob"], &["token", "list"]] {
        let mut command = alice.m2_command().unwrap();
        let told = command.env("M2_TOKEN", token).args(refused);
        let told = told.output().await.unwrap();
        let words = String::from_utf8_lossy(&told.stderr).into_owned();
        assert_eq!(told.status.code(), Some(1), "{refused:?}: {words}");
        assert!(words.contains("Not allowed"), "{words}");
    }
    let listed = alice.m2(&["token", "list"]).await.unwrap().success();
    let listed = listed.unwrap();
    assert!(
        listed.contains("events,send") && listed.contains("bob"),
        "{listed}"
    );
    let used = alice.m2(&["token", "uses", "bot"]).await.unwrap().success();
    let used = used.unwrap();
    assert!(used.contains("MessageService/SendMessage"), "{used}");
    alice
        .m2(&["token", "revoke", "bot"])
        .await
        .unwrap()
        .success()
        .unwrap();
    let refused = alice.m2(&send).await.unwrap();
    let told = format!("{refused:?}");
    assert!(told.contains("m2 token create"), "{told}");
}
