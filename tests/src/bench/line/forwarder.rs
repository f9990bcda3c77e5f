//! The cost of forwarding datagrams without looking at them, as a baseline for relays.

use anyhow::Context as _;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Length in bytes of a datagram, about that of a relayed one.
const DATAGRAM: usize = 1_400;
/// Total number of bytes to forward.
const TOTAL: usize = 256 << 20;

/// Returns the CPU seconds per GiB of a thread that receives datagrams and sends them on, one at a
/// time.
pub(super) fn cpu_per_gib() -> anyhow::Result<f64> {
    let (front, back) = (bound()?, bound()?);
    let to = front.local_addr()?;
    let sink = bound()?;
    back.connect(sink.local_addr()?)?;
    let forwarding = std::thread::spawn(move || forward(&front, &back));
    let source = bound()?;
    let begun = Instant::now();
    let bytes = vec![7; DATAGRAM];
    while !forwarding.is_finished() && begun.elapsed() < Duration::from_secs(60) {
        source.send_to(&bytes, to)?;
    }
    let forwarded = forwarding.join().ok().context("the forwarder failed")?;
    let (seconds, bytes) = forwarded?;
    Ok(seconds / (bytes as f64 / super::GIB))
}

fn forward(front: &UdpSocket, back: &UdpSocket) -> anyhow::Result<(f64, usize)> {
    let mut buffer = [0; 2_048];
    let before = thread_seconds()?;
    let mut passed = 0;
    while passed < TOTAL {
        let length = front.recv(&mut buffer)?;
        back.send(buffer.get(..length).context("too long")?)?;
        passed += length;
    }
    Ok((thread_seconds()? - before, passed))
}

fn bound() -> anyhow::Result<UdpSocket> {
    Ok(UdpSocket::bind("127.0.0.1:0")?)
}

/// Returns the CPU time of this thread in seconds, from `schedstat`, which counts nanoseconds.
fn thread_seconds() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").context("no /proc")?;
    let nanoseconds: f64 = text
        .split_whitespace()
        .next()
        .context("schedstat is malformed")?
        .parse()?;
    Ok(nanoseconds / 1e9)
}
