//! A pool of read-only store connections, used on blocking threads.

use super::pages::Pages;
use m2_engine::Refusal;
use m2_proto::reason::Reason;
use m2_store::{Reader, StoreError, StoreFile};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// The number of connections, which is the maximum of concurrent reads.
const READERS: u32 = 2;

/// The pool of readers. Each is opened on first use.
#[derive(Clone)]
pub struct Readers {
    file: StoreFile,
    idle: Arc<Mutex<Vec<Reader>>>,
    permits: Arc<Semaphore>,
    /// The permits for lists, held until front-ends have read them.
    pub(super) pages: Pages,
}

impl Readers {
    /// Returns readers of one store.
    pub fn new(file: StoreFile) -> Self {
        Self {
            file,
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(READERS as usize)),
            pages: Pages::default(),
        }
    }

    /// Returns the store that they read.
    pub fn store(&self) -> &StoreFile {
        &self.file
    }

    /// Runs `read` on a blocking thread.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Refusal::new(Reason::Stopping))?;
        let readers = self.clone();
        let result = tokio::task::spawn_blocking(move || {
            let result = readers.read_blocking(read);
            drop(permit);
            result
        });
        let result = result.await.map_err(|_| Refusal::new(Reason::Stopping))?;
        result.map_err(|error| {
            tracing::debug!(%error, "a read failed");
            self.file.health().read_failed(error.fault());
            Refusal::from(error)
        })
    }

    /// Closes all connections and opens no more. Waits at most `limit` for running reads.
    pub async fn close(&self, limit: Duration) {
        let all = self.permits.acquire_many(READERS);
        if let Ok(Ok(all)) = tokio::time::timeout(limit, all).await {
            all.forget();
        }
        self.permits.close();
        self.idle().clear();
    }

    fn read_blocking<T>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let reader = self.take()?;
        let result = read(&reader);
        // A connection that has read a damaged page returns errors from then on, so it is dropped.
        if result.is_ok() {
            self.idle().push(reader);
        }
        result
    }

    fn take(&self) -> Result<Reader, StoreError> {
        let idle = self.idle().pop();
        idle.map_or_else(|| self.file.open_reader(), Ok)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
