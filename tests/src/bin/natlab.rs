//! `cargo natlab`: two daemons behind routers of all kinds, and how they come together.

use anyhow::bail;
use clap::{Parser, Subcommand};
use m2_tests::harness::{Lab, serve_socket};
use m2_tests::natlab::{ALL, Options, Pace, Row, Topology, page, run, table};
use m2_tests::workspace;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

/// Builds networks of all kinds, sends two daemons and a relay through each, and prints a table.
/// Fails when one is not what it says, two don't come together as they must, or a message is lost,
/// repeated or out of order. Takes root, ip and nft
#[derive(Debug, Parser)]
struct Args {
    /// Only this network; may be given again
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Names the networks
    #[arg(long)]
    list: bool,
    /// As many of them at once
    #[arg(long, default_value_t = 4)]
    at_once: usize,
    /// They talk for a few seconds only
    #[arg(long)]
    short: bool,
    /// They talk for so long instead
    #[arg(long, value_name = "SECONDS")]
    talk: Option<u64>,
    /// Keeps the daemons' logs, and says where
    #[arg(long)]
    keep_logs: bool,
    /// Only shows by plain sockets that the networks are what they say
    #[arg(long)]
    prove: bool,
    /// Prints a JSON line for each instead of a table
    #[arg(long)]
    json: bool,
    /// Writes the table to docs/dev/nat-lab.md too
    #[arg(long, conflicts_with_all = ["only", "prove"])]
    write: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Has a UDP socket on a host of a lab
    #[command(hide = true)]
    Socket {
        address: SocketAddr,
        group: Option<Ipv4Addr>,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(Part::Socket { address, group }) = args.part {
        serve_socket(address, group)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.list {
        ALL.iter()
            .for_each(|topology| println!("{}", topology.name));
        return Ok(ExitCode::SUCCESS);
    }
    // What is dropped here takes its daemons and hosts along.
    tokio::select! {
        ended = measure(&args) => ended,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
    }
}

async fn measure(args: &Args) -> anyhow::Result<ExitCode> {
    Lab::sweep()?;
    let mut pace = if args.short { Pace::SHORT } else { Pace::LONG };
    if let Some(seconds) = args.talk {
        pace.talk = Duration::from_secs(seconds);
    }
    pace.keep_logs = args.keep_logs;
    let options = Options {
        topologies: topologies(&args.only)?,
        at_once: args.at_once,
        pace: (!args.prove).then_some(pace),
    };
    let rows = run(options, |row| tell(row, args.json)).await?;
    let Some(rows) = rows else {
        return Ok(ExitCode::SUCCESS);
    };
    if !args.json && !args.prove {
        print!("{}", table(&rows));
    }
    if args.write {
        let file = workspace::root()?.join("docs/dev/nat-lab.md");
        fs::write(file, page(&rows))?;
    }
    let good = rows.iter().all(|row| row.misses.is_empty());
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn topologies(names: &[String]) -> anyhow::Result<Vec<Topology>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let named = names.iter().map(|name| match Topology::named(name) {
        Some(topology) => Ok(topology),
        None => bail!("there is no network {name}; see --list"),
    });
    named.collect()
}

/// A row as it comes.
fn tell(row: &Row, json: bool) {
    if json {
        match serde_json::to_string(row) {
            Ok(line) => println!("{line}"),
            Err(error) => eprintln!("{}: {error}", row.topology.name),
        }
        return;
    }
    let name = row.topology.name;
    match row.misses.is_empty() {
        true => eprintln!("{name}: as it must be"),
        false => eprintln!("{name}: MISSED: {}", row.misses.join("; ")),
    }
}
