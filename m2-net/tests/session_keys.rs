//! Connection attempts while session keys are scarce (docs/spec/obfuscation.md#calls-under-load).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use m2_crypto::handshake::Credential;
use m2_net::dial_error::DialError;
use m2_net::endpoint::Endpoint;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_answer_is_dialled_again_with_the_same_key() {
    let mut config = config(alice());
    config.key_pool_size = 2;
    let caller = Endpoint::bind(config).unwrap();
    keys_ready(&caller).await;
    let nobody = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    let mut calls = Vec::new();
    for _ in 0..2 {
        let tap = Tap::new(nobody).await;
        let dialled = caller.dial_within(
            tap.address,
            id(&bob()),
            Credential::Identity(alice()),
            Duration::from_millis(400),
        );
        let looking = async {
            let mut least = usize::MAX;
            for _ in 0..200 {
                least = least.min(caller.stats().keys_ready);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            least
        };
        let (dialled, least) = tokio::join!(dialled, looking);
        assert_eq!(dialled.unwrap_err(), DialError::NoAnswer);
        calls.push((tap.calls().is_empty(), least));
        // QUIC drops an abandoned connection attempt after several round trips.
        tokio::time::sleep(Duration::from_secs(4)).await;
        keys_ready(&caller).await;
    }
    assert_eq!(
        calls,
        [(false, 1), (false, 2)],
        "the second dial takes no new key"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_before_the_first_key_is_ready_succeeds() {
    let caller = endpoint(alice());
    keys_ready(&caller).await;
    let called = endpoint(bob());
    let (to, as_alice) = (address(&called), Credential::Identity(alice()));
    let (dialled, accepted) = tokio::join!(caller.dial(to, id(&bob()), as_alice), called.accept());
    dialled.unwrap();
    accepted.unwrap();
    assert_eq!(called.stats().counters["DIAL_NO_KEY"], 0);
}
