//! Contacts that dial each other at the same moment (docs/spec/obfuscation.md#crossed-calls).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::*;
use m2_crypto::handshake::Credential;
use m2_crypto::{Identity, Secret};
use m2_net::endpoint::Endpoint;
use m2_net::session::Session;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// At most the burst of prioritised attempts that one contact has.
const ROUNDS: usize = 3;
/// Guards against a hang: QUIC keeps an abandoned connection attempt for several seconds.
const PATIENCE: Duration = Duration::from_secs(120);

fn contact_of(own: Arc<Identity>, other: Arc<Identity>, secrets: [u8; 2]) -> Endpoint {
    let mut config = config(own.clone());
    config.key_pool_size = 8;
    config.limits.handshake = Duration::from_secs(60);
    let [ours, theirs] = secrets.map(|byte| Secret::new([byte; 32]));
    config.callers.know(&id(&own), id(&other), ours, theirs);
    Endpoint::bind(config).unwrap()
}

/// Dials and accepts concurrently, and drops the other when either returns a session.
async fn meet(own: &Endpoint, as_: Arc<Identity>, other: Arc<Identity>, at: SocketAddr) -> Session {
    let dial = own.dial(at, id(&other), Credential::Identity(as_));
    tokio::select! {
        session = own.accept() => session.unwrap(),
        session = dial => session.unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crossed_dials_complete_one_handshake() {
    let a = contact_of(alice(), bob(), [1, 2]);
    let b = contact_of(bob(), alice(), [2, 1]);
    for round in 1..=ROUNDS as u64 {
        keys_ready(&a).await;
        keys_ready(&b).await;
        let (at_a, at_b) = tokio::join!(
            meet(&a, alice(), bob(), address(&b)),
            meet(&b, bob(), alice(), address(&a)),
        );
        assert_ne!(at_a.dialled(), at_b.dialled());
        assert_eq!(
            at_a.exporter(b"same", b"").unwrap(),
            at_b.exporter(b"same", b"").unwrap()
        );
        for endpoint in [&a, &b] {
            let counters = endpoint.stats().counters;
            let sessions = counters["SESSION_DIALLED"] + counters["SESSION_ACCEPTED"];
            assert_eq!(sessions, round, "{counters:?}");
        }
    }
    let crossed = [&a, &b].map(|endpoint| endpoint.stats().counters["DIAL_CROSSED"]);
    // The endpoint with the smaller id ignored the attempts of the other one.
    assert!(
        crossed.contains(&0) && crossed.iter().sum::<u64>() > 0,
        "{crossed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dial_that_can_not_arrive_blocks_the_peer_only_briefly() {
    let a = contact_of(alice(), bob(), [1, 2]);
    let b = contact_of(bob(), alice(), [2, 1]);
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
    // The side with the smaller id dials an address that does not answer, and accepts the other's
    // attempt.
    let (small, large) = match id(&alice()) < id(&bob()) {
        true => ((&a, alice()), (&b, bob())),
        false => ((&b, bob()), (&a, alice())),
    };
    keys_ready(small.0).await;
    keys_ready(large.0).await;
    let (at_small, at_large) = tokio::join!(
        meet(small.0, small.1.clone(), large.1.clone(), nowhere),
        meet(large.0, large.1.clone(), small.1.clone(), address(small.0)),
    );
    assert!(at_large.dialled() && !at_small.dialled());
    // The key of the dial that gave way is kept for the next dial of the same peer.
    let kept = tokio::time::timeout(PATIENCE, async {
        while small.0.stats().keys_kept == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(kept.await.is_ok(), "the key is lost");
}
