//! `[lookup]`: how contacts are found (spec §8).

use super::ConfigError;
use serde::Deserialize;

/// The most bootstrap nodes.
const MAX_BOOTSTRAP: usize = 32;

/// How contacts are found. In line-only mode nothing of it is done; who listens on loopback alone
/// is in no local network and behind no gateway, and uses the DHT only with nodes of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LookupConfig {
    /// Be found and find in the local network.
    pub lan: bool,
    /// Be found and find in the DHT.
    pub dht: bool,
    /// The DHT's UDP port; 0 for any.
    pub dht_port: u16,
    /// Nodes to begin with in the DHT, `host:port` each; the well-known ones when empty.
    pub dht_bootstrap: Vec<String>,
    /// How long one node of the DHT may take to answer, milliseconds.
    pub dht_timeout_ms: u64,
    /// Ask the gateway to forward the daemon's port.
    pub map_port: bool,
}

impl Default for LookupConfig {
    fn default() -> Self {
        Self {
            lan: true,
            dht: true,
            dht_port: 0,
            dht_bootstrap: Vec::new(),
            dht_timeout_ms: 2_000,
            map_port: true,
        }
    }
}

impl LookupConfig {
    pub(super) fn check_ranges(&self) -> Result<(), ConfigError> {
        let range = |key, ok, expected| {
            let section = "lookup";
            if ok {
                return Ok(());
            }
            Err(ConfigError::Range {
                section,
                key,
                expected,
            })
        };
        let timeout = (50..=60_000).contains(&self.dht_timeout_ms);
        range("dht_timeout_ms", timeout, "50 to 60,000")?;
        let is_node = |node: &String| {
            let parts = node.rsplit_once(':');
            parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        let few = self.dht_bootstrap.len() <= MAX_BOOTSTRAP;
        let nodes = few && self.dht_bootstrap.iter().all(is_node);
        range("dht_bootstrap", nodes, "up to 32 of HOST:PORT")
    }
}
