//! Malformed envelopes, envelopes with malformed or absurd content, and acknowledgements of another
//! peer's messages.

use crate::forge::{join, message_id, open, seal, seal_bytes, text};
use crate::scene::Scene;
use bytes::Bytes;
use m2_delivery::{Payload, Time};
use m2_net::clock::Clock;
use m2_net::session::Session;
use m2_net::wire::{Ack, Envelope, Message};
use m2_proto::api::v1::{MessageState, StartAt, SubscribeRequest};
use m2_proto::wire::v1 as wire;
use m2_tests::hostile::{Caller, Noise, crowd, identity};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use wire::payload::Body as Said;

/// The first millisecond of the year 10000, in Unix time.
const YEAR_10000: u64 = 253_402_300_800_000;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_envelopes_and_payloads_are_refused() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let mut session = join(&scene, &carol, "carol").await;
    let mut noise = Noise::new(23);
    let mut index = seal_of(&mut open(&session, carol.identity(), 1)).to_vec();
    index[17] = 0xff;
    let none = [
        vec![1],
        vec![1; 85],
        noise.bytes(2_000),
        vec![1; 70_000],
        index,
    ];
    for (number, sealed) in (1..).zip(none) {
        let (grant, sealed) = (Bytes::new(), Bytes::from(sealed));
        let envelope = Message::Envelope(Envelope { grant, sealed });
        session.send_frame(envelope).await.unwrap();
        scene.counted("ENVELOPE_MALFORMED", number).await;
    }

    let mut epoch = open(&session, carol.identity(), 1);
    let mut refused = HashSet::new();
    for (number, plaintext) in (1..).zip(no_payloads(&mut noise)) {
        let id = [number; 16];
        refused.insert(id);
        let sealed = seal_bytes(&mut epoch, id, &plaintext);
        session.send_frame(sealed).await.unwrap();
        scene.counted("PAYLOAD_MALFORMED", number.into()).await;
    }
    // A valid message in the same epoch is shown and acknowledged; none of the refused ids is
    // acknowledged.
    let good = [200; 16];
    let sealed = seal(&mut epoch, 1, good, text("good"));
    session.send_frame(sealed).await.unwrap();
    scene.alice.await_text("carol", "good").await.unwrap();
    let acked = acked_until(&mut session, good).await;
    assert!(refused.is_disjoint(&acked));
    assert_eq!(scene.alice.received("carol").await.unwrap().len(), 1);
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_with_absurd_times_are_shown() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let mut epoch = open(&session, carol.identity(), 1);
    let now = Clock::system().unix_ms();
    let sent = [
        0,
        1,
        now,
        YEAR_10000 - 1,
        YEAR_10000,
        i64::MAX as u64,
        1 << 63,
        u64::MAX,
    ];
    let times = sent
        .iter()
        .flat_map(|sent| [0, 1, u32::MAX].map(|ttl_s| (*sent, ttl_s)));
    let mut shown = Vec::new();
    for (sequence, (sent, ttl_s)) in (1_u64..).zip(times) {
        let words = format!("sent {sent} for {ttl_s}");
        let payload = Payload {
            sequence,
            sent: Time(sent),
            ttl_s,
            body: text(&words),
            as_sent: None,
        };
        let id = u128::from(sequence).to_be_bytes();
        let sealed = seal_bytes(&mut epoch, id, &payload.encode());
        session.send_frame(sealed).await.unwrap();
        // A message that expires about now may or may not be shown.
        if payload.expires().is_none_or(|end| end.0 > now + 1_000_000) {
            shown.push(words);
        }
    }
    let last = shown.last().unwrap();
    scene.alice.await_text("carol", last).await.unwrap();
    let there = scene.alice.received("carol").await.unwrap();
    for words in &shown {
        assert!(there.contains(words), "{words}");
    }
    assert!(!there.contains(&"sent 0 for 1".to_owned()));
    assert_eq!(scene.count("PAYLOAD_MALFORMED").await, 0);
    // Front-ends can display the messages.
    for arguments in [&["history", "carol"][..], &["--json", "history", "carol"]] {
        let output = scene.pair.alice.m2(arguments).await.unwrap();
        let printed = output.success().unwrap();
        assert!(
            shown.iter().all(|words| printed.contains(words)),
            "{printed}"
        );
    }
    assert!(!scene.alice.log().await.unwrap().is_empty());
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_receiver_can_acknowledge_and_only_with_the_messages_hash() {
    let scene = Scene::start().await;
    let people = tokio::task::spawn_blocking(|| crowd(1).unwrap());
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let dave = Caller::new(people.await.unwrap().remove(0)).unwrap();
    let carols = join(&scene, &carol, "carol").await;
    let daves = join(&scene, &dave, "dave").await;
    let words = "for dave alone";
    let sent = scene.alice.send("dave", words).await.unwrap();
    let is = async |state| scene.alice.await_message(&sent, state).await.unwrap();
    is(MessageState::Sent).await;
    let id = message_id(&sent);
    let payload = Payload {
        sequence: 1,
        sent: Time(0),
        ttl_s: 0,
        body: text(words),
        as_sent: None,
    };
    let ack = |content_hash| {
        let message_id = id.0;
        Message::Acks(vec![Ack {
            message_id,
            content_hash,
        }])
    };
    let right = ack(payload.hash(&id).0);
    carols.send_frame(right.clone()).await.unwrap();
    scene.counted("ACK_UNKNOWN", 1).await;
    is(MessageState::Sent).await;
    for (number, wrong) in (1..).zip([[0; 32], [7; 32]]) {
        daves.send_frame(ack(wrong)).await.unwrap();
        scene.counted("ACK_MISMATCH", number).await;
        is(MessageState::Sent).await;
    }
    // Control: the correct acknowledgement counts.
    daves.send_frame(right).await.unwrap();
    is(MessageState::Delivered).await;
    scene.holds().await;
}

