//! What callers get wrong: a clear error with a stable reason, and nothing is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_crypto::invitation::{Invitation, Offer};
use m2_crypto::{Circle, PeerId, Secret};
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::send_messages_response::Result as Outcome;
use m2_proto::api::v1::*;
use m2_proto::reason::Reason;
use m2_tests::scenario::{Api, Pair};
use pbjson_types::Duration;
use rand_core::UnwrapErr;
use std::net::SocketAddr;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tonic::{Code, Status};

/// The largest text, bytes.
const LARGEST: usize = 48 * 1_024;
const UNKNOWN_ID: &str = "00112233445566778899aabbccddeeff";

/// A pair whose second daemon is away while the first hears nonsense.
struct Scene {
    pair: Pair,
    alice: Api,
    bob_id: String,
}

impl Scene {
    async fn begin() -> Self {
        let mut pair = Pair::start().await.unwrap();
        let alice = Api::of(&pair.alice).await.unwrap();
        let bob_id = alice.contact("bob").await.unwrap().peer_id;
        pair.bob.kill9().await.unwrap();
        alice.send("bob", "before").await.unwrap();
        Self {
            pair,
            alice,
            bob_id,
        }
    }

    /// What was sent before and after the nonsense arrives; nothing else.
    async fn end(mut self) {
        self.alice.send("bob", "after").await.unwrap();
        let own = self.alice.conversation("bob").await.unwrap();
        let own: Vec<&str> = own.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(own, ["before", "after"]);
        self.pair.bob.restart().await.unwrap();
        let bob = Api::of(&self.pair.bob).await.unwrap();
        bob.await_text("alice", "after").await.unwrap();
        assert_eq!(bob.received("alice").await.unwrap(), ["before", "after"]);
        self.alice.await_empty_outbox().await.unwrap();
    }
}

#[tokio::test]
async fn messages_that_are_too_large() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let text = |length| Api::text("bob", &"x".repeat(length));
    let data = SendMessageRequest {
        content: Some(Content::Data(vec![0; LARGEST + 1])),
        ..Api::text("bob", "")
    };
    for request in [text(LARGEST + 1), text(2 * LARGEST), data] {
        refused(alice.send_request(request).await, Reason::MessageTooLarge);
    }
    // Far beyond what a call may have: refused by its size, before anything reads it.
    let mut service = alice.client().messages();
    service = service.max_encoding_message_size(64 << 20);
    let huge = service.send_message(text(10 << 20)).await.unwrap_err();
    assert!(
        matches!(huge.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{huge}"
    );
    for length in [LARGEST + 1, 10 << 20] {
        let sent = piped(&scene.pair, &["--json", "send", "bob"], &vec![b'x'; length]).await;
        assert_eq!(sent.0, Some(1));
        assert!(sent.1.contains("MESSAGE_TOO_LARGE"), "{}", sent.1);
    }
    scene.end().await;
}

#[tokio::test]
async fn the_largest_message_is_fine() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let text = "€".repeat(LARGEST / 3);
    alice.send("bob", &text).await.unwrap();
    bob.await_text("alice", &text).await.unwrap();
}

#[tokio::test]
async fn text_that_is_no_text() {
    let scene = Scene::begin().await;
    let broken = [b'a', 0xff, 0xfe, b'b'];
    let sent = piped(&scene.pair, &["--json", "send", "bob"], &broken).await;
    assert_eq!(sent.0, Some(2), "{}", sent.1);
    assert!(sent.1.contains("--type"), "{}", sent.1);
    // On the wire too: field 2 of SendMessageRequest, a string, that is no UTF-8.
    let mut request = vec![0x0a, 3, b'b', b'o', b'b', 0x12, 4];
    request.extend(broken);
    let answer = raw::call(&scene.alice, request).await.unwrap_err();
    assert!(
        matches!(answer.code(), Code::Internal | Code::InvalidArgument),
        "{answer}"
    );
    scene.end().await;
}

