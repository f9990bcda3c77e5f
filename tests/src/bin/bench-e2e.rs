//! `cargo bench-e2e`: measures real daemons and prints one JSON line per figure.

use clap::Parser;
use m2_tests::bench::{self, Options};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let all_met = bench::run(&Options::parse()).await?;
    if !all_met {
        eprintln!("some figures missed their targets");
    }
    Ok(ExitCode::SUCCESS)
}
