//! `[lookup]`: how contacts are found (docs/spec/lookup.md).

use super::ConfigError;
use super::ranges::Section;
use serde::{Deserialize, Serialize};

const SECTION: Section = Section("lookup");

/// The maximum number of bootstrap nodes.
const MAX_BOOTSTRAP: usize = 32;

/// How contacts are found. Line-only mode disables all of it. A daemon that listens only on
/// loopback uses neither the local network nor a gateway, and uses the DHT only with configured
/// bootstrap nodes.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LookupConfig {
    /// Announces this daemon in the local network and looks for contacts there.
    pub lan: bool,
    /// Publishes this daemon in the DHT and looks for contacts there.
    pub dht: bool,
    /// The UDP port of the DHT node; 0 for any.
    pub dht_port: u16,
    /// The bootstrap nodes of the DHT, `host:port` each; the well-known ones if empty.
    pub dht_bootstrap: Vec<String>,
    /// The timeout for one node of the DHT, in milliseconds.
    pub dht_timeout_ms: u64,
    /// Asks the gateway to forward the daemon's port.
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
        let timeout = (50..=60_000).contains(&self.dht_timeout_ms);
        SECTION.range("dht_timeout_ms", timeout, "50 to 60,000")?;
        let is_node = |node: &String| {
            let parts = node.rsplit_once(':');
            parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        let few = self.dht_bootstrap.len() <= MAX_BOOTSTRAP;
        let nodes = few && self.dht_bootstrap.iter().all(is_node);
        SECTION.range("dht_bootstrap", nodes, "up to 32 of HOST:PORT")
    }
}
