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
    match Side::parse() {
        Side::A => peer::listen().await,
        Side::B { invitation } => peer::dial(&invitation).await,
    }
}
