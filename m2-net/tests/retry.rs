//! Callers under load: what a Retry token is good for, and for whom
//! (docs/spec/obfuscation.md#calls-under-load).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::hostile::until;
use common::*;
use m2_crypto::handshake::Credential;
use m2_crypto::initial::{InitialKeys, LongHeader, QUIC_VERSION, stamp_day};
use m2_crypto::obfuscation::Obfuscator;
use m2_crypto::{Circle, provider};
use m2_net::clock::Clock;
use m2_net::endpoint::Endpoint;
use m2_net::session::Session;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// However busy the machine is.
const PATIENT: Duration = Duration::from_secs(120);
/// Calls at once, from one address.
const CALLS: usize = 24;

/// An endpoint that asks every caller for a Retry.
fn under_load(keys: usize) -> Endpoint {
    let mut config = config(bob());
    // Time stands still, so that no token gets too old on a busy machine.
    let now_ms = Clock::system().unix_ms();
    config.clock = Clock::new(move || now_ms);
    config.limits.retry_above = 0;
    config.limits.handshake = PATIENT;
    config.key_pool_size = keys;
    Endpoint::bind(config).unwrap()
}

fn caller(keys: usize) -> Arc<Endpoint> {
    let mut config = config(alice());
    config.limits.handshake = PATIENT;
    config.key_pool_size = keys;
    Arc::new(Endpoint::bind(config).unwrap())
}

fn call(caller: &Arc<Endpoint>, to: SocketAddr) -> JoinHandle<Session> {
    let caller = Arc::clone(caller);
    tokio::spawn(async move {
        let credential = Credential::Identity(alice());
        caller.dial(to, id(&bob()), credential).await.unwrap()
    })
}

fn revealed(datagram: &[u8]) -> Vec<u8> {
    let obfuscator = Obfuscator::new(Circle::public().packet_key(), provider::default());
    let mut revealed = datagram.to_vec();
    obfuscator.apply(&mut revealed);
    revealed
}

/// What an observer with the packet key reads in a Retry: the id to which it is answered, and the
/// token.
fn read_retry(tap: &Tap) -> Option<(Vec<u8>, Vec<u8>)> {
    tap.answers().iter().find_map(|answer| {
        let packet = revealed(answer);
        let header = LongHeader::parse(&packet)?;
        if header.first & 0x70 != 0x70 {
            return None;
        }
        let token = &header.rest[..header.rest.len() - 16];
        Some((header.scid.to_vec(), token.to_vec()))
    })
}

fn header(destination: &[u8], token: &[u8]) -> Vec<u8> {
    let mut packet = vec![0xc0];
    packet.extend_from_slice(&QUIC_VERSION.to_be_bytes());
    packet.push(destination.len() as u8);
    packet.extend_from_slice(destination);
    packet.extend_from_slice(&[4, 1, 2, 3, 4]);
    packet.extend_from_slice(&(0x4000 | token.len() as u16).to_be_bytes());
    packet.extend_from_slice(token);
    let rest = (1200 - packet.len() - 2) as u16;
    packet.extend_from_slice(&(0x4000 | rest).to_be_bytes());
    packet
}

/// First packets of noise to such an id, with a copied token.
fn noise(destination: &[u8], token: &[u8]) -> Vec<Vec<u8>> {
    let packets = (0..=u8::MAX).map(|fill| {
        let mut packet = header(destination, token);
        packet.resize(1200, fill);
        revealed(&packet)
    });
    packets.collect()
}

/// A first packet as only one who knows bob's peer id can make it.
fn made_by_an_insider(destination: &[u8], token: &[u8]) -> Vec<u8> {
    let day = Clock::system().day();
    let (circle, bob) = (Circle::public(), id(&bob()));
    let keys = InitialKeys::derive(circle.id(), destination, &bob, day, provider::default());
    let mut packet = header(destination, token);
    let number_at = packet.len();
    packet.push(0);
    let mut payload = vec![0; 1200 - packet.len() - 16];
    let tag = keys.client.packet.seal(0, &packet, &mut payload);
    packet.extend_from_slice(&payload);
    packet.extend_from_slice(&tag);
    keys.client.header.protect(number_at, &mut packet);
    revealed(&packet)
}

