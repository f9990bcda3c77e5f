//! The time from an invitation to the first delivered message.

use super::figure::Figure;
use super::options::Options;
use super::pair::{add, invite, keys_full};
use super::rsa::Cost;
use super::samples::Samples;
use super::talker::{Talker, payload};
use crate::harness::{Daemon, Setup};
use m2_proto::api::v1::event::Kind;
use serde_json::json;
use std::time::{Duration, Instant};

/// Measures the time to dial a stranger by its invitation and to deliver a first message:
/// handshake, contact request, reply, new epoch, message, acknowledgement. Each run uses new
/// daemons with full pools of session keys.
pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let (mut samples, mut contacts) = (Samples::default(), Samples::default());
    for _ in 0..options.dials {
        let (contact, whole) = once(options.size).await?;
        contacts.add(contact);
        samples.add(whole);
    }
    let cost = Cost::measure()?;
    let rsa_ms = cost.first_message().as_secs_f64() * 1_000.0;
    let p50 = samples.percentile_ms(50);
    let detail = json!({
        "dials": samples.detail(),
        "until_contact": contacts.detail(),
        "rsa_private_ms": rsa_ms,
        "times_rsa": p50 / rsa_ms,
    });
    Ok(vec![
        Figure::new("dial_to_first_delivered", p50, "ms")
            .at_most(20.0)
            .detail(detail),
    ])
}

/// Returns the time until the invited side has the contact, and until the message is delivered.
async fn once(size: usize) -> anyhow::Result<(Duration, Duration)> {
    let alice = Daemon::start(Setup::new().identity("alice")).await?;
    let bob = Daemon::start(Setup::new().identity("bob")).await?;
    let (alice_api, bob_api) = (alice.client().await?, bob.client().await?);
    keys_full(&alice_api).await?;
    keys_full(&bob_api).await?;
    let uri = invite(&alice_api).await?;
    let mut talker = Talker::new(&bob_api, "alice").await?;
    let data = payload(size);
    let start = Instant::now();
    add(&bob_api, &uri).await?;
    while !matches!(talker.next_event().await?, Kind::ContactAdded(_)) {}
    let contact = start.elapsed();
    talker.deliver(&data).await?;
    Ok((contact, start.elapsed()))
}
