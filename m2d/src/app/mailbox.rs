//! Opens the store of the mailbox role.

use super::Failure;
use crate::config::MailboxConfig;
use m2_crypto::Identity;
use m2_mailbox::server::ServerLimits;
use m2_mailbox::store::{EmbeddedStore, Limits, MailboxError, MailboxStore};
use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "jetstream")]
use std::time::Duration;

/// The prefix of all names in the NATS cluster. All front ends of one cluster serve the same
/// mailboxes.
#[cfg(feature = "jetstream")]
const NATS_PREFIX: &str = "m2-mailbox";
/// How long the start waits for the cluster.
#[cfg(feature = "jetstream")]
const JOIN_WITHIN: Duration = Duration::from_secs(5);

/// Returns the configured limits of the role.
pub(super) fn limits(config: &MailboxConfig) -> ServerLimits {
    ServerLimits {
        store: Limits {
            boxes: config.max_boxes,
            bytes: config.max_bytes,
            box_letters: config.box_letters,
            box_bytes: config.box_bytes,
            box_spent: config.box_spent,
        },
        owners: config.max_owners as usize,
        depositors: config.max_depositors as usize,
    }
}

/// Opens the mailbox store that the configuration selects.
pub(super) async fn open_store(
    config: &MailboxConfig,
    data_dir: &Path,
    identity: &Identity,
) -> Result<Arc<dyn MailboxStore>, Failure> {
    let limits = limits(config).store;
    if !config.nats.is_empty() {
        return join_cluster(config, limits).await;
    }
    let (directory, key) = (data_dir.to_owned(), identity.mailbox_key());
    // Opening counts all letters, which takes a while if there are many.
    let open = move || EmbeddedStore::open(&directory, Some(key), limits);
    let ended = |_| MailboxError::Unavailable("it could not be opened".to_owned());
    let opened = tokio::task::spawn_blocking(open).await.map_err(ended)?;
    Ok(Arc::new(opened?))
}

/// Connects to the cluster. An unreachable cluster does not prevent the start: peers are served
/// meanwhile, and mailboxes once the cluster answers.
#[cfg(feature = "jetstream")]
async fn join_cluster(
    config: &MailboxConfig,
    limits: Limits,
) -> Result<Arc<dyn MailboxStore>, Failure> {
    use m2_mailbox::store::{JetStreamOptions, JetStreamStore, LazyStore};
    let options = JetStreamOptions {
        servers: config.nats.clone(),
        prefix: NATS_PREFIX.to_owned(),
        replicas: config.replicas as usize,
    };
    options.check_servers()?;
    let store = LazyStore::start(move || {
        let connecting = JetStreamStore::connect(options.clone(), limits.clone());
        async move { Ok(Arc::new(connecting.await?) as Arc<dyn MailboxStore>) }
    });
    if !store.first_attempt(JOIN_WITHIN).await {
        tracing::warn!("[mailbox] nats: the cluster does not answer; no mailbox until it does");
    }
    Ok(Arc::new(store))
}

#[cfg(not(feature = "jetstream"))]
async fn join_cluster(_: &MailboxConfig, _: Limits) -> Result<Arc<dyn MailboxStore>, Failure> {
    let missing = "[mailbox] nats: this m2d was built without JetStream".to_owned();
    Err(Failure::Usage(missing))
}
