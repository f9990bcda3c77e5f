//! Bulk data through one session of m2-net, both ends in this process.

use super::figure::Figure;
use super::net;
use super::options::Options;
use anyhow::{Context as _, ensure};
use m2_crypto::Circle;
use m2_crypto::handshake::Credential;
use serde_json::json;
use std::time::{Duration, Instant};

/// Bytes written and read at once.
const CHUNK: usize = 1 << 20;

/// Megabytes a second from socket to socket under levels 2 and 3.
pub(super) async fn measure(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let (alice, bob) = (net::identity("alice")?, net::identity("bob")?);
    let called = net::endpoint(alice.clone(), 2).await?;
    let caller = net::endpoint(bob.clone(), 2).await?;
    let address = *called.local_addrs().first().context("no address")?;
    let peer = alice.peer_id(Circle::public().id());
    let credential = Credential::Identity(bob);
    let (dialled, accepted) = tokio::join!(caller.dial(address, peer, credential), called.accept());
    let (dialled, accepted) = (dialled?, accepted.context("no session came")?);
    let total = options.bulk_mb * 1_000_000;
    let receiving = tokio::spawn(async move {
        let mut stream = accepted.accept_bulk().await?;
        let mut count = 0;
        while let Some(chunk) = stream.read_chunk(CHUNK, true).await? {
            count += chunk.bytes.len();
        }
        anyhow::Ok((count, accepted))
    });
    let start = Instant::now();
    let elapsed = send(&dialled, total, start, receiving).await?;
    let rate = total as f64 / 1e6 / elapsed.as_secs_f64();
    let detail = json!({ "megabytes": options.bulk_mb });
    Ok(vec![Figure::new("bulk", rate, "MB/s").detail(detail)])
}

type Receiving = tokio::task::JoinHandle<anyhow::Result<(usize, m2_net::session::Session)>>;

async fn send(
    session: &m2_net::session::Session,
    total: usize,
    start: Instant,
    receiving: Receiving,
) -> anyhow::Result<Duration> {
    let mut stream = session.open_bulk().await?;
    let chunk = super::talker::payload(CHUNK);
    let mut left = total;
    while left > 0 {
        let part = chunk.get(..left.min(CHUNK)).context("no chunk")?;
        stream.write_all(part).await?;
        left -= part.len();
    }
    stream.finish()?;
    let (count, _session) = receiving.await??;
    ensure!(count == total, "{count} of {total} bytes came");
    Ok(start.elapsed())
}
