//! A store that may not be reachable yet: the cluster behind it may be reached later while the
//! daemon runs.

use super::arrival_notifier::ArrivalNotifier;
use super::{
    Answer, Arrivals, Cursor, Deposit, Deposited, MailboxError, MailboxStore, Page, Registered,
    Totals,
};
use m2_crypto::PeerId;
use m2_crypto::deposit::{BoxKey, DepositNonce};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The pause between two attempts to reach the store.
const PAUSE: Duration = Duration::from_secs(1);

type Slot = Arc<OnceLock<Arc<dyn MailboxStore>>>;

/// A store that is unavailable until it is reached, and then forwards to the reached one.
pub struct LazyStore {
    store: Slot,
    /// The number of completed attempts.
    attempts: watch::Receiver<u64>,
    task: JoinHandle<()>,
    /// Serves owners that subscribe before the store is reached. It never rings.
    arrival_notifier: ArrivalNotifier,
}

impl LazyStore {
    /// Calls `reach` until it succeeds, or until this is dropped.
    pub fn start<F, R>(reach: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<Arc<dyn MailboxStore>, MailboxError>> + Send + 'static,
    {
        let (store, (sender, attempts)) = (Slot::default(), watch::channel(0));
        let task = tokio::spawn(try_until_reached(reach, Arc::clone(&store), sender));
        Self {
            store,
            attempts,
            task,
            arrival_notifier: ArrivalNotifier::default(),
        }
    }

    /// Waits until the first attempt has ended, but at most for `most`. Returns whether the store
    /// was reached.
    pub async fn first_attempt(&self, most: Duration) -> bool {
        let mut attempts = self.attempts.clone();
        let ended = attempts.wait_for(|count| *count > 0);
        // Only the state of the store matters here.
        let _ = timeout(most, ended).await;
        self.is_reached()
    }

    fn via<'a, T: Send + 'a>(
        &'a self,
        call: impl FnOnce(&'a dyn MailboxStore) -> Answer<'a, T>,
    ) -> Answer<'a, T> {
        match self.store.get() {
            Some(store) => call(&**store),
            None => {
                let text = "it was not reached yet".to_owned();
                let refused = Err(MailboxError::Unavailable(text));
                Box::pin(std::future::ready(refused))
            }
        }
    }
}

async fn try_until_reached<F, R>(reach: F, slot: Slot, attempts: watch::Sender<u64>)
where
    F: Fn() -> R,
    R: Future<Output = Result<Arc<dyn MailboxStore>, MailboxError>>,
{
    loop {
        let reached = reach().await;
        match reached {
            Ok(store) => {
                // No other task sets it.
                let _ = slot.set(store);
                attempts.send_modify(|count| *count += 1);
                tracing::info!("the mailboxes' store is there");
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "the mailboxes' store is not there yet");
                attempts.send_modify(|count| *count += 1);
                sleep(PAUSE).await;
            }
        }
    }
}

impl Drop for LazyStore {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl MailboxStore for LazyStore {
    fn is_reached(&self) -> bool {
        self.store.get().is_some()
    }

    fn register_box(&self, owner: PeerId, key: BoxKey) -> Answer<'_, Registered> {
        self.via(|store| store.register_box(owner, key))
    }

    fn set_key(&self, owner: PeerId, key: BoxKey) -> Answer<'_, bool> {
        self.via(|store| store.set_key(owner, key))
    }

    fn remove_box(&self, owner: PeerId) -> Answer<'_, bool> {
        self.via(|store| store.remove_box(owner))
    }

    fn has_box(&self, owner: PeerId) -> Answer<'_, bool> {
        self.via(|store| store.has_box(owner))
    }

    fn deposit(&self, deposit: Deposit, now_ms: u64) -> Answer<'_, Deposited> {
        self.via(|store| store.deposit(deposit, now_ms))
    }

    fn letters(
        &self,
        owner: PeerId,
        after: Option<Cursor>,
        limit_bytes: usize,
    ) -> Answer<'_, Page> {
        self.via(|store| store.letters(owner, after, limit_bytes))
    }

    fn take(&self, owner: PeerId, nonces: Vec<DepositNonce>) -> Answer<'_, ()> {
        self.via(|store| store.take(owner, nonces))
    }

    fn purge(&self, now_ms: u64, budget: usize) -> Answer<'_, usize> {
        self.via(|store| store.purge(now_ms, budget))
    }

    fn sweep(&self) -> Answer<'_, bool> {
        self.via(|store| store.sweep())
    }

    fn totals(&self) -> Answer<'_, Totals> {
        self.via(|store| store.totals())
    }

    fn subscribe(&self, owner: PeerId) -> Arrivals {
        match self.store.get() {
            Some(store) => store.subscribe(owner),
            None => self.arrival_notifier.subscribe(owner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EmbeddedStore, Limits};
    use m2_crypto::Secret;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn calls_fail_as_unavailable_until_the_store_is_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let tries = AtomicU32::new(0);
        let lazy = LazyStore::start(move || {
            let reached = tries.fetch_add(1, Ordering::Relaxed) == 2;
            let path = path.clone();
            async move {
                if !reached {
                    return Err(MailboxError::Unavailable("not yet".to_owned()));
                }
                let store = EmbeddedStore::open(&path, None, Limits::default())?;
                Ok(Arc::new(store) as Arc<dyn MailboxStore>)
            }
        });
        let owner = PeerId::from_bytes([1; 32]);
        assert!(!lazy.first_attempt(Duration::from_secs(5)).await);
        let key = || BoxKey::new(Secret::new([2; 32]));
        let early = lazy.register_box(owner, key()).await;
        assert!(matches!(early, Err(MailboxError::Unavailable(_))));
        while !lazy.is_reached() {
            sleep(Duration::from_millis(100)).await;
        }
        let made = lazy.register_box(owner, key()).await.unwrap();
        assert_eq!(made, Registered::New);
        assert!(lazy.has_box(owner).await.unwrap());
    }
}
