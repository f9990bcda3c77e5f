//! Attacks by a stranger.

use crate::raw::Raw;
use crate::scene::Scene;
use bytes::Bytes;
use m2_crypto::invitation::{Invitation, PROOF_EXPORT_LABEL, proof};
use m2_net::frame::encode;
use m2_net::session::{CloseCode, Ended, Session};
use m2_net::wire::{Ack, ContactRequest, Envelope, Hello, InviteProof, Message, Purpose};
use m2_proto::api::v1::{ContactState, RevokeInvitationRequest};
use m2_tests::hostile::{Caller, Noise, identity};
use m2_tests::scenario::{PATIENCE, eventually};

const MISBEHAVED: u64 = CloseCode::Misbehaved as u64;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_frames_end_the_session() {
    let scene = Scene::start().await;
    let hello = hello();
    let request = encode(request("", None)).unwrap();
    let long_name = encode(self::request(&"n".repeat(65), None)).unwrap();
    let broken: [(&str, &[u8]); 10] = [
        ("a length over the limit", &[0x81, 0x80, 0x08]),
        ("the longest length", &[0xff, 0xff, 0x7f]),
        ("a length that is no varint", &[0xff; 10]),
        ("an empty frame", &[0]),
        ("no protobuf", &[4, 0xff, 0xff, 0xff, 0xff]),
        ("an unknown body", &[2, 0x52, 0]),
        ("no acknowledgements", &[2, 0x1a, 0]),
        ("an id that is too short", &[6, 0x1a, 4, 0x0a, 2, 0x0a, 0]),
        ("a second Hello", &hello),
        ("a name that is too long", &long_name),
    ];
    for (number, (what, bytes)) in (1..).zip(broken) {
        let mut raw = Raw::dial(scene.address, scene.alices_id()).await;
        raw.write(&[&hello, bytes].concat()).await;
        assert_eq!(raw.ended().await, MISBEHAVED, "{what}");
        scene.counted("FRAME_MALFORMED", number).await;
    }
    for (number, first) in (1..).zip([&request[..], &[0xff; 50], &[0]]) {
        let mut raw = Raw::dial(scene.address, scene.alices_id()).await;
        raw.write(first).await;
        raw.ended().await;
        scene.counted("HELLO_FAILED", number).await;
    }
    // A frame that stays incomplete, and a valid one that arrives byte by byte.
    let mut half = Raw::dial(scene.address, scene.alices_id()).await;
    half.write(&[&hello[..], &[0xff, 0x7f], &[0x12; 900]].concat())
        .await;
    let mut slow = Raw::dial(scene.address, scene.alices_id()).await;
    for byte in hello.iter().chain(&request) {
        slow.write(&[*byte]).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    eventually("the slow request", async || {
        let requests = scene.alice.contacts(ContactState::Request).await?;
        Ok((requests.len() == 1).then_some(()))
    })
    .await
    .unwrap();
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_may_request_contact_and_nothing_else() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let dial = async || carol.dial(scene.address, scene.alices_id()).await.unwrap();
    let mut noise = Noise::new(11);
    for (number, message) in (1..).zip(not_for_strangers(&mut noise)) {
        let session = dial().await;
        flood(&session, || message.clone()).await;
        let told = CloseCode::NotAContact as u64;
        assert_eq!(session.closed().await, Ended::ByPeer(told));
        scene.counted("NOT_A_CONTACT", number).await;
    }
    // Repeated requests change nothing, and an invalid name is not shown.
    let session = dial().await;
    flood(&session, || request("evil\u{7}\u{202e}\nname", None)).await;
    assert_eq!(session.closed().await, Ended::ByPeer(MISBEHAVED));
    scene.counted("REQUEST_REPEATED", 100).await;
    let requests = scene.alice.contacts(ContactState::Request).await.unwrap();
    assert_eq!(requests.len(), 1);
    let shown = format!("{:?}", requests[0]);
    assert!(!shown.contains("evil"), "{shown}");
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_proof_counts_only_while_open_and_in_its_own_session() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let dial = async || carol.dial(scene.address, scene.alices_id()).await.unwrap();
    let invite = async || scene.alice.invite(true, "").await.unwrap();
    // A proof made in another session.
    let open: Invitation = invite().await.parse().unwrap();
    let elsewhere = shown(&dial().await, &open);
    let session = dial().await;
    session
        .send_frame(request("", Some(elsewhere)))
        .await
        .unwrap();
    scene.counted("INVITATION_REFUSED", 1).await;
    // A proof for a revoked invitation.
    let revoked: Invitation = invite().await.parse().unwrap();
    let invitation_id = data_encoding::HEXLOWER.encode(revoked.id().as_bytes());
    let revoke = RevokeInvitationRequest { invitation_id };
    let mut invitations = scene.alice.client().invitations();
    invitations.revoke_invitation(revoke).await.unwrap();
    let session = dial().await;
    let late = shown(&session, &revoked);
    session.send_frame(request("", Some(late))).await.unwrap();
    scene.counted("INVITATION_REFUSED", 2).await;
    // A made-up proof with the id of an open invitation.
    let mut guessed = shown(&dial().await, &open);
    guessed.proof = [7; 32];
    let session = dial().await;
    session
        .send_frame(request("", Some(guessed)))
        .await
        .unwrap();
    scene.counted("INVITATION_REFUSED", 3).await;
    assert_eq!(
        scene
            .alice
            .contacts(ContactState::Contact)
            .await
            .unwrap()
            .len(),
        1
    );
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_has_one_session() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let mut sessions = Vec::new();
    for _ in 0..30 {
        sessions.push(carol.dial(scene.address, scene.alices_id()).await.unwrap());
    }
    scene.counted("STRANGER_REPLACED", 29).await;
    // Carol's session and bob's.
    let status = scene.alice.status().await.unwrap();
    assert!(status.sessions() <= 3, "{}", status.sessions());
    scene.holds().await;
}

/// Frames that only contacts may send.
pub fn not_for_strangers(noise: &mut Noise) -> Vec<Message> {
    let sealed = Bytes::from(noise.bytes(2_000));
    let ack = Ack {
        message_id: [1; 16],
        content_hash: [2; 32],
    };
    vec![
        Message::Envelope(Envelope {
            grant: Bytes::new(),
            sealed: sealed.clone(),
        }),
        Message::Acks(vec![ack; 1_000]),
        Message::EpochRefused {
            incarnation: 1,
            epoch: u64::MAX,
        },
    ]
}

/// Sends a message too many times in one burst and nothing afterwards. Asserts that the session ends.
async fn flood(session: &Session, message: impl Fn() -> Message) {
    for _ in 0..300 {
        if session.send_frame(message()).await.is_err() {
            return;
        }
    }
    let ended = tokio::time::timeout(PATIENCE, session.closed()).await;
    assert!(ended.is_ok(), "a flood did not end the session");
}

/// The proof of an invitation for one session.
pub fn shown(session: &Session, invitation: &Invitation) -> InviteProof {
    let key = session.exporter(PROOF_EXPORT_LABEL, &[]).unwrap();
    InviteProof {
        invite_id: *invitation.id().as_bytes(),
        proof: proof(invitation.token(), &key),
    }
}

pub fn request(name: &str, invite: Option<InviteProof>) -> Message {
    Message::ContactRequest(ContactRequest {
        invite,
        name: name.to_owned(),
    })
}

/// The first frame of a session.
pub fn hello() -> Bytes {
    encode(Message::Hello(Hello {
        unix_ms: m2_net::clock::Clock::system().unix_ms(),
        version: "0".to_owned(),
        purpose: Purpose::Peer,
    }))
    .unwrap()
}
