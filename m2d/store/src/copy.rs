//! Consistent copies of the store while the engine continues to write.

use super::{StoreError, StoreFile, letter_secrets};
use m2_backup::private;
use m2_crypto::Secret;
use m2_sqlite::sqlcipher;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// The number of pages copied between two reports: 1 MiB.
const STEP_PAGES: i32 = 256;
const PAGE_BYTES: u64 = 4096;

/// The pause before a step is retried because of a lock, and the maximum number of retries.
const BUSY_WAIT: Duration = Duration::from_millis(10);
const BUSY_TIMES: u32 = 500;

/// The progress of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyProgress {
    /// The bytes copied so far.
    pub copied: u64,
    /// The size of the store in bytes.
    pub total: u64,
}

/// The reason for which a copy ended early.
#[derive(Debug)]
pub enum CopyError {
    /// The caller cancelled it.
    Cancelled,
    /// The store or its copy failed.
    Store(StoreError),
}

impl From<StoreError> for CopyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<rusqlite::Error> for CopyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl StoreFile {
    /// Copies a snapshot of the store to `target`, as one file under the same key, without the keys for
    /// letters (docs/spec/backup.md#making-one). The copy and the writer do not block each other. `report` is called after every step and returns whether to
    /// continue.
    pub fn copy_to(
        &self,
        target: &Path,
        mut report: impl FnMut(CopyProgress) -> bool,
    ) -> Result<(), CopyError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let source = self.connect(flags)?;
        // Without an open transaction each write of the engine would restart the copy.
        source.execute_batch("BEGIN")?;
        source.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()))?;
        drop(private::create(target).map_err(io)?);
        let mut copy = open(target, &self.key)?;
        // An interrupted copy is deleted, so it needs no journal.
        copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
        steps(&Backup::new(&source, &mut copy)?, &mut report)?;
        copy.execute_batch("PRAGMA secure_delete = ON;")?;
        letter_secrets::forget(&copy)?;
        close(copy)?;
        source.execute_batch("COMMIT")?;
        // The header of the copy says that there is a log. Changing the journal mode makes it a
        // single file.
        let copy = open(target, &self.key)?;
        copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
        close(copy)?;
        Ok(())
    }

    /// Returns the key of the store.
    pub fn key(&self) -> &Secret<32> {
        &self.key
    }
}

fn steps(
    backup: &Backup<'_, '_>,
    report: &mut impl FnMut(CopyProgress) -> bool,
) -> Result<(), CopyError> {
    let mut waits = 0;
    loop {
        match backup.step(STEP_PAGES)? {
            StepResult::Done => {
                report(progress(backup));
                return Ok(());
            }
            StepResult::More => waits = 0,
            _ if waits < BUSY_TIMES => {
                waits += 1;
                std::thread::sleep(BUSY_WAIT);
            }
            _ => return Err(failure(ErrorCode::DatabaseBusy).into()),
        }
        if !report(progress(backup)) {
            return Err(CopyError::Cancelled);
        }
    }
}

fn progress(backup: &Backup<'_, '_>) -> CopyProgress {
    let now = backup.progress();
    let pages = |count: i32| u64::try_from(count).unwrap_or(0);
    let total = pages(now.pagecount);
    CopyProgress {
        copied: (total - pages(now.remaining).min(total)) * PAGE_BYTES,
        total: total * PAGE_BYTES,
    }
}

fn open(path: &Path, key: &Secret<32>) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = sqlcipher::open(path, flags)?;
    sqlcipher::unlock(&connection, key)?;
    Ok(connection)
}

fn close(connection: Connection) -> Result<(), rusqlite::Error> {
    connection.close().map_err(|(_, error)| error)
}

fn io(error: std::io::Error) -> rusqlite::Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull => failure(ErrorCode::DiskFull),
        _ => failure(ErrorCode::CannotOpen),
    }
}

fn failure(code: ErrorCode) -> rusqlite::Error {
    let code = match code {
        ErrorCode::DiskFull => rusqlite::ffi::SQLITE_FULL,
        ErrorCode::DatabaseBusy => rusqlite::ffi::SQLITE_BUSY,
        _ => rusqlite::ffi::SQLITE_CANTOPEN,
    };
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::scratch;
    use std::fs;

    #[test]
    fn a_copy_is_a_snapshot_despite_concurrent_writes() {
        let (dir, store) = scratch();
        for number in 0..2_000 {
            store.set_number(&format!("{number:0900}"), 0).unwrap();
        }
        let file = StoreFile::new(dir.path(), Secret::new([7; 32]));
        let target = dir.path().join("copy.part");
        let mut steps = 0;
        file.copy_to(&target, |progress| {
            steps += 1;
            assert!(progress.copied <= progress.total);
            // The engine writes between the steps, also to pages that were already copied.
            store.begin().unwrap();
            store.set_number(&format!("{:0900}", 0), steps).unwrap();
            store.set_number(&format!("{:0900}", 1_999), steps).unwrap();
            store.commit().unwrap();
            true
        })
        .unwrap();
        assert!(steps > 1, "one step proves nothing");
        assert!(!dir.path().join("copy.part-wal").exists());

        let elsewhere = tempfile::tempdir().unwrap();
        fs::copy(&target, elsewhere.path().join("store.db")).unwrap();
        let copy = StoreFile::new(elsewhere.path(), Secret::new([7; 32]));
        let copy = copy.open().unwrap();
        for number in [0, 1_999] {
            assert_eq!(copy.number(&format!("{number:0900}")).unwrap(), Some(0));
        }
        assert_eq!(store.number(&format!("{:0900}", 0)).unwrap(), Some(steps));
    }

    #[test]
    fn a_copy_can_be_cancelled_and_needs_the_key() {
        let (dir, store) = scratch();
        let file = StoreFile::new(dir.path(), Secret::new([7; 32]));
        let target = dir.path().join("copy.part");
        for number in 0..600 {
            store.set_number(&format!("{number:04000}"), 0).unwrap();
        }
        let cancelled = file.copy_to(&target, |_| false);
        assert!(matches!(cancelled, Err(CopyError::Cancelled)));
        file.copy_to(&target, |_| true).unwrap();
        assert!(m2_backup::check_store(&target, &Secret::new([7; 32])).is_ok());
        assert!(m2_backup::check_store(&target, &Secret::new([8; 32])).is_err());
    }
}