/// More notices than a contact sends cost neither the session nor the store anything, and front-ends see few of
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_notices_is_dropped() {
    const CROWD: u64 = 900;
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let mut epoch = open(&session, carol.identity(), 1);
    let screen = SubscribeRequest {
        start_at: StartAt::Now.into(),
        notices: true,
        ..SubscribeRequest::default()
    };
    let mut screen = scene.alice.subscribe(screen).await.unwrap();
    let start = Instant::now();
    for number in 0..CROWD {
        let body = match number % 2 {
            0 => Some(Said::Typing(wire::Typing { active: true })),
            _ => None,
        };
        let notice = wire::Payload {
            body,
            ..wire::Payload::default()
        };
        let mut notice = prost::Message::encode_to_vec(&notice);
        if number % 2 == 1 {
            // A body of a later version.
            notice.extend_from_slice(b"\x7a\x01x");
        }
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        let sealed = seal_bytes(&mut epoch, id, &notice);
        session.send_frame(sealed).await.unwrap();
    }
    let sealed = seal(&mut epoch, 1, [200; 16], text("after all"));
    session.send_frame(sealed).await.unwrap();
    scene.alice.await_text("carol", "after all").await.unwrap();
    scene.counted("NOTICE_UNKNOWN", CROWD / 2).await;
    let taken = 16 + 4 * (start.elapsed().as_secs() + 1);
    scene
        .counted("NOTICE_DROPPED", (CROWD / 2).saturating_sub(taken))
        .await;
    assert_eq!(scene.alice.received("carol").await.unwrap().len(), 1);
    let shown = screen.answers(Duration::from_secs(1)).await.unwrap();
    let shown = shown
        .iter()
        .filter(|answer| answer.notice.is_some())
        .count() as u64;
    assert!((4..=taken).contains(&shown), "{shown} of {taken}");
    scene.holds().await;
}

