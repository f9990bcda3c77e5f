//! No session uses a lower suite than an earlier one with the same peer
//! (docs/spec/handshake.md#suites).
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::*;
use m2_crypto::handshake::{Credential, Suite};
use m2_net::dial_error::DialError;
use m2_net::endpoint::Endpoint;
use m2_net::suites::LeastSuites;
use std::sync::Arc;

/// The number of a suite that does not exist yet.
const LATER: u16 = Suite::NEWEST.number() + 1;

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_session_is_reported_at_both_ends() {
    let ends = [alice(), bob()].map(|identity| {
        let (suites, higher) = LeastSuites::new();
        let mut config = config(identity);
        config.suites = Arc::new(suites);
        (Endpoint::bind(config).unwrap(), higher)
    });
    let [(caller, mut of_caller), (called, mut of_called)] = ends;
    let (dialled, _accepted) = connect(&caller, &called, address(&called)).await;
    assert_eq!(dialled.suite(), Suite::NEWEST);
    let number = Suite::NEWEST.number();
    assert_eq!(of_caller.recv().await, Some((id(&bob()), number)));
    assert_eq!(of_called.recv().await, Some((id(&alice()), number)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_offers_no_suite_below_the_required_one() {
    let (caller, called) = (config(alice()), endpoint(bob()));
    caller.suites.require(id(&bob()), LATER);
    let caller = Endpoint::bind(caller).unwrap();
    let as_alice = Credential::Identity(alice());
    let dialled = caller.dial(address(&called), id(&bob()), as_alice).await;
    assert_eq!(dialled.unwrap_err(), DialError::NoCommonSuite);
    assert_eq!(caller.stats().keys_spent, 0, "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_refuses_a_suite_below_the_required_one() {
    let (caller, called) = (endpoint(alice()), config(bob()));
    called.suites.require(id(&alice()), LATER);
    let called = Endpoint::bind(called).unwrap();
    keys_ready(&called).await;
    let as_alice = Credential::Identity(alice());
    let dialled = caller.dial(address(&called), id(&bob()), as_alice).await;
    assert_eq!(dialled.unwrap_err(), DialError::NoCommonSuite);
    assert_eq!(called.stats().counters["SESSION_ACCEPTED"], 0);
}