#[tokio::test]
async fn contacts_that_are_not_there() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    for name in ["nobody", "", "bo", "m21", &scene.bob_id[..9]] {
        refused(alice.send(name, "x").await, Reason::ContactUnknown);
        refused(alice.contact(name).await, Reason::ContactUnknown);
        refused(alice.page(name, 1, "").await, Reason::ContactUnknown);
    }
    // Two peers whose ids begin alike.
    let mut bytes = [7; 32];
    let one = PeerId::from_bytes(bytes).to_string();
    bytes[31] = 8;
    let two = PeerId::from_bytes(bytes).to_string();
    for contact in [&one, &two] {
        let contact = contact.clone();
        let request = BlockContactRequest { contact };
        alice
            .client()
            .contacts()
            .block_contact(request)
            .await
            .unwrap();
    }
    let begin = &one[..20];
    assert!(two.starts_with(begin));
    refused(alice.send(begin, "x").await, Reason::ContactAmbiguous);
    refused(alice.send(&one, "x").await, Reason::NotAContact);
    let send = ["--json", "send", begin, "x"];
    let sent = scene.pair.alice.m2(&send).await.unwrap();
    assert_eq!(sent.code, Some(1));
    assert!(sent.stderr.contains("CONTACT_AMBIGUOUS"), "{}", sent.stderr);
    let contact = "bob".to_owned();
    let request = AcceptContactRequest {
        contact,
        name: String::new(),
    };
    refused(
        alice.client().contacts().accept_contact(request).await,
        Reason::NoRequest,
    );
    scene.end().await;
}

#[tokio::test]
async fn invitations_that_are_none() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let own = alice.invite(false, "").await.unwrap();
    refused(alice.add(&own, "").await, Reason::InvitationOwn);
    let good = invitation(&Circle::public(), u64::MAX / 2_000);
    let mut changed = good.clone().into_bytes();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'q' { b'p' } else { b'q' };
    let changed = String::from_utf8(changed).unwrap();
    let broken = [
        "",
        "hello",
        "m2://",
        "m2://q",
        "https://example.org/",
        &good[..good.len() - 1],
        &good[1..],
        &changed,
        &format!("{good}q"),
        &"m2://".repeat(100_000),
    ]
    .map(str::to_owned);
    for text in broken {
        refused(alice.add(&text, "x").await, Reason::InvitationInvalid);
    }
    let expired = invitation(&Circle::public(), 1_000_000_000);
    refused(alice.add(&expired, "").await, Reason::InvitationExpired);
    let other = Circle::private("home", &Secret::new([9; 32]));
    let other = invitation(&other, u64::MAX / 2_000);
    refused(alice.add(&other, "").await, Reason::OtherCircle);
    refused(alice.add(&good, "bob").await, Reason::NameTaken);
    refused(
        alice.add(&good, "two\nlines").await,
        Reason::InvalidArgument,
    );
    // None of them left anything behind.
    let request = ListContactsRequest::default();
    let all = alice.client().contacts().list_contacts(request).await;
    assert_eq!(all.unwrap().into_inner().contacts.len(), 1);
    let unknown = RevokeInvitationRequest {
        invitation_id: UNKNOWN_ID.to_owned(),
    };
    let revoked = alice
        .client()
        .invitations()
        .revoke_invitation(unknown)
        .await;
    refused(revoked, Reason::InvitationUnknown);
    scene.end().await;
}

#[tokio::test]
async fn names_that_are_not_fit() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let long = "x".repeat(65);
    for name in [
        "",
        " ",
        " x",
        "x ",
        "a\u{1b}[31m",
        "m21abc",
        "M21ABC",
        &long,
    ] {
        let request = RenameContactRequest {
            contact: "bob".to_owned(),
            name: name.to_owned(),
        };
        let renamed = alice.client().contacts().rename_contact(request).await;
        refused(renamed, Reason::InvalidArgument);
    }
    // Taken in any case of the letters.
    let contact = PeerId::from_bytes([7; 32]).to_string();
    let request = BlockContactRequest {
        contact: contact.clone(),
    };
    alice
        .client()
        .contacts()
        .block_contact(request)
        .await
        .unwrap();
    let request = RenameContactRequest {
        contact,
        name: "BOB".to_owned(),
    };
    let renamed = alice.client().contacts().rename_contact(request).await;
    refused(renamed, Reason::NameTaken);
    refused(alice.invite(false, "Bob").await, Reason::NameTaken);
    scene.end().await;
}

