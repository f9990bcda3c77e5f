//! Disk space: the free space, and a reserve that is given up for necessary writes when the disk is
//! full (docs/adr/0014).

#[cfg(unix)]
#[path = "room/unix.rs"]
mod platform;
#[cfg(windows)]
#[path = "room/windows.rs"]
mod platform;

pub(super) use platform::is_writable;

use m2_sqlite::Fault;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// The free bytes without which a store can't be opened: its index of the write-ahead log takes 32 KiB.
const LEAST_FREE: u64 = 64 << 10;
/// The size of the reserve in bytes: the largest write-ahead log after its checkpoint, and the same
/// size for deletions.
const RESERVED: u64 = 8 << 20;

/// The size of a page in bytes.
const PAGE: usize = 4096;

/// The disk space of a store.
#[derive(Debug)]
pub struct Room {
    store: PathBuf,
    reserve: PathBuf,
    is_tight: bool,
}

impl Room {
    /// Returns the space of the store at `path`. Nothing is reserved yet.
    pub fn of(path: &Path) -> Self {
        Self {
            store: path.to_owned(),
            reserve: path.with_extension("reserve"),
            is_tight: false,
        }
    }

    /// Returns whether the reserve was given up and could not be restored. Then only operations
    /// that free space may be stored.
    pub fn is_tight(&self) -> bool {
        self.is_tight
    }

    /// Creates the reserve if it does not exist. Returns whether it exists.
    pub fn keep(&mut self) -> bool {
        let held = reserve(&self.reserve);
        if let Err(error) = &held {
            tracing::debug!(%error, "no room can be reserved");
            let _ = fs::remove_file(&self.reserve);
        }
        self.is_tight = held.is_err_and(|error| is_out_of_room(&error));
        !self.is_tight
    }

    /// Deletes the reserve, so that the store can write operations that free space.
    pub fn release(&mut self) {
        // Without the file there is nothing to release.
        let _ = fs::remove_file(&self.reserve);
        self.is_tight = true;
    }

    /// Returns whether a page can't be written beyond the end of the store's largest file for lack
    /// of space. SQLite reports a quota and a file size limit as disk errors.
    pub fn is_exhausted(&self) -> bool {
        let probe = self.store.with_extension("probe");
        let result = self.write_probe(&probe);
        let _ = fs::remove_file(&probe);
        result.is_err_and(|error| is_out_of_room(&error))
    }

    fn write_probe(&self, path: &Path) -> io::Result<()> {
        let mut log = self.store.clone().into_os_string();
        log.push("-wal");
        let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        let end = length(&self.store).max(length(Path::new(&log)));
        let mut file = create(path)?;
        file.seek(SeekFrom::Start(end))?;
        file.write_all(&[0; PAGE])?;
        file.sync_all()
    }
}

/// Returns whether this number of unused pages in the file has at least the size of the reserve.
pub(super) fn is_enough(pages: u64) -> bool {
    pages.saturating_mul(PAGE as u64) >= RESERVED
}

/// Returns the bytes that the user may still store on the disk of `directory`, or `None` if the
/// system does not report them.
pub fn free_bytes(directory: &Path) -> Option<u64> {
    platform::free_bytes(directory)
}

/// Returns the fault of a store that can't be opened on a disk with this number of free bytes. SQLite
/// reports an I/O error where a full disk has no room for the files that it needs next to the store.
pub(super) fn fault_at_opening(fault: Fault, free: Option<u64>) -> Fault {
    match fault {
        Fault::Io | Fault::Other if free.is_some_and(|free| free < LEAST_FREE) => Fault::Full,
        fault => fault,
    }
}

fn reserve(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|file| file.len() >= RESERVED) {
        return Ok(());
    }
    let file = create(path)?;
    platform::allocate(&file, RESERVED)?;
    file.sync_all()
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn is_out_of_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_at_the_opening_of_a_store_on_a_full_disk_is_told_as_that() {
        for fault in [Fault::Io, Fault::Other] {
            assert_eq!(fault_at_opening(fault, Some(0)), Fault::Full);
            assert_eq!(fault_at_opening(fault, Some(LEAST_FREE)), fault);
            assert_eq!(fault_at_opening(fault, None), fault);
        }
        for fault in [Fault::Damaged, Fault::ReadOnly, Fault::WrongKey] {
            assert_eq!(fault_at_opening(fault, Some(0)), fault);
        }
    }

    #[test]
    fn the_reserve_is_allocated_and_released() {
        let directory = tempfile::tempdir().unwrap();
        let mut room = Room::of(&directory.path().join("store.db"));
        assert!(room.keep() && !room.is_tight());
        let reserve = directory.path().join("store.reserve");
        assert_eq!(fs::metadata(&reserve).unwrap().len(), RESERVED);
        room.release();
        assert!(room.is_tight() && !reserve.exists());
        assert!(room.keep() && !room.is_tight());
        assert!(!room.is_exhausted());
    }
}
