//! Many lines that carry bulk data at the same time.

use super::super::figure::Figure;
use super::super::options::Options;
use super::scene::{Party, Relay, secret};
use m2_net::session::Session;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Number of lines.
const LINES: u64 = 100;
/// The time for which all lines carry data.
const TALK: Duration = Duration::from_secs(10);

/// Measures how evenly a relay serves 100 lines: Jain's fairness index of the bytes that arrived on
/// each, 1 if all are equal.
pub(in super::super) async fn measure(_: &Options) -> anyhow::Result<Vec<Figure>> {
    let relay = Relay::start("carol").await?;
    let (caller, listener) = (Party::new("alice").await?, Party::new("bob").await?);
    let mut pairs = Vec::new();
    let mut carriers = Vec::new();
    for number in 0..LINES {
        // Each side of each line has its own session with the relay.
        let listening = listener.carrier(&[relay.hop()]).await?;
        listening.open(&[secret(number)]).await?;
        let calling = caller.carrier(&[relay.hop()]).await?;
        let address = calling.join(secret(number).join_token()).await?;
        pairs.push(caller.dial(&listener, address).await?);
        carriers.push((listening, calling));
    }
    let end = Instant::now() + TALK;
    let talks: Vec<_> = pairs
        .into_iter()
        .map(|(near, far)| tokio::spawn(talk(near, far, end)))
        .collect();
    let mut shares = Vec::new();
    for talk in talks {
        shares.push(talk.await? as f64);
    }
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), share| {
        (sum + share, squares + share * share)
    });
    let jain = sum * sum / (shares.len() as f64 * squares);
    shares.sort_by(f64::total_cmp);
    let detail = json!({
        "MB/s": sum / 1e6 / TALK.as_secs_f64(),
        "least_of_most": shares.first().unwrap_or(&0.0) / shares.last().unwrap_or(&1.0),
    });
    Ok(vec![
        Figure::new("line_shares", jain, "Jain")
            .at_least(0.8)
            .detail(detail),
    ])
}

/// Sends as fast as possible until `end`. Returns the number of bytes that arrived by then.
async fn talk(near: Session, far: Session, end: Instant) -> usize {
    let sending = tokio::spawn(async move {
        let block = super::super::talker::payload(64 << 10);
        if let Ok(mut stream) = near.open_bulk().await {
            while stream.write_all(&block).await.is_ok() {}
        }
    });
    let mut count = 0;
    if let Ok(mut stream) = far.accept_bulk().await {
        while let Ok(Ok(Some(chunk))) = timeout_at(end, stream.read_chunk(1 << 20, true)).await {
            count += chunk.bytes.len();
        }
    }
    sending.abort();
    count
}
