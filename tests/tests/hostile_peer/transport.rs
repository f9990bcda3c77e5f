//! QUIC features other than the frame stream: unsolicited streams and datagrams.

use crate::forge::join;
use crate::raw::Raw;
use crate::scene::Scene;
use crate::strangers::hello;
use m2_tests::hostile::{Caller, identity};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_respects_the_limits_of_quic_has_one_stream() {
    let scene = Scene::start().await;
    let carol = Caller::new(identity("carol").unwrap()).unwrap();
    let session = join(&scene, &carol, "carol").await;
    let opened = tokio::time::timeout(Duration::from_secs(2), session.open_bulk()).await;
    assert!(opened.is_err(), "a stream was allowed");
    scene.holds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_exceeds_the_limits_of_quic_is_disconnected() {
    let scene = Scene::start().await;
    let hello = hello();
    for (number, misdeed) in (1..).zip([Misdeed::Streams, Misdeed::Conversation, Misdeed::Datagram])
    {
        let mut raw = Raw::dial_greedily(scene.address, scene.alices_id()).await;
        raw.write(&hello).await;
        scene.counted("SESSION_ACCEPTED", number + 1).await;
        match misdeed {
            Misdeed::Streams => raw.open_streams(50).await,
            Misdeed::Conversation => raw.open_conversation().await,
            Misdeed::Datagram => raw.datagram().await,
        }
        raw.cut_off().await;
        scene.counted("TRANSPORT_VIOLATED", number).await;
    }
    scene.holds().await;
}

/// Violations of the transport limits.
enum Misdeed {
    /// More streams than the daemon allows.
    Streams,
    /// A bidirectional stream.
    Conversation,
    /// A QUIC datagram.
    Datagram,
}
