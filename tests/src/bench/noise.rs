//! What noise from an unknown address costs a daemon, beyond what it costs the kernel.

use super::figure::Figure;
use super::options::Options;
use super::process::user_ticks;
use crate::harness::{Daemon, Setup};
use crate::scenario::Api;
use anyhow::Context as _;
use quinn::udp::{Transmit, UdpSocketState};
use rand::Rng as _;
use serde_json::json;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// The size of a datagram in bytes: that of a first packet.
const SIZE: usize = 1_200;
/// Datagrams that are sent together.
const BATCH: usize = 50;
const FOR: Duration = Duration::from_secs(5);
/// Nanoseconds for a datagram, of a tenth of a core at a million in a second.
const TARGET_NS: f64 = 100.0;
const TICK_NS: f64 = 1e7;

/// Floods an idle daemon with noise, and measures its processor time in user mode for each datagram that it
/// received.
pub(super) async fn measure(_options: &Options) -> anyhow::Result<Vec<Figure>> {
    let daemon = Daemon::start(Setup::new().identity("alice")).await?;
    let (pid, to) = (
        daemon.pid().context("no process")?,
        daemon.udp_address().await?,
    );
    // Session keys are generated first.
    sleep(Duration::from_secs(4)).await;
    let (ticks, before) = (user_ticks(pid)?, dropped(&daemon).await?);
    let sent = spawn_blocking(move || flood(to)).await??;
    sleep(Duration::from_millis(500)).await;
    let spent = user_ticks(pid)?.saturating_sub(ticks) as f64 * TICK_NS;
    let received = dropped(&daemon).await?.saturating_sub(before);
    let each = spent / received.max(1) as f64;
    let detail = json!({ "sent": sent, "received": received, "bytes": SIZE,
        "received_per_s": received as f64 / FOR.as_secs_f64() });
    let figure = Figure::new("noise_user_time", each, "ns").at_most(TARGET_NS);
    Ok(vec![figure.detail(detail)])
}

/// Sends noise for a while, in batches that the kernel cuts into datagrams. Returns the number of datagrams.
fn flood(to: SocketAddr) -> anyhow::Result<u64> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let state = UdpSocketState::new((&socket).into())?;
    let mut noise = vec![0; BATCH * SIZE];
    rand::rng().fill_bytes(&mut noise);
    let (start, mut sent) = (Instant::now(), 0);
    while start.elapsed() < FOR {
        let batch = Transmit {
            destination: to,
            ecn: None,
            contents: &noise,
            segment_size: Some(SIZE),
            src_ip: None,
        };
        match state.send((&socket).into(), &batch) {
            Ok(()) => sent += BATCH as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sent)
}

/// Returns the number of datagrams that the daemon has dropped.
async fn dropped(daemon: &Daemon) -> anyhow::Result<u64> {
    let status = Api::of(daemon).await?.status().await?;
    let dropped = status
        .refused
        .iter()
        .filter(|(name, _)| name.starts_with("DATAGRAM_"));
    Ok(dropped.map(|(_, count)| count).sum())
}
