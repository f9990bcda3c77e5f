//! Paths to a relay that carry the packets of other sessions, barely carry them, or do not
//! (docs/spec/line.md#sessions-with-a-relay).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::hostile::{Hostile, end};
use common::relay::{PATIENCE, Party, TestRelay, envelope, meet, private, secret, talk};
use common::{alice, bob, id, keys_ready};
use m2_crypto::handshake::Credential;
use m2_crypto::line::JoinToken;
use m2_net::line::{Hop, LineError};
use m2_net::session::CloseCode;
use m2_relay::RelayLimits;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// UDP payload in bytes on an IPv4 path that carries 1,280 bytes.
const SMALLEST: usize = 1_252;
/// UDP payload in bytes that does not hold a packet of 1,200 bytes.
const TOO_SMALL: usize = 1_236;
/// Smaller than the packets that are sent on an unlimited path.
const SMALLER: usize = 1_400;
/// Shorter than the second after which a Hello is sent again.
const TRANSMITTED_ONCE: Duration = Duration::from_millis(950);
/// The time after which the relay, too, knows what its paths to the parties carry.
const SETTLED: Duration = Duration::from_secs(1);
/// The time after which a party reports that its path is too small.
const PARTY_KNOWS: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_path_of_ipv4_is_large_enough() {
    let relay = TestRelay::start(private()).await;
    let (_tap, hop) = relay.by_path(SMALLEST).await;
    let (_caller, _listener, _carriers, mut one, mut other) = meet(&[hop], &[relay.hop()]).await;
    talk(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_with_a_small_leg_costs_no_retransmission() {
    let relay = TestRelay::start(private()).await;
    let (_one, small) = relay.by_path(SMALLEST).await;
    let (_two, also_small) = relay.by_path(SMALLEST).await;
    for (alices, bobs) in [(small, relay.hop()), (relay.hop(), also_small)] {
        let mut times = Vec::new();
        // A busy machine may take long once.
        while times.len() < 3 && times.iter().all(|time| *time > TRANSMITTED_ONCE) {
            times.push(dial_over(&alices, &bobs).await);
        }
        let fastest = times.iter().min().unwrap();
        assert!(*fastest < TRANSMITTED_ONCE, "{times:?}");
    }
}

/// Dials over a line whose two ends reach the relay by these paths. Returns how long the dial took.
async fn dial_over(alices: &Hop, bobs: &Hop) -> Duration {
    let (caller, listener) = (Party::new(alice()), Party::new(bob()));
    keys_ready(&caller.inside).await;
    keys_ready(&listener.inside).await;
    let listening = listener.carrier(std::slice::from_ref(bobs)).await;
    assert_eq!(listening.open(&[secret(1)]).await, Ok(1));
    let calling = caller.carrier(std::slice::from_ref(alices)).await;
    let line = calling.join(secret(1).join_token()).await.unwrap();
    // Each party knows what its path carries. So does the relay, at about the same time.
    sleep(SETTLED).await;
    let start = Instant::now();
    let dial = caller
        .inside
        .dial(line, id(&bob()), Credential::Identity(alice()));
    let (dialled, accepted) = tokio::join!(dial, listener.inside.accept());
    let took = start.elapsed();
    talk(&mut dialled.unwrap(), &mut accepted.unwrap()).await;
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_is_too_small_is_reported() {
    let relay = TestRelay::start(private()).await;
    let (_tap, hop) = relay.by_path(TOO_SMALL).await;
    let party = Party::new(alice());
    keys_ready(&party.outside).await;
    let carrier = party.carrier(&[hop]).await;
    let joined = timeout(PATIENCE, carrier.join(JoinToken([1; 16]))).await;
    assert_eq!(joined.unwrap(), Err(LineError::NoLine), "the relay answers");
    let ended = timeout(PATIENCE, carrier.ended()).await;
    assert_eq!(ended.unwrap(), LineError::PathTooSmall);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_ends_a_session_whose_path_is_too_small_for_lines() {
    // No other timeout ends the session earlier.
    let relay = TestRelay::start(RelayLimits {
        idle: PATIENCE * 2,
        ..private()
    })
    .await;
    let (_tap, hop) = relay.by_path(TOO_SMALL).await;
    let (party, start) = (Hostile::new(), Instant::now());
    let session = party.dial_hop(hop).await;
    assert_eq!(end(&session).await, CloseCode::Done as u64);
    assert!(
        start.elapsed() > PARTY_KNOWS,
        "the party has time to report it first"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_session_ends_if_the_path_between_relays_is_too_small() {
    let (front, relay) = tokio::join!(TestRelay::start(private()), TestRelay::start(private()));
    let (_tap, hop) = relay.by_path(TOO_SMALL).await;
    let party = Party::new(alice());
    keys_ready(&party.outside).await;
    let carrier = party.carrier(&[front.hop(), hop]).await;
    let ended = timeout(PATIENCE, carrier.ended()).await;
    assert_eq!(ended.unwrap(), LineError::Ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_becomes_too_small_is_reported() {
    let relay = TestRelay::start(private()).await;
    let (tap, hop) = relay.by_path(usize::MAX).await;
    let (_caller, _listener, [calling, listening], mut one, mut other) =
        meet(&[hop], &[relay.hop()]).await;
    talk(&mut one, &mut other).await;
    tap.passes(|length| length <= TOO_SMALL);
    one.send_frame(envelope(3, 50_000)).await.unwrap();
    let ended = timeout(PATIENCE, calling.ended()).await;
    assert_eq!(ended.unwrap(), LineError::PathTooSmall);
    let ended = timeout(Duration::from_secs(1), listening.ended()).await;
    assert!(ended.is_err(), "the other path is unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_continues_on_a_path_that_becomes_smaller() {
    let relay = TestRelay::start(private()).await;
    let (tap, hop) = relay.by_path(usize::MAX).await;
    let (_caller, _listener, carriers, mut one, mut other) = meet(&[hop], &[relay.hop()]).await;
    talk(&mut one, &mut other).await;
    tap.passes(|length| length <= SMALLER);
    one.send_frame(envelope(3, 50_000)).await.unwrap();
    // Within less than the minute for which QUIC by default limits packets to 1,200 bytes.
    let got = timeout(Duration::from_secs(20), other.recv_frame()).await;
    assert_eq!(got.unwrap().unwrap(), envelope(3, 50_000));
    let [calling, _] = &carriers;
    let path = calling.session().connection().stats().path;
    assert!(path.black_holes_detected > 0, "{path:?}");
    assert_eq!(carriers.map(|carrier| carrier.channels()), [1, 1]);
}
