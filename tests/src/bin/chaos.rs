//! `cargo chaos`: kills two daemons again and again while they exchange messages, then checks what
//! they delivered.

use clap::Parser;
use m2_tests::scenario::chaos::{Options, run};
use std::time::Instant;

/// Kills two daemons at random while they exchange messages. Fails if a message is lost, delivered
/// twice or out of order.
#[derive(Debug, Parser)]
struct Args {
    /// Number of kills
    #[arg(long, default_value_t = 1_000)]
    kills: u32,
    /// Repeats the random choices of an earlier run
    #[arg(long)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let seed = args.seed.unwrap_or_else(rand::random);
    println!("seed {seed}, {} kills", args.kills);
    let start = Instant::now();
    let options = Options {
        kills: args.kills,
        seed,
    };
    let report = run(options).await?;
    println!(
        "{} kills ({} of them while starting) in {} s",
        report.kills,
        report.while_starting,
        start.elapsed().as_secs()
    );
    println!(
        "{} messages acknowledged: all arrived, once and in order",
        report.acknowledged
    );
    println!(
        "{} calls failed: {} of their messages arrived, once; {} never",
        report.failed_but_sent + report.failed,
        report.failed_but_sent,
        report.failed
    );
    println!(
        "{} events, all received by a named front-end",
        report.events
    );
    Ok(())
}
