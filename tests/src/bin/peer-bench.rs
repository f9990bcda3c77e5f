//! `peer-bench`: M2 as side A or side B of a driver that compares messaging systems.

use clap::Parser;
use m2_tests::bench::peer;

/// Speaks the line protocol of a driver that compares messaging systems.
#[derive(Debug, Parser)]
enum Side {
    /// Starts a daemon and prints READY with an invitation
    A,
    /// Starts a daemon, dials the invitation, and reports each phase
    B {
        /// The invitation that A printed after READY
        invitation: String,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Dropping the run stops its daemon.
    tokio::select! {
        ended = run(Side::parse()) => ended,
        ended = terminated() => ended,
    }
}

async fn run(side: Side) -> anyhow::Result<()> {
    match side {
        Side::A => peer::listen().await,
        Side::B { invitation } => peer::dial(&invitation).await,
    }
}

#[cfg(unix)]
async fn terminated() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    signal(SignalKind::terminate())?.recv().await;
    Ok(())
}

#[cfg(not(unix))]
async fn terminated() -> anyhow::Result<()> {
    std::future::pending().await
}
