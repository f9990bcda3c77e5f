//! The HTTP gateway with real daemons.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_proto::api::v1::{AccessScope, CreateTokenRequest};
use m2_tests::gateway::{Gateway, bearer};
use m2_tests::scenario::{PATIENCE, Pair, eventually};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::timeout;

#[tokio::test]
async fn a_line_of_curl_sends_a_message() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let token = bearer(&alice, "backup", &[AccessScope::Send]).await;
    let form = "Content-Type: application/x-www-form-urlencoded";
    let post = "POST /v1/contacts/bob/messages";
    let key = "Idempotency-Key: today";
    let mut ids = Vec::new();
    for _ in 0..2 {
        let sent = gateway
            .request(post, &[&token, form, key], "Backup done")
            .await;
        assert_eq!(sent.status, 202, "{}", sent.body);
        ids.push(sent.json()["messageId"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids[0], ids[1], "the key makes a repetition harmless");
    bob.await_text("alice", "Backup done").await.unwrap();
    let json = "Content-Type: application/json";
    let body = r#"{"text": "grüße", "ttl": "3600s"}"#;
    let sent = gateway.request(post, &[&token, json], body).await;
    assert_eq!(sent.status, 202, "{}", sent.body);
    bob.await_text("alice", "grüße").await.unwrap();
    assert_eq!(bob.received("alice").await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_edit_without_a_body_changes_nothing() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let token = bearer(&alice, "bot", &[AccessScope::Send]).await;
    let id = alice.send("bob", "hello").await.unwrap();
    let line = format!("PUT /v1/messages/{id}");
    let refused = gateway.request(&line, &[&token], "").await;
    assert_eq!(refused.error(), (400, "INVALID_ARGUMENT".to_owned()));
    let edited = gateway.request(&line, &[&token], "hi").await;
    assert_eq!(edited.status, 200, "{}", edited.body);
}

#[tokio::test]
async fn a_request_may_do_what_its_token_says() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let token = bearer(&alice, "bot", &[AccessScope::Send]).await;
    let (rest, last) = token.split_at(token.len() - 1);
    let wrong = format!("{rest}{}", if last == "0" { "1" } else { "0" });
    for headers in [
        &[][..],
        &["Authorization: Basic eA=="],
        &["Authorization: Bearer x"],
        &[token.as_str(), token.as_str()],
    ] {
        let refused = gateway.request("GET /v1/contacts", headers, "").await;
        assert_eq!(refused.error(), (401, "TOKEN_INVALID".to_owned()));
        assert!(refused.head.contains("www-authenticate: bearer"));
    }
    let refused = gateway.request("GET /v1/contacts", &[&wrong], "").await;
    assert_eq!(refused.error(), (401, "TOKEN_INVALID".to_owned()));
    let forbidden = (403, "NOT_ALLOWED".to_owned());
    for line in [
        "GET /v1/status",
        "GET /v1/contacts/bob/messages",
        "GET /v1/messages?text=x",
        "GET /v1/events",
        "GET /v1/contacts/carol",
        "POST /v1/contacts/carol/messages",
    ] {
        let refused = gateway.request(line, &[&token], "x").await;
        assert_eq!(refused.error(), forbidden, "{line}");
    }
    let listed = gateway.request("GET /v1/contacts", &[&token], "").await;
    assert_eq!(listed.json()["contacts"][0]["name"], "bob");
    let unknown = gateway.request("GET /v1/other", &[&token], "").await;
    assert_eq!(unknown.error(), (404, "UNKNOWN_PATH".to_owned()));
    let unknown = gateway.request("PATCH /v1/contacts", &[&token], "").await;
    assert_eq!(unknown.error(), (405, "UNKNOWN_METHOD".to_owned()));
    let large = "x".repeat(300 * 1024);
    let post = "POST /v1/contacts/bob/messages";
    let refused = gateway.request(post, &[&token], &large).await;
    assert_eq!(refused.error(), (413, "MESSAGE_TOO_LARGE".to_owned()));
    let refused = gateway.request(post, &[&token], &large[..60 * 1024]).await;
    assert_eq!(refused.error(), (413, "MESSAGE_TOO_LARGE".to_owned()));
}

#[tokio::test]
async fn pages_of_other_origins_reach_nothing() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let allowed = ["--allow-origin", "https://home.example"];
    let gateway = Gateway::start(&pair.alice, &allowed).await;
    let token = bearer(&alice, "page", &[AccessScope::Send]).await;
    let get = "GET /v1/contacts";
    let rebound = gateway
        .request(get, &[&token, "Host: evil.example"], "")
        .await;
    assert_eq!(rebound.error(), (421, "NOT_ALLOWED".to_owned()));
    let cross = ["Origin: https://evil.example", "Sec-Fetch-Site: cross-site"];
    for header in cross {
        let refused = gateway.request(get, &[&token, header], "").await;
        assert_eq!(refused.error(), (403, "NOT_ALLOWED".to_owned()));
        assert!(!refused.head.contains("access-control"));
    }
    let origin = "Origin: https://home.example";
    let served = gateway.request(get, &[&token, origin], "").await;
    assert_eq!(served.status, 200, "{}", served.body);
    let told = "access-control-allow-origin: https://home.example";
    assert!(served.head.contains(told), "{}", served.head);
    let preflight = gateway.request("OPTIONS /v1/contacts", &[origin], "").await;
    assert_eq!(preflight.status, 204);
}

