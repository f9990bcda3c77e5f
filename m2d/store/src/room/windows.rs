//! Disk space and permissions on Windows.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Returns the bytes that the user may still store on the disk of a directory, or `None` if the system
/// does not report them.
pub(super) fn free_bytes(directory: &Path) -> Option<u64> {
    m2_windows::directory::free_bytes(directory)
}

/// Gives a file this size with room on the disk: NTFS allocates it, unless the file is sparse.
pub(super) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    file.set_len(bytes)
}

/// Returns whether this process may write a file. A directory can't be opened for writing; the first write
/// in it shows whether files can be created.
pub(crate) fn is_writable(path: &Path) -> bool {
    path.is_dir() || OpenOptions::new().write(true).open(path).is_ok()
}
