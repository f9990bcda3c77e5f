//! A few store connections that only read, used off the reactor.

use super::pages::Pages;
use crate::refusal::Refusal;
use crate::store::{Reader, StoreError, StoreFile};
use m2_proto::reason::Reason;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Connections, and so reads at once.
const READERS: usize = 2;

/// Hands out readers, opened at their first use.
#[derive(Clone)]
pub struct Readers {
    file: StoreFile,
    idle: Arc<Mutex<Vec<Reader>>>,
    permits: Arc<Semaphore>,
    /// What lists hold until front-ends have read it.
    pub(super) pages: Pages,
}

impl Readers {
    /// Readers of one store.
    pub fn new(file: StoreFile) -> Self {
        Self {
            file,
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(READERS)),
            pages: Pages::default(),
        }
    }

    /// Runs `read` on a thread that may block.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let stopping = |_| Refusal::new(Reason::Stopping);
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Refusal::new(Reason::Stopping))?;
        let readers = self.clone();
        let result = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let reader = readers.take()?;
            let result = read(&reader);
            readers.idle().push(reader);
            result
        });
        result.await.map_err(stopping)?.map_err(|error| {
            tracing::warn!(%error, "a read failed");
            // Nothing was written: only this call fails.
            Refusal::new(Reason::Internal)
        })
    }

    fn take(&self) -> Result<Reader, StoreError> {
        let idle = self.idle().pop();
        idle.map_or_else(|| self.file.open_reader(), Ok)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