#[tokio::test]
async fn events_are_polled_and_streamed() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let token = bearer(&alice, "bot", &[AccessScope::Events]).await;
    let poll = "GET /v1/events?client=bot&wait=0";
    let none = gateway.request(poll, &[&token], "").await.json();
    assert_eq!(none["events"].as_array().unwrap().len(), 0, "{none}");
    let shown = [token.as_str()];
    let waiting = gateway.request("GET /v1/events?client=bot&wait=60", &shown, "");
    let (page, sent) = tokio::join!(waiting, bob.send("alice", "hello"));
    sent.unwrap();
    let page = page.json();
    let text = &page["events"][0]["messageReceived"]["text"];
    assert_eq!(text, "hello", "{page}");
    assert_eq!(page["events"][0]["contactName"], "bob", "{page}");
    // Without an acknowledgement it comes again, and with one it does not.
    let again = gateway.request(poll, &[&token], "").await.json();
    assert_eq!(again["events"][0], page["events"][0]);
    let body = format!("{{\"client\": \"bot\", \"cursor\": {}}}", page["cursor"]);
    let line = "POST /v1/events/acknowledge";
    let done = gateway.request(line, &[&token], &body).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let none = gateway.request(poll, &[&token], "").await.json();
    assert_eq!(none["events"].as_array().unwrap().len(), 0, "{none}");

    let stream = "GET /v1/events?from=start";
    let accept = "Accept: text/event-stream";
    let opened = gateway.begin(stream, &[&token, accept], "").await;
    let mut lines = BufReader::new(opened).lines();
    let mut seen = Vec::new();
    while !seen.iter().any(|line: &String| line.contains("hello")) {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap();
        seen.push(line.unwrap().expect("the stream goes on"));
    }
    assert!(seen.iter().any(|line| line == "event: messageReceived"));
    let id = format!("id: {}", page["cursor"].as_str().unwrap());
    assert!(seen.contains(&id), "{seen:?}");
    // A browser that lost the connection resumes after the last event.
    let last = format!("Last-Event-ID: {}", page["cursor"].as_str().unwrap());
    let opened = gateway.begin(stream, &[&token, accept, &last], "").await;
    let mut lines = BufReader::new(opened).lines();
    bob.send("alice", "second").await.unwrap();
    loop {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap();
        let line = line.unwrap().expect("the stream goes on");
        assert!(!line.contains("hello"), "{line}");
        if line.contains("second") {
            break;
        }
    }
}

#[tokio::test]
async fn a_monitor_sees_numbers_and_nothing_else() {
    let pair = Pair::start().await.unwrap();
    let (alice, _) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let request = CreateTokenRequest {
        name: "prometheus".to_owned(),
        scopes: vec![AccessScope::Status.into()],
        ..Default::default()
    };
    let mut access = alice.client().access();
    let token = access.create_token(request).await.unwrap().into_inner();
    let token = format!("Authorization: Bearer {}", token.token);
    let metrics = gateway.request("GET /metrics", &[&token], "").await;
    assert_eq!(metrics.status, 200, "{}", metrics.body);
    assert!(metrics.body.contains("m2_contacts 1"), "{}", metrics.body);
    assert!(!metrics.body.contains("bob"), "{}", metrics.body);
    let refused = gateway.request("GET /v1/contacts", &[&token], "").await;
    assert_eq!(refused.error(), (403, "NOT_ALLOWED".to_owned()));
}

#[tokio::test]
async fn the_gateway_outlives_the_daemon() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let token = bearer(&alice, "bot", &[AccessScope::Send]).await;
    let healthy = gateway.request("GET /v1/health", &[], "").await;
    assert_eq!(healthy.status, 200);
    let post = "POST /v1/contacts/bob/messages";
    let sent = gateway.request(post, &[&token], "before").await;
    assert_eq!(sent.status, 202);
    pair.alice.kill9().await.unwrap();
    let absent = gateway.request(post, &[&token], "meanwhile").await;
    assert_eq!(absent.error(), (503, "NO_DAEMON".to_owned()));
    let absent = gateway.request("GET /v1/health", &[], "").await;
    assert_eq!(absent.status, 503);
    pair.alice.restart().await.unwrap();
    eventually("the gateway serves again", async || {
        let sent = gateway.request(post, &[&token], "after").await;
        Ok((sent.status == 202).then_some(()))
    })
    .await
    .unwrap();
    bob.await_text("alice", "after").await.unwrap();
    let received = bob.received("alice").await.unwrap();
    assert!(!received.contains(&"meanwhile".to_owned()), "{received:?}");
}

#[tokio::test]
async fn the_document_tells_the_operations() {
    let pair = Pair::start().await.unwrap();
    let gateway = Gateway::start(&pair.alice, &[]).await;
    let document = gateway.request("GET /v1/openapi.json", &[], "").await;
    let document = document.json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{contact}", "bob").replace("{id}", "0");
        for (method, operation) in methods.as_object().unwrap() {
            let line = format!("{} {path}", method.to_uppercase());
            let answer = gateway.request(&line, &[], "").await;
            let needs_token = operation.get("security").is_some();
            assert_eq!(answer.status == 401, needs_token, "{line}: {}", answer.body);
        }
    }
}
