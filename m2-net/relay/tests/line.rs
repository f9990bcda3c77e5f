//! Sessions over relays: two parties, one relay or two, real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::relay::{PATIENCE, Party, TestRelay, meet, private, secret, talk};
use common::{alice, bob, id};
use m2_crypto::Secret;
use m2_crypto::handshake::Credential;
use m2_crypto::line::{JoinToken, LineSecret};
use m2_net::dial_error::DialError;
use m2_net::line::{Hop, LineError};
use m2_net::session::{CloseCode, Ended, Session};
use m2_relay::RelayLimits;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Sends `bytes` bytes in one stream. Returns the bytes per second that arrived.
async fn bulk(from: &Session, to: &Session, bytes: usize) -> f64 {
    let receiving = async {
        let mut stream = to.accept_bulk().await.unwrap();
        let mut count = 0;
        while let Some(chunk) = stream.read_chunk(1 << 20, true).await.unwrap() {
            count += chunk.bytes.len();
        }
        count
    };
    let sending = async {
        let mut stream = from.open_bulk().await.unwrap();
        let block = vec![7; 1 << 20];
        for _ in 0..bytes >> 20 {
            stream.write_all(&block).await.unwrap();
        }
        stream.finish().unwrap();
    };
    let begun = Instant::now();
    let (count, ()) = timeout(PATIENCE, async { tokio::join!(receiving, sending) })
        .await
        .unwrap();
    assert_eq!(count, bytes);
    bytes as f64 / begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parties_talk_over_a_relay() {
    let relay = TestRelay::start(private()).await;
    let hops = [relay.hop()];
    let (_caller, _listener, _carriers, mut one, mut other) = meet(&hops, &hops).await;
    assert!(one.is_on_line() && other.is_on_line());
    assert_eq!(one.peer().id(), Some(&id(&bob())));
    talk(&mut one, &mut other).await;
    let speed = bulk(&one, &other, 32 << 20).await;
    eprintln!("one relay: {:.0} MB/s", speed / 1e6);
    let totals = relay.relay.totals();
    assert_eq!((totals.sessions, totals.lines, totals.splices), (2, 2, 1));
    assert!(totals.bytes > 32 << 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_party_may_use_an_entry_relay() {
    let [near, meeting, far] = [
        TestRelay::start(private()).await,
        TestRelay::start(private()).await,
        TestRelay::start(private()).await,
    ];
    let alices = [near.hop(), meeting.hop()];
    let bobs = [far.hop(), meeting.hop()];
    let (_caller, _listener, _carriers, mut one, mut other) = meet(&alices, &bobs).await;
    talk(&mut one, &mut other).await;
    let speed = bulk(&one, &other, 16 << 20).await;
    eprintln!("three relays: {:.0} MB/s", speed / 1e6);
    assert_eq!(near.relay.totals().extended, 1);
    assert_eq!(far.relay.totals().extended, 1);
    assert_eq!(meeting.relay.totals().splices, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_relays_than_three_are_refused() {
    let relays = [
        TestRelay::start(private()).await,
        TestRelay::start(private()).await,
        TestRelay::start(private()).await,
        TestRelay::start(private()).await,
    ];
    let hops: Vec<Hop> = relays.iter().map(TestRelay::hop).collect();
    let party = Party::new(alice());
    assert!(party.outside.dial_relay(&hops[..3]).await.is_ok());
    let refused = party.outside.dial_relay(&hops).await;
    assert_eq!(refused.unwrap_err(), LineError::NotExtended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_with_its_channel_and_a_channel_with_its_session() {
    let relay = TestRelay::start(private()).await;
    let hops = [relay.hop()];
    let (_caller, _listener, carriers, one, other) = meet(&hops, &hops).await;
    drop(one);
    timeout(PATIENCE, other.closed()).await.unwrap();
    let gone = async {
        while carriers.iter().any(|carrier| carrier.channels() > 0)
            || relay.relay.totals().splices > 0
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    drop(other);

    let (_caller, _listener, _carriers, one, other) = meet(&hops, &hops).await;
    relay.stop().await;
    timeout(Duration::from_secs(20), one.closed())
        .await
        .unwrap();
    timeout(Duration::from_secs(20), other.closed())
        .await
        .unwrap();
}

/// The close of a session travels on its channel, so the channel must outlive the session by a moment.
#[tokio::test(flavor = "multi_thread")]
async fn the_reason_for_the_end_of_a_session_reaches_the_other_side() {
    let relay = TestRelay::start(private()).await;
    let hops = [relay.hop()];
    for code in [CloseCode::NotAContact, CloseCode::Replaced] {
        let (_caller, _listener, _carriers, one, other) = meet(&hops, &hops).await;
        one.close(code);
        drop(one);
        let ended = timeout(PATIENCE, other.closed()).await.unwrap();
        assert_eq!(
            ended,
            Ended::ByPeer(code as u64),
            "of the party that joined"
        );
        let (_caller, _listener, _carriers, one, other) = meet(&hops, &hops).await;
        other.close(code);
        drop(other);
        let ended = timeout(PATIENCE, one.closed()).await.unwrap();
        assert_eq!(ended, Ended::ByPeer(code as u64), "of the listener");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_to_open_join_and_dial_are_reported() {
    let relay = TestRelay::start(RelayLimits {
        lines_per_session: 2,
        joins_per_line: 1,
        ..private()
    })
    .await;
    let hops = [relay.hop()];
    let (caller, _listener, [calling, listening], one, _other) = meet(&hops, &hops).await;
    assert_eq!(listening.open(&[secret(3)]).await, Ok(0));
    let join = |token: JoinToken| calling.join(token);
    assert_eq!(join(secret(2).join_token()).await, Err(LineError::Full));
    assert_eq!(join(JoinToken([9; 16])).await, Err(LineError::NoLine));
    // A value that is not the line's secret opens another line than the one whose token it was made
    // from.
    let token = secret(1).join_token();
    let mut forged = [0; 32];
    forged[..16].copy_from_slice(&token.0);
    let forged = LineSecret::new(Secret::new(forged));
    let thief = caller.carrier(&hops).await;
    assert_eq!(thief.open(std::slice::from_ref(&forged)).await, Ok(1));
    assert_ne!(forged.join_token(), token);
    // The original line is unaffected.
    assert!(join(token).await.is_ok());
    // A synthetic address of no channel can't be dialled.
    let elsewhere = "[fc4d:32aa::1]:9".parse().unwrap();
    let credential = Credential::Identity(alice());
    let dialled = caller.inside.dial(elsewhere, id(&bob()), credential).await;
    assert_eq!(dialled.unwrap_err(), DialError::NoSocket);
    drop(one);
}
