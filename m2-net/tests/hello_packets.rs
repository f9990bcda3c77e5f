//! A Hello takes two packets (docs/spec/obfuscation.md#calls-under-load).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use m2_crypto::handshake::Credential;
use m2_net::dial_error::DialError;
use m2_net::endpoint::{Endpoint, EndpointConfig};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// The time in which nothing is retransmitted.
const MOMENT: Duration = Duration::from_millis(600);

fn bob_with(change: impl FnOnce(&mut EndpointConfig)) -> Endpoint {
    let mut config = config(bob());
    change(&mut config);
    Endpoint::bind(config).unwrap()
}

/// Returns the two packets of a dial of bob that he did not get.
async fn recorded() -> [Vec<u8>; 2] {
    let caller = endpoint(alice());
    keys_ready(&caller).await;
    let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let tap = Tap::new(nowhere).await;
    let as_alice = Credential::Identity(alice());
    let dialled = caller.dial_within(tap.address, id(&bob()), as_alice, MOMENT);
    assert_eq!(dialled.await.unwrap_err(), DialError::NoAnswer);
    let mut calls = tap.calls().into_iter();
    [calls.next().unwrap(), calls.next().unwrap()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_ignored_counts_once() {
    let called = bob_with(|config| config.limits.waiting = 0);
    let caller = endpoint(alice());
    keys_ready(&caller).await;
    let as_alice = Credential::Identity(alice());
    let dialled = caller.dial_within(address(&called), id(&bob()), as_alice, MOMENT);
    assert_eq!(dialled.await.unwrap_err(), DialError::NoAnswer);
    assert_eq!(called.stats().counters["DIAL_OVERLOAD"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_hello_spends_no_key() {
    for half in recorded().await {
        let called = bob_with(|config| config.limits.handshake = MOMENT);
        keys_ready(&called).await;
        bytes_back(address(&called), [half]).await;
        let waiting = "the attempt to end";
        until(waiting, || called.stats().counters["DIAL_FAILED"] == 1).await;
        until("the key to return", || called.stats().keys_spent == 0).await;
        assert!(called.stats().keys_ready >= called.stats().keys_wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_packets_may_arrive_in_any_order() {
    for places in [[0, 1], [1, 0]] {
        let called = bob_with(|_| {});
        keys_ready(&called).await;
        let packets = recorded().await;
        let in_order = places.map(|place: usize| packets[place].clone());
        assert!(bytes_back(address(&called), in_order).await > 1_200);
        assert_eq!(called.stats().keys_spent, 1, "the whole Hello was read");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_packets_may_be_lost() {
    let caller = Arc::new(endpoint(alice()));
    for lost in [1, 2] {
        let called = bob_with(|_| {});
        let tap = Tap::new(address(&called)).await;
        let mut seen = 0;
        tap.passes(move |_| {
            seen += 1;
            seen != lost
        });
        let (dialled, _accepted) = connect(&caller, &called, tap.address).await;
        assert_eq!(dialled.peer().id(), Some(&id(&bob())));
        sleep(Duration::from_millis(1)).await;
    }
}