/// A call that got a Retry which it can't answer yet, and the switch that lets it.
async fn held_back(
    called: &Endpoint,
    caller: &Arc<Endpoint>,
) -> (Tap, Arc<AtomicBool>, JoinHandle<Session>) {
    let tap = Tap::new(address(called)).await;
    let open = Arc::new(AtomicBool::new(false));
    let passes = Arc::clone(&open);
    // The first datagram is the call, the second the Retry; the caller's answer waits.
    let mut seen = 0;
    tap.passes(move |_| {
        seen += 1;
        seen <= 2 || passes.load(Ordering::Relaxed)
    });
    let dialling = call(caller, tap.address);
    until("a Retry", || read_retry(&tap).is_some()).await;
    (tap, open, dialling)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_of_a_retry_hears_nothing_and_spends_nothing() {
    let (called, caller) = (under_load(4), caller(4));
    keys_ready(&called).await;
    let (tap, open, dialling) = held_back(&called, &caller).await;
    let (retry_id, token) = read_retry(&tap).unwrap();
    assert_eq!(
        bytes_back(address(&called), noise(&retry_id, &token)).await,
        0
    );
    let counters = called.stats().counters;
    assert!(counters["DATAGRAM_RETRY_TOKEN"] >= 200, "{counters:?}");
    // The caller's own token is as good as before.
    open.store(true, Ordering::Relaxed);
    let session = dialling.await.unwrap();
    assert_eq!(session.peer().id(), Some(&id(&bob())));
    assert_eq!(called.stats().counters["CALL_STRAY"], 0);
    // Nor does it help to name the id of a handshake that is over.
    let own = tap.answers().into_iter().find_map(|answer| {
        let packet = revealed(&answer);
        let header = LongHeader::parse(&packet)?;
        header.is_initial().then(|| header.scid.to_vec())
    });
    let own = own.unwrap();
    drop(session);
    let (tap, _open, _dialling) = held_back(&called, &caller).await;
    let (_, fresh) = read_retry(&tap).unwrap();
    assert_eq!(bytes_back(address(&called), noise(&own, &fresh)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_knows_the_peer_id_hears_nothing_for_the_token_of_another() {
    let (called, caller) = (under_load(4), caller(4));
    keys_ready(&called).await;
    let (tap, open, dialling) = held_back(&called, &caller).await;
    let (retry_id, token) = read_retry(&tap).unwrap();
    let mut first_id = [0x77; 20];
    stamp_day(&mut first_id, Clock::system().day());
    let packets = [&retry_id[..], &first_id].map(|id| made_by_an_insider(id, &token));
    assert_eq!(bytes_back(address(&called), packets).await, 0);
    assert_eq!(called.stats().counters["DATAGRAM_RETRY_TOKEN"], 2);
    open.store(true, Ordering::Relaxed);
    dialling.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_met_an_empty_pool_keeps_its_token() {
    // Two keys, of which strangers have one: most calls find none.
    let (called, caller) = (under_load(2), caller(CALLS));
    keys_ready(&called).await;
    keys_ready(&caller).await;
    let to = address(&called);
    let dials: Vec<_> = (0..CALLS).map(|_| call(&caller, to)).collect();
    let mut sessions = Vec::new();
    for dial in dials {
        sessions.push(dial.await.unwrap());
    }
    let counters = called.stats().counters;
    assert_eq!(counters["SESSION_ACCEPTED"], CALLS as u64, "{counters:?}");
    assert_eq!(counters["CALL_STRAY"], 0, "{counters:?}");
    // Packets that came again had the same token: no call was asked for another Retry.
    assert_eq!(counters["CALL_RETRIED"], CALLS as u64, "{counters:?}");
}
