//! Opens the store of the mailbox role.

use super::Failure;
use crate::config::MailboxConfig;
use crate::mailbox::server::ServerLimits;
use crate::mailbox::store::{EmbeddedStore, Limits, MailboxError, MailboxStore};
use m2_crypto::Identity;
use std::path::Path;
use std::sync::Arc;

/// What the names in a NATS cluster begin with. Front ends of one cluster serve the same boxes.
#[cfg(feature = "jetstream")]
const NATS_PREFIX: &str = "m2-mailbox";

/// The store that the configuration names.
pub(super) async fn open_store(
    config: &MailboxConfig,
    data_dir: &Path,
    identity: &Identity,
) -> Result<Arc<dyn MailboxStore>, Failure> {
    let limits = ServerLimits::of(config).store;
    if !config.nats.is_empty() {
        return join_cluster(config, limits).await;
    }
    let (directory, key) = (data_dir.to_owned(), identity.mailbox_key());
    // It counts all letters, which takes a while when there are many.
    let open = move || EmbeddedStore::open(&directory, Some(key), limits);
    let ended = |_| MailboxError::Unavailable("it could not be opened".to_owned());
    let opened = tokio::task::spawn_blocking(open).await.map_err(ended)?;
    Ok(Arc::new(opened?))
}

#[cfg(feature = "jetstream")]
async fn join_cluster(
    config: &MailboxConfig,
    limits: Limits,
) -> Result<Arc<dyn MailboxStore>, Failure> {
    use crate::mailbox::store::{JetStreamOptions, JetStreamStore};
    let options = JetStreamOptions {
        servers: config.nats.clone(),
        prefix: NATS_PREFIX.to_owned(),
        replicas: config.replicas as usize,
    };
    Ok(Arc::new(JetStreamStore::connect(options, limits).await?))
}

#[cfg(not(feature = "jetstream"))]
async fn join_cluster(_: &MailboxConfig, _: Limits) -> Result<Arc<dyn MailboxStore>, Failure> {
    let missing = "[mailbox] nats: this m2d was built without JetStream".to_owned();
    Err(Failure::Usage(missing))
}
