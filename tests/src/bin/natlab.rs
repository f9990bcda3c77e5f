//! `cargo natlab`: connects two daemons behind routers of all kinds, and reports how.

use anyhow::bail;
use clap::{Parser, Subcommand};
use m2_tests::harness::{Lab, serve_socket};
use m2_tests::natlab::{ALL, Options, Pace, Row, Topology, page, run, table};
use m2_tests::workspace;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

/// Builds test networks with NATs, runs two daemons and a relay in each, and prints a table. Fails
/// if a network does not behave as described, if the daemons do not connect by the expected path,
/// or if a message is lost, repeated or out of order. Requires root, ip and nft
#[derive(Debug, Parser)]
struct Args {
    /// Runs only this network; may be given more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Lists the networks
    #[arg(long)]
    list: bool,
    /// Number of networks that run concurrently
    #[arg(long, default_value_t = 4)]
    at_once: usize,
    /// Lets the daemons exchange messages for a few seconds only
    #[arg(long)]
    short: bool,
    /// Lets the daemons exchange messages for this time
    #[arg(long, value_name = "SECONDS")]
    talk: Option<u64>,
    /// Keeps the daemons' logs and prints where they are
    #[arg(long)]
    keep_logs: bool,
    /// Only verifies with plain sockets that each network behaves as described
    #[arg(long)]
    prove: bool,
    /// Prints a JSON line per network instead of a table
    #[arg(long)]
    json: bool,
    /// Also writes the table to docs/dev/nat-lab.md
    #[arg(long, conflicts_with_all = ["only", "prove"])]
    write: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Serves a UDP socket on a host of a lab
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
    // Dropping the measurement stops its daemons and removes its hosts.
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
        None => bail!("unknown network {name}; see --list"),
    });
    named.collect()
}

/// Prints a row as soon as its network is finished.
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
        true => eprintln!("{name}: ok"),
        false => eprintln!("{name}: FAILED: {}", row.misses.join("; ")),
    }
}