#[tokio::test]
async fn requests_out_of_their_ranges() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let ttl = |seconds, nanos| SendMessageRequest {
        ttl: Some(Duration { seconds, nanos }),
        ..Api::text("bob", "x")
    };
    let year = 365 * 86_400;
    let wrong = [
        ttl(0, 0),
        ttl(0, 999_000_000),
        ttl(-1, 0),
        ttl(5, -1),
        ttl(year + 1, 0),
        ttl(i64::MAX, 0),
        SendMessageRequest {
            content: None,
            ..Api::text("bob", "")
        },
        SendMessageRequest {
            media_type: "text/html".to_owned(),
            ..Api::text("bob", "x")
        },
        SendMessageRequest {
            content: Some(Content::Data(vec![1])),
            media_type: "x".repeat(128),
            ..Api::text("bob", "")
        },
        SendMessageRequest {
            idempotency_key: "k".repeat(129),
            ..Api::text("bob", "x")
        },
    ];
    for request in wrong {
        let what = format!("{request:?}");
        let answer = alice.send_request(request).await;
        let status = answer.expect_err(&what);
        assert_eq!(Reason::of(&status), Some(Reason::InvalidArgument), "{what}");
    }
    let send = ["--json", "send", "bob", "x", "--ttl", "366d"];
    let sent = scene.pair.alice.m2(&send).await.unwrap();
    assert!(matches!(sent.code, Some(1 | 2)), "{:?}", sent.code);

    refused(alice.page("bob", 1_001, "").await, Reason::InvalidArgument);
    refused(alice.page("bob", 1, "nowhere").await, Reason::CursorInvalid);
    for valid_for in [
        Duration {
            seconds: 59,
            nanos: 0,
        },
        Duration {
            seconds: year + 1,
            nanos: 0,
        },
    ] {
        let request = CreateInvitationRequest {
            valid_for: Some(valid_for),
            ..Default::default()
        };
        let made = alice
            .client()
            .invitations()
            .create_invitation(request)
            .await;
        refused(made, Reason::InvalidArgument);
    }
    for message_ids in [vec![], vec![UNKNOWN_ID.to_owned(); 257]] {
        let request = MarkReadRequest { message_ids };
        let marked = alice.client().messages().mark_read(request).await;
        refused(marked, Reason::InvalidArgument);
    }
    for client in ["Desk", "a b", "ä", &"x".repeat(65), "../x"] {
        refused(alice.events(client).await, Reason::InvalidArgument);
    }
    refused(alice.acknowledge("", "0-0").await, Reason::ClientUnknown);
    scene.end().await;
}

#[tokio::test]
async fn messages_that_are_not_there() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    for id in [
        "",
        "x",
        "zz",
        UNKNOWN_ID,
        &UNKNOWN_ID[1..],
        &UNKNOWN_ID.repeat(2),
    ] {
        let message_id = id.to_owned();
        let mut service = alice.client().messages();
        refused(alice.message(id).await, Reason::MessageUnknown);
        let request = RetractMessageRequest {
            message_id: message_id.clone(),
        };
        refused(
            service.retract_message(request).await,
            Reason::MessageUnknown,
        );
        let request = EditMessageRequest {
            message_id: message_id.clone(),
            text: "x".to_owned(),
        };
        refused(service.edit_message(request).await, Reason::MessageUnknown);
        let request = WatchMessageRequest {
            message_id: message_id.clone(),
        };
        refused(service.watch_message(request).await, Reason::MessageUnknown);
        let request = MarkReadRequest {
            message_ids: vec![message_id],
        };
        refused(service.mark_read(request).await, Reason::MessageUnknown);
    }
    let own = alice.conversation("bob").await.unwrap();
    let request = EditMessageRequest {
        message_id: own[0].message_id.clone(),
        text: "x".repeat(LARGEST + 1),
    };
    let edited = alice.client().messages().edit_message(request).await;
    refused(edited, Reason::MessageTooLarge);
    scene.end().await;
}

#[tokio::test]
async fn an_idempotency_key_stands_for_one_message() {
    let pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    let keyed = |text: &str| SendMessageRequest {
        idempotency_key: "order 17".to_owned(),
        ..Api::text("bob", text)
    };
    let first = alice.send_request(keyed("once")).await.unwrap();
    let second = alice.send_request(keyed("once")).await.unwrap();
    assert_eq!(first.message_id, second.message_id);
    refused(alice.send_request(keyed("other")).await, Reason::KeyReused);
    let ttl = SendMessageRequest {
        ttl: Some(Duration {
            seconds: 60,
            nanos: 0,
        }),
        ..keyed("once")
    };
    refused(alice.send_request(ttl).await, Reason::KeyReused);
    // The longest key is fine, and the answer follows the message's state.
    alice
        .await_message(&first.message_id, MessageState::Delivered)
        .await
        .unwrap();
    let third = alice.send_request(keyed("once")).await.unwrap();
    assert_eq!(third.message_id, first.message_id);
    assert_eq!(third.state(), MessageState::Delivered);
    let longest = SendMessageRequest {
        idempotency_key: "k".repeat(128),
        ..Api::text("bob", "last")
    };
    alice.send_request(longest).await.unwrap();
    bob.await_text("alice", "last").await.unwrap();
    assert_eq!(bob.received("alice").await.unwrap(), ["once", "last"]);
}

