//! Several networks at once.

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

/// What a run does.
#[derive(Debug, Clone)]
pub struct Options {
    /// The networks, in the order of the rows.
    pub topologies: Vec<Topology>,
    /// How many of them stand at once.
    pub at_once: usize,
    /// How long daemons talk in each; without it networks are proven alone.
    pub pace: Option<Pace>,
}

/// Runs them, and tells each row as it comes. None when this system does not let us, which is said
/// loudly, as it is of a network that can't be had here alone.
///
/// Errors: the programs don't build.
pub async fn run(options: Options, tell: impl Fn(&Row)) -> anyhow::Result<Option<Vec<Row>>> {
    if !Lab::can_route() {
        return Ok(None);
    }
    Binaries::get()?;
    let places = Arc::new(Semaphore::new(options.at_once.max(1)));
    let mut running = JoinSet::new();
    // When this is dropped, so are all labs.
    let (_goes_on, ended) = watch::channel(());
    for (number, topology) in possible(options.topologies).enumerate() {
        let (places, pace, mut ended) = (Arc::clone(&places), options.pace, ended.clone());
        // In a thread of its own: hosts are made by commands that are waited for.
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
                "the network {name} needs miniupnpd, and there is none in PATH or {PROGRAM}"
            ));
        }
        possible
    })
}

async fn one(topology: Topology, pace: Option<Pace>) -> Row {
    let net = match Net::build(topology) {
        Ok(net) => net,
        Err(error) => return Row::failed(&topology, &error.context("it can't be built")),
    };
    if let Err(error) = prove(&net).await {
        return Row::failed(&topology, &error.context("it is not what it says"));
    }
    match pace {
        Some(pace) => play(&net, pace).await,
        None => Row::of(&topology),
    }
}
