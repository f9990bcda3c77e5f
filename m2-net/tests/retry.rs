//! Callers under load: the validity of Retry tokens (docs/spec/obfuscation.md#calls-under-load).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::until;
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

/// A timeout for busy machines.
const PATIENT: Duration = Duration::from_secs(120);
/// Concurrent dials from one address.
const CALLS: usize = 24;

/// Returns an endpoint that answers every caller with a Retry.
fn under_load(keys: usize) -> Endpoint {
    let mut config = config(bob());
    // The clock is stopped, so that no token expires on a busy machine.
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
    let obfuscator = Obfuscator::of_responder(&Circle::public(), &id(&bob()), provider::default());
    let mut revealed = datagram.to_vec();
    obfuscator.apply(&mut revealed);
    revealed
}

/// Returns the fields that an observer with the packet key reads in a Retry: the id at which it
/// must be answered, and the token.
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

/// Returns first packets of noise to an id, with a copied token.
fn noise(destination: &[u8], token: &[u8]) -> Vec<Vec<u8>> {
    let packets = (0..=u8::MAX).map(|fill| {
        let mut packet = header(destination, token);
        packet.resize(1200, fill);
        revealed(&packet)
    });
    packets.collect()
}

/// Returns a first packet that only a party that knows bob's peer id can make.
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

/// Starts a dial whose answer to a Retry is held back, and returns the switch that releases it.
async fn held_back(
    called: &Endpoint,
    caller: &Arc<Endpoint>,
) -> (Tap, Arc<AtomicBool>, JoinHandle<Session>) {
    let tap = Tap::new(address(called)).await;
    let open = Arc::new(AtomicBool::new(false));
    let passes = Arc::clone(&open);
    // Two datagrams are the Hello, and one is the Retry; the answer to it is held back.
    let mut seen = 0;
    tap.passes(move |_| {
        seen += 1;
        seen <= 3 || passes.load(Ordering::Relaxed)
    });
    let dialling = call(caller, tap.address);
    until("a Retry", || read_retry(&tap).is_some()).await;
    (tap, open, dialling)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_of_a_retry_gets_no_answer_and_spends_no_token() {
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
    // The caller's own token is still valid.
    open.store(true, Ordering::Relaxed);
    let session = dialling.await.unwrap();
    assert_eq!(session.peer().id(), Some(&id(&bob())));
    assert_eq!(called.stats().counters["DIAL_STRAY"], 0);
    // Naming the id of a handshake that has ended does not help either.
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
async fn the_token_of_another_caller_gets_no_answer() {
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
async fn an_attempt_that_finds_no_key_keeps_its_token() {
    // Two keys, one of them for strangers: most attempts find no key.
    let (called, caller) = (under_load(2), caller(CALLS));
    keys_ready(&called).await;
    keys_ready(&caller).await;
    let to = address(&called);
    let dials: Vec<_> = (0..CALLS).map(|_| call(&caller, to)).collect();
    let mut sessions = Vec::new();
    for dial in dials {
        sessions.push(dial.await.unwrap());
    }
    // The side that dialled may be done a moment before the other has counted.
    let counted = async {
        while called.stats().counters["SESSION_ACCEPTED"] < CALLS as u64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), counted)
        .await
        .unwrap();
    let counters = called.stats().counters;
    assert_eq!(counters["SESSION_ACCEPTED"], CALLS as u64, "{counters:?}");
    assert_eq!(counters["DIAL_STRAY"], 0, "{counters:?}");
    // Retransmitted packets carried the same token: no attempt was answered with another Retry.
    assert_eq!(counters["DIAL_RETRIED"], CALLS as u64, "{counters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_peer_id_not_even_a_retry_comes_back() {
    let called = under_load(4);
    keys_ready(&called).await;
    let mut to = [0x77; 20];
    stamp_day(&mut to, Clock::system().day());
    let opened = made_by_an_insider(&to, &[]);
    // The packet itself is right. Its obfuscation is that of a party with the circle's key, which has
    // to guess the peer id.
    for guess in [alice(), carol()] {
        let mut guessed = revealed(&opened);
        Obfuscator::of_responder(&Circle::public(), &id(&guess), provider::default())
            .apply(&mut guessed);
        assert_eq!(bytes_back(address(&called), [guessed]).await, 0);
    }
    let mut bare = revealed(&opened);
    assert_eq!(bytes_back(address(&called), [bare.clone()]).await, 0);
    assert_eq!(called.stats().counters["DIAL_RETRIED"], 0);
    // Control: with the peer id it gets a Retry.
    bare = revealed(&bare);
    assert!(bytes_back(address(&called), [bare]).await > 0);
    assert_eq!(called.stats().counters["DIAL_RETRIED"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_have_many_sizes() {
    let called = under_load(4);
    keys_ready(&called).await;
    let mut sizes = std::collections::BTreeSet::new();
    for number in 0..24 {
        let mut to = [number; 20];
        stamp_day(&mut to, Clock::system().day());
        let opened = made_by_an_insider(&to, &[]);
        sizes.insert(bytes_back(address(&called), [opened]).await);
    }
    assert!(sizes.len() > 12, "{sizes:?}");
}
