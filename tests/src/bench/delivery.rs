//! Message delivery: latency until the acknowledgement, and throughput.

use super::figure::Figure;
use super::options::Options;
use super::pair::Pair;
use super::process::cpu_ticks;
use super::samples::Samples;
use super::talker::{Talker, payload};
use anyhow::{Context as _, ensure};
use m2_proto::api::v1::event::Kind;
use m2_proto::api::v1::send_messages_response::Result as Outcome;
use m2_proto::api::v1::{MessageState, SendMessagesRequest, WatchMessageRequest};
use m2_proto::client::Client;
use serde_json::json;
use std::time::{Duration, Instant};

/// Measures the latency from the call to the notification that the recipient has stored the
/// message, one message at a time.
pub(super) async fn round_trip(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let pair = Pair::with_test_identities().await?;
    let mut bob = Talker::new(&pair.bob_api, "alice").await?;
    let data = payload(options.size);
    for _ in 0..50 {
        bob.deliver(&data).await?;
    }
    let mut by_events = Samples::default();
    for _ in 0..options.round_trips {
        let start = Instant::now();
        bob.deliver(&data).await?;
        by_events.add(start.elapsed());
    }
    let mut by_watch = Samples::default();
    for _ in 0..options.round_trips / 4 {
        let start = Instant::now();
        deliver_watching(&bob, &data).await?;
        by_watch.add(start.elapsed());
    }
    let detail = json!({
        "size": options.size,
        "events": by_events.detail(),
        "send_then_watch": by_watch.detail(),
    });
    let p50 = Figure::new("round_trip_p50", by_events.percentile_ms(50), "ms");
    let p99 = Figure::new("round_trip_p99", by_events.percentile_ms(99), "ms");
    Ok(vec![p50.at_most(1.5).detail(detail), p99])
}

/// Sends a message and waits for its delivery with `WatchMessage`, as `m2 send --wait` does.
async fn deliver_watching(talker: &Talker, data: &[u8]) -> anyhow::Result<()> {
    let request = talker.request(data);
    let mut messages = talker.api().messages();
    let sent = messages.send_message(request).await?.into_inner();
    let request = WatchMessageRequest {
        message_id: sent.message_id,
    };
    let mut states = messages.watch_message(request).await?.into_inner();
    while let Some(state) = states.message().await? {
        if state.state() == MessageState::Delivered {
            return Ok(());
        }
    }
    anyhow::bail!("the message was not delivered")
}

/// Measures the throughput of messages sent through one request stream. A message counts once it is
/// durable on both sides.
pub(super) async fn one_way(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let pair = Pair::with_test_identities().await?;
    let mut bob = Talker::new(&pair.bob_api, "alice").await?;
    let mut alice = Talker::new(&pair.alice_api, "bob").await?;
    let data = payload(options.size);
    for _ in 0..50 {
        bob.deliver(&data).await?;
        received(&mut alice).await?;
    }
    let pids = [pair.bob.pid(), pair.alice.pid()].map(Option::unwrap_or_default);
    let before = [cpu_ticks(pids[0])?, cpu_ticks(pids[1])?];
    let requests: Vec<_> = (0..options.messages)
        .map(|number| bob.stream_request(&numbered(number, &data)))
        .collect();
    let start = Instant::now();
    let sending = tokio::spawn(send_all(pair.bob_api.clone(), requests));
    for _ in 0..options.messages {
        bob.next_delivered().await?;
    }
    let delivered = start.elapsed();
    let queued = sending.await??;
    let after = [cpu_ticks(pids[0])?, cpu_ticks(pids[1])?];
    for number in 0..options.messages {
        let got = received(&mut alice).await?;
        ensure!(
            got.get(..8) == Some(&(number as u64).to_be_bytes()),
            "message {number} is missing or out of order"
        );
    }
    let per_second = options.messages as f64 / delivered.as_secs_f64();
    let cpu_us = |place: usize| {
        let ticks = after
            .get(place)
            .zip(before.get(place))
            .map_or(0, |(a, b)| a - b);
        ticks as f64 * 10_000.0 / options.messages as f64
    };
    let detail = json!({
        "n": options.messages,
        "size": options.size,
        "queued_per_s": options.messages as f64 / queued.as_secs_f64(),
        "sender_cpu_us_per_message": cpu_us(0),
        "receiver_cpu_us_per_message": cpu_us(1),
        "received": "all, once and in order",
    });
    let figure = Figure::new("one_way_durable", per_second, "messages/s");
    Ok(vec![figure.at_least(10_000.0).detail(detail)])
}

/// Sends all requests and returns the time until all messages were durable in the outbox.
async fn send_all(api: Client, requests: Vec<SendMessagesRequest>) -> anyhow::Result<Duration> {
    let start = Instant::now();
    let requests = tokio_stream::iter(requests);
    let mut responses = api.messages().send_messages(requests).await?.into_inner();
    while let Some(response) = responses.message().await? {
        let result = response.result.context("an empty response")?;
        ensure!(matches!(result, Outcome::Sent(_)), "{result:?}");
    }
    Ok(start.elapsed())
}

/// Returns the content of the next received message.
async fn received(talker: &mut Talker) -> anyhow::Result<Vec<u8>> {
    loop {
        if let Kind::MessageReceived(message) = talker.next_event().await? {
            return Ok(message.data);
        }
    }
}

/// Returns `data` with its first 8 bytes replaced by the message's number.
fn numbered(number: usize, data: &[u8]) -> Vec<u8> {
    let rest = data.iter().skip(8);
    let number = (number as u64).to_be_bytes();
    number.iter().chain(rest).copied().collect()
}
