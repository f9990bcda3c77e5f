//! Prioritised connection attempts: those of contacts, and of no other peer
//! (docs/spec/obfuscation.md#call-tokens).
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
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The session keys of the accepting endpoint, and the reserved half.
const KEYS: usize = 16;
const KEPT: usize = KEYS / 2;
/// The endpoints of the stranger.
const STRANGERS: usize = 24;

fn called() -> Arc<Endpoint> {
    let mut config = config(bob());
    config.key_pool_size = KEYS;
    Arc::new(Endpoint::bind(config).unwrap())
}

async fn dial(from: &Endpoint, identity: Arc<Identity>, to: SocketAddr) -> Option<Session> {
    let credential = Credential::Identity(identity);
    from.dial(to, id(&bob()), credential).await.ok()
}

/// Dials from all strangers at once. Returns how many got a session, and the smallest number of
/// keys that were left in the meantime.
async fn storm(called: &Arc<Endpoint>, strangers: &[Arc<Endpoint>]) -> (usize, usize) {
    let over = Arc::new(AtomicBool::new(false));
    let fewest = Arc::new(AtomicUsize::new(KEYS));
    let watch = {
        let (called, over, fewest) = (called.clone(), over.clone(), fewest.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                fewest.fetch_min(called.stats().keys_ready, Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(200));
            }
        })
    };
    let to = address(called);
    let calls: Vec<_> = strangers
        .iter()
        .map(|stranger| {
            let stranger = stranger.clone();
            tokio::spawn(async move { dial(&stranger, carol(), to).await })
        })
        .collect();
    let mut sessions = 0;
    for call in calls {
        sessions += usize::from(call.await.unwrap().is_some());
    }
    over.store(true, Ordering::Relaxed);
    watch.join().unwrap();
    (sessions, fewest.load(Ordering::Relaxed))
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_never_earn_the_reserved_half_of_the_keys() {
    let called = called();
    let mut strangers = Vec::new();
    for _ in 0..STRANGERS {
        let mut config = config(carol());
        config.key_pool_size = 2;
        config.limits.handshake = Duration::from_secs(60);
        strangers.push(Arc::new(Endpoint::bind(config).unwrap()));
    }
    // Each stranger completes a handshake first, in case that earned it priority.
    for stranger in &strangers {
        keys_ready(stranger).await;
        keys_ready(&called).await;
        assert!(dial(stranger, carol(), address(&called)).await.is_some());
    }
    keys_ready(&called).await;
    let (sessions, fewest) = storm(&called, &strangers).await;
    println!("{sessions} sessions, {fewest} keys left");
    assert_eq!(sessions, STRANGERS);
    assert!(fewest >= KEPT, "{fewest}");
    assert_eq!(called.stats().counters["DIAL_KNOWN"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_has_priority_until_it_is_removed() {
    let (ours, theirs) = (Secret::new([7; 32]), Secret::new([8; 32]));
    let mut config_a = config(alice());
    config_a
        .callers
        .know(&id(&alice()), id(&bob()), ours.clone(), theirs.clone());
    config_a.limits.handshake = Duration::from_secs(60);
    config_a.key_pool_size = 4;
    let caller = Endpoint::bind(config_a).unwrap();
    let mut config_b = config(bob());
    config_b.limits.retry_above = 0;
    config_b
        .callers
        .know(&id(&bob()), id(&alice()), theirs, ours);
    let contacts = config_b.callers.clone();
    let called = Endpoint::bind(config_b).unwrap();
    keys_ready(&called).await;

    // A contact need not prove its address.
    assert!(dial(&caller, alice(), address(&called)).await.is_some());
    let counters = called.stats().counters;
    assert_eq!((counters["DIAL_KNOWN"], counters["DIAL_RETRIED"]), (1, 0));
    // An anonymous caller shows no token.
    let anonymous = caller.dial(address(&called), id(&bob()), Credential::Anonymous);
    anonymous.await.unwrap();
    assert_eq!(called.stats().counters["DIAL_KNOWN"], 1);
    contacts.forget(&id(&alice()));
    assert!(dial(&caller, alice(), address(&called)).await.is_some());
    let counters = called.stats().counters;
    assert_eq!((counters["DIAL_KNOWN"], counters["DIAL_RETRIED"]), (1, 2));
}
