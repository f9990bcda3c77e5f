//! In-process endpoints of m2-net.

use m2_crypto::{Circle, Identity, provider};
use m2_net::endpoint::{Endpoint, EndpointConfig};
use std::net::SocketAddr;
use std::sync::Arc;

/// Reads a committed test identity.
pub(super) fn identity(name: &str) -> anyhow::Result<Arc<Identity>> {
    let path = crate::workspace::root()?.join(format!("tests/vectors/identities/{name}.pem"));
    let pem = std::fs::read_to_string(path)?;
    Ok(Arc::new(Identity::from_pem(
        &pem,
        None,
        provider::default(),
    )?))
}

/// Binds an endpoint to a free loopback port, and waits until its pool of `keys` session keys is
/// full.
pub(super) async fn endpoint(identity: Arc<Identity>, keys: usize) -> anyhow::Result<Endpoint> {
    let mut config = EndpointConfig::new(Circle::public(), identity);
    config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.key_pool_size = keys;
    let endpoint = Endpoint::bind(config)?;
    keys_full(&endpoint).await;
    Ok(endpoint)
}

/// Waits until the endpoint's pool of session keys is full.
pub(super) async fn keys_full(endpoint: &Endpoint) {
    loop {
        let stats = endpoint.stats();
        if stats.keys_ready >= stats.keys_wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
