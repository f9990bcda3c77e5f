//! `peer-bench`: M2 as side A or B of a driver that measures messaging systems alike.

use clap::Parser;
use m2_tests::bench::peer;

/// Speaks the line protocol of a driver that compares messaging systems.
#[derive(Debug, Parser)]
enum Side {
    /// Start a daemon and print READY with an invitation
    A,
    /// Start a daemon, dial the invitation, and report each phase
    B {
        /// What A printed after READY
        invitation: String,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // What is dropped here takes its daemon along.
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
