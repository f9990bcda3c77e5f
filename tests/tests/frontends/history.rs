//! Conversations that are read forwards and between two times, and searches in one of them.

use super::filters::three;
use super::*;
use m2_proto::api::v1::{ListMessagesRequest, SearchMessagesRequest};
use m2_proto::wkt::Timestamp;

#[tokio::test]
async fn a_conversation_is_read_forwards_and_by_time() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    send_numbers(&bob, 0..5).await;
    alice.await_text("bob", "4").await.unwrap();
    let mut request = ListMessagesRequest {
        contact: "bob".to_owned(),
        limit: 2,
        forward: true,
        ..Default::default()
    };
    let mut read = Vec::new();
    loop {
        let page = list(&alice, &request).await;
        read.extend(page.0);
        if page.1.is_empty() {
            break;
        }
        request.after = page.1;
    }
    assert_eq!(read, numbers(0..5));

    let whole = alice.conversation("bob").await.unwrap();
    let third = whole[2].stored.unwrap();
    let mut between = ListMessagesRequest {
        contact: "bob".to_owned(),
        since: Some(third),
        ..Default::default()
    };
    let since = list(&alice, &between).await.0;
    let later = whole.iter().rev();
    let later = later.filter(|it| it.stored.unwrap().unix_millis() >= third.unix_millis());
    let later: Vec<String> = later.map(|it| it.text.clone()).collect();
    assert_eq!(since, later);
    between.since = None;
    between.until = Some(third);
    let until = list(&alice, &between).await.0;
    assert_eq!(until.len() + since.len(), 5);
    between.until = Some(Timestamp::from_unix_millis(1));
    assert_eq!(list(&alice, &between).await.0, [""; 0]);

    let history = [
        "history",
        "bob",
        "--forward",
        "--limit",
        "2",
        "--since",
        "1h",
    ];
    let history = pair.alice.m2(&history).await.unwrap();
    let note = history.stderr.clone();
    let history = history.success().unwrap();
    let ends: Vec<&str> = history
        .lines()
        .map(|line| &line[line.len() - 1..])
        .collect();
    assert_eq!(ends, ["0", "1"], "{history}");
    assert!(note.contains("--forward --after "), "{note}");
}

async fn list(api: &Api, request: &ListMessagesRequest) -> (Vec<String>, String) {
    let answer = api.client().messages().list_messages(request.clone()).await;
    let answer = answer.unwrap().into_inner();
    let texts = answer.messages.into_iter().map(|message| message.text);
    (texts.collect(), answer.next)
}

#[tokio::test]
async fn a_search_is_limited_to_one_conversation() {
    let (pair, carol) = three().await;
    let (alice, bob) = pair.apis().await.unwrap();
    let carol = Api::of(&carol).await.unwrap();
    bob.send("alice", "a word of bob").await.unwrap();
    carol.send("alice", "a word of carol").await.unwrap();
    alice.await_text("bob", "a word of bob").await.unwrap();
    alice.await_text("carol", "a word of carol").await.unwrap();
    assert_eq!(alice.search("word").await.unwrap().len(), 2);
    let mut request = SearchMessagesRequest {
        text: "word".to_owned(),
        contact: "carol".to_owned(),
        ..Default::default()
    };
    let mut service = alice.client().messages();
    let found = service.search_messages(request.clone()).await.unwrap();
    let found = found.into_inner().messages;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text, "a word of carol");
    request.contact = "zoe".to_owned();
    let refused = alice.client().messages().search_messages(request).await;
    assert_eq!(
        Reason::of(&refused.unwrap_err()),
        Some(Reason::ContactUnknown)
    );
    let search = ["--json", "search", "word", "--contact", "bob"];
    let found = pair.alice.m2(&search).await.unwrap().json().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["text"], "a word of bob");
}
