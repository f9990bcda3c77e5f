//! Runs several networks concurrently.

use super::chart::Row;
use super::flow::{Pace, play};
use super::gateway::{Gateway, PROGRAM};
use super::net::Net;
use super::probe::prove;
use super::topology::Topology;
use crate::harness::{Binaries, Lab};
use crate::skip::skip;
use anyhow::anyhow;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// The options of a run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The networks, in the order of the rows.
    pub topologies: Vec<Topology>,
    /// The number of networks that exist at the same time.
    pub at_once: usize,
    /// The pace of the daemons in each network; without it, the networks are only verified.
    pub pace: Option<Pace>,
}

/// Runs all networks, and passes each row to `tell` as soon as it is complete. Returns `None` if
/// the system does not permit networks. That is reported as a skipped test, and so is a single
/// network that lacks a program.
///
/// Errors: the programs do not build.
pub async fn run(options: Options, tell: impl Fn(&Row)) -> anyhow::Result<Option<Vec<Row>>> {
    if !Lab::can_route() {
        return Ok(None);
    }
    Binaries::get()?;
    let places = Arc::new(Semaphore::new(options.at_once.max(1)));
    let mut running = JoinSet::new();
    // Dropping the sender interrupts all networks, which removes their labs.
    let (_goes_on, ended) = watch::channel(());
    for (number, topology) in possible(options.topologies).enumerate() {
        let (places, pace, mut ended) = (Arc::clone(&places), options.pace, ended.clone());
        // On a blocking thread: hosts are created by commands, for which the thread waits.
        let runtime = Handle::current();
        running.spawn_blocking(move || {
            let row = runtime.block_on(async {
                let _place = places.acquire_owned().await;
                tokio::select! {
                    row = one(topology, pace) => row,
                    _ = ended.changed() => Row::failed(&topology, &anyhow!("interrupted")),
                }
            });
            (number, row)
        });
    }
    let mut rows = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (number, row) = ended?;
        tell(&row);
        rows.push((number, row));
    }
    rows.sort_by_key(|(number, _)| *number);
    Ok(Some(rows.into_iter().map(|(_, row)| row).collect()))
}

fn possible(topologies: Vec<Topology>) -> impl Iterator<Item = Topology> {
    topologies.into_iter().filter(|topology| {
        let possible = !topology.maps_ports() || Gateway::is_installed();
        if !possible {
            let name = topology.name;
            skip(&format!(
                "the network {name} needs miniupnpd, which is neither in PATH nor in {PROGRAM}"
            ));
        }
        possible
    })
}

async fn one(topology: Topology, pace: Option<Pace>) -> Row {
    let net = match Net::build(topology) {
        Ok(net) => net,
        Err(error) => return Row::failed(&topology, &error.context("the network cannot be built")),
    };
    if let Err(error) = prove(&net).await {
        return Row::failed(
            &topology,
            &error.context("the network does not behave as described"),
        );
    }
    match pace {
        Some(pace) => play(&net, pace).await,
        None => Row::of(&topology),
    }
}