#[tokio::test]
async fn a_bad_message_does_not_end_a_stream() {
    let scene = Scene::begin().await;
    let requests = [
        Api::text("nobody", "x"),
        Api::text("bob", &"x".repeat(LARGEST + 1)),
        Api::text("bob", "in between"),
        Api::text("", ""),
    ];
    let requests = requests.map(|message| SendMessagesRequest {
        message: Some(message),
    });
    let requests = requests.into_iter().chain([SendMessagesRequest::default()]);
    let stream = tokio_stream::iter(requests.collect::<Vec<_>>());
    let answers = scene.alice.client().messages().send_messages(stream).await;
    let mut answers = answers.unwrap().into_inner();
    let mut outcomes = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        outcomes.push(match answer.result.unwrap() {
            Outcome::Sent(sent) => {
                // Taken back, so that the scene ends as it should.
                let message_id = sent.message_id;
                let request = RetractMessageRequest { message_id };
                let mut service = scene.alice.client().messages();
                service.retract_message(request).await.unwrap();
                "SENT".to_owned()
            }
            Outcome::Error(error) => error.reason,
        });
    }
    let expected = [
        "CONTACT_UNKNOWN",
        "MESSAGE_TOO_LARGE",
        "SENT",
        "CONTACT_UNKNOWN",
        "INVALID_ARGUMENT",
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn words_are_never_search_syntax() {
    let scene = Scene::begin().await;
    let alice = &scene.alice;
    let strange = [
        "\"",
        "'",
        "*",
        "be*",
        "before OR after",
        "NOT x",
        "NEAR(a b)",
        "text:before",
        "(",
        "a AND",
        "-",
        "^before",
        "{x}",
        "\u{0}",
        "; DROP TABLE messages",
        "before\"",
        "\"\"\"",
    ];
    for words in strange {
        let found = alice.search(words).await.unwrap();
        assert!(found.len() <= 1, "{words}");
    }
    assert_eq!(alice.search("before").await.unwrap().len(), 1);
    assert_eq!(alice.search("BEFORE").await.unwrap().len(), 1);
    refused(
        alice.search(&"x ".repeat(1_000)).await,
        Reason::InvalidArgument,
    );
    scene.end().await;
}

/// The call failed, for this reason and no other.
#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, reason: Reason) {
    let status = answer.unwrap_err();
    assert_eq!(Reason::of(&status), Some(reason), "{status}");
    assert_eq!(status.code(), reason.code());
    assert!(!status.message().is_empty());
}

/// An invitation by somebody who does not exist.
fn invitation(circle: &Circle, expires_s: u64) -> String {
    let offer = Offer {
        reusable: false,
        expires_s,
        addresses: vec![SocketAddr::from(([127, 0, 0, 1], 9))],
        lines: Vec::new(),
    };
    let mut rng = UnwrapErr(getrandom::SysRng);
    let peer = PeerId::from_bytes([3; 32]);
    let made = Invitation::create(&mut rng, peer, circle.id(), offer).unwrap();
    made.to_uri().to_string()
}

/// Runs `m2` with this input. Gives the exit code and what it complained about.
async fn piped(pair: &Pair, arguments: &[&str], input: &[u8]) -> (Option<i32>, String) {
    let mut command = pair.alice.m2_command().unwrap();
    command.args(arguments).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may stop reading when it has seen enough.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), complaint)
}

/// Calls with bytes that no generated client would send.
mod raw {
    use bytes::{Buf as _, BufMut as _};
    use m2_tests::scenario::Api;
    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
    use tonic::codegen::http::uri::PathAndQuery;
    use tonic::{Request, Status};

    /// `SendMessage` with these bytes as the request.
    pub(super) async fn call(api: &Api, request: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut client = tonic::client::Grpc::new(api.client().channel());
        client.ready().await.unwrap();
        let path = PathAndQuery::from_static("/m2.api.v1.MessageService/SendMessage");
        let answer = client.unary(Request::new(request), path, Bytes).await?;
        Ok(answer.into_inner())
    }

    #[derive(Default)]
    struct Bytes;

    impl Codec for Bytes {
        type Encode = Vec<u8>;
        type Decode = Vec<u8>;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            Self
        }

        fn decoder(&mut self) -> Self {
            Self
        }
    }

    impl Encoder for Bytes {
        type Item = Vec<u8>;
        type Error = Status;

        fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
            out.put_slice(&item);
            Ok(())
        }
    }

    impl Decoder for Bytes {
        type Item = Vec<u8>;
        type Error = Status;

        fn decode(&mut self, input: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
            let mut bytes = vec![0; input.remaining()];
            input.copy_to_slice(&mut bytes);
            Ok(Some(bytes))
        }
    }
}
