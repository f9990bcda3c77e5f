//! Many concurrent dials, and their effect on an established session.

use super::figure::Figure;
use super::net;
use super::options::Options;
use super::pair::Pair;
use super::samples::Samples;
use super::talker::{Talker, payload};
use crate::harness::Setup;
use m2_crypto::handshake::Credential;
use m2_crypto::{Circle, Identity, provider};
use rand_core::UnwrapErr;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Number of round trips before the storm.
const CALM: usize = 200;

/// Measures the latency until delivery is confirmed, while `callers` peers dial the recipient
/// concurrently. Each has an identity of its own: of one peer, a daemon keeps one session, and
/// closes the others.
pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let keys = format!("session_keys = {}", options.callers * 3);
    let alice = Setup::new().identity("alice").network(&keys);
    let pair = Pair::start(alice, Setup::new().identity("bob")).await?;
    let address = pair.alice.udp_address().await?;
    let peer = net::identity("alice")?.peer_id(Circle::public().id());
    let callers = Arc::new(net::endpoint(net::identity("carol")?, options.callers).await?);
    let identities = fresh_identities(options.callers).await?;
    let mut talker = Talker::new(&pair.bob_api, "alice").await?;
    let data = payload(options.size);
    let mut calm = Samples::default();
    for _ in 0..CALM {
        let start = Instant::now();
        talker.deliver(&data).await?;
        calm.add(start.elapsed());
    }
    let over = Arc::new(AtomicBool::new(false));
    let storm = tokio::spawn({
        let over = over.clone();
        async move {
            let start = Instant::now();
            let mut calls = tokio::task::JoinSet::new();
            for identity in identities {
                let (callers, credential) = (callers.clone(), Credential::Identity(identity));
                calls.spawn(async move { callers.dial(address, peer, credential).await });
            }
            let (sessions, failures): (Vec<_>, Vec<_>) =
                calls.join_all().await.into_iter().partition(Result::is_ok);
            over.store(true, Ordering::Relaxed);
            let failures = failures.into_iter().filter_map(Result::err);
            let failures: Vec<_> = failures.map(|error| error.reason()).collect();
            (sessions.len(), failures, start.elapsed())
        }
    });
    let mut stormy = Samples::default();
    while !over.load(Ordering::Relaxed) {
        let start = Instant::now();
        talker.deliver(&data).await?;
        stormy.add(start.elapsed());
    }
    let (answered, failures, took) = storm.await?;
    let detail = json!({
        "callers": options.callers,
        "answered": answered,
        "failures": failures,
        "storm_ms": took.as_secs_f64() * 1_000.0,
        "calm": calm.detail(),
        "stormy": stormy.detail(),
    });
    let p99 = stormy.percentile_ms(99);
    Ok(vec![
        Figure::new("storm_latency_p99", p99, "ms")
            .at_most(20.0)
            .detail(detail),
    ])
}

/// Generates identities, which takes about a second of processor time each.
async fn fresh_identities(count: usize) -> anyhow::Result<Vec<Arc<Identity>>> {
    let made = (0..count).map(|_| {
        tokio::task::spawn_blocking(|| {
            let mut rng = UnwrapErr(getrandom::SysRng);
            Identity::generate(&mut rng, provider::default()).map(Arc::new)
        })
    });
    let made: Vec<_> = made.collect();
    let mut identities = Vec::with_capacity(count);
    for identity in made {
        identities.push(identity.await??);
    }
    Ok(identities)
}