/// Bodies that refer to messages in ways that no correct peer does.
fn bad_references() -> [Said; 4] {
    let short = Bytes::from_static(&[9; 15]);
    let content = |reply_to: &[u8], thread: &[u8]| {
        Said::Content(wire::Content {
            data: Bytes::from_static(b"x"),
            reply_to: Bytes::copy_from_slice(reply_to),
            thread: Bytes::copy_from_slice(thread),
            ..wire::Content::default()
        })
    };
    let reaction = |message_id: Bytes, length| {
        Said::Reaction(wire::Reaction {
            message_id,
            text: "x".repeat(length),
        })
    };
    [
        content(&short, &[]),
        content(&[], &short),
        reaction(short.clone(), 1),
        reaction(Bytes::from_static(&[9; 16]), 65),
    ]
}

/// Plaintexts that are sealed with a valid level-1 key but are no valid payloads.
fn no_payloads(noise: &mut Noise) -> Vec<Vec<u8>> {
    let said = |body| wire::Payload {
        sequence: 1,
        sent_ms: 1,
        ttl_s: 0,
        body: Some(body),
    };
    let content = |media_type: &str, length| wire::Content {
        media_type: media_type.to_owned(),
        data: vec![b'x'; length].into(),
        ..wire::Content::default()
    };
    let id = Bytes::from_static(&[9; 16]);
    let read = |count| {
        Said::Read(wire::Read {
            message_ids: vec![id.clone(); count],
        })
    };
    let edit = |message_id, content| {
        Said::Edit(wire::Edit {
            message_id,
            content,
        })
    };
    let short = Bytes::from_static(&[9; 15]);
    let message_id = short.clone();
    let good = || said(Said::Content(content("", 1)));
    let payloads = [
        wire::Payload {
            body: None,
            ..good()
        },
        wire::Payload {
            sequence: 0,
            ..good()
        },
        wire::Payload {
            sequence: 1 << 63,
            ..good()
        },
        wire::Payload {
            sequence: u64::MAX,
            ..good()
        },
        said(Said::Content(content("", 48 * 1024 + 1))),
        said(Said::Content(content(&"m".repeat(128), 1))),
        said(read(0)),
        said(read(257)),
        said(edit(short, Some(content("", 1)))),
        said(edit(id.clone(), None)),
        said(Said::Retract(wire::Retract { message_id })),
        wire::Payload {
            ttl_s: 1,
            ..said(Said::Skip(wire::Skip {}))
        },
        // A notice with a place, and one with a time to live.
        said(Said::Typing(wire::Typing { active: true })),
        wire::Payload {
            sequence: 0,
            ttl_s: 1,
            ..said(Said::Typing(wire::Typing { active: true }))
        },
    ];
    let bad_references = bad_references().into_iter().map(said);
    let payloads = payloads.into_iter().chain(bad_references);
    let encoded = payloads.map(|payload| prost::Message::encode_to_vec(&payload));
    let bytes = [
        Vec::new(),
        vec![0xff; 50],
        noise.bytes(300),
        vec![0; 60 * 1024],
    ];
    encoded.chain(bytes).collect()
}

fn seal_of(epoch: &mut m2_crypto::envelope::SendEpoch) -> Bytes {
    match seal(epoch, 1, [1; 16], text("hello")) {
        Message::Envelope(envelope) => envelope.sealed,
        other => panic!("{other:?}"),
    }
}

/// Receives frames until alice acknowledges `last`. Returns all acknowledged ids.
async fn acked_until(session: &mut Session, last: [u8; 16]) -> HashSet<[u8; 16]> {
    let mut acked = HashSet::new();
    while !acked.contains(&last) {
        if let Message::Acks(acks) = session.recv_frame().await.unwrap() {
            acked.extend(acks.iter().map(|ack| ack.message_id));
        }
    }
    acked
}
