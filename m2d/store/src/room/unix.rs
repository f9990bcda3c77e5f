//! Disk space and permissions by POSIX.

use rustix::fs::{Access, FallocateFlags, access, fallocate, statvfs};
use std::fs::File;
use std::io;
use std::path::Path;

/// Returns the bytes that the user may still store on the disk of a directory, or `None` if the system
/// does not report them.
pub(super) fn free_bytes(directory: &Path) -> Option<u64> {
    let disk = statvfs(directory).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// Gives a file this size with room on the disk.
pub(super) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    Ok(fallocate(file, FallocateFlags::empty(), 0, bytes)?)
}

/// Returns whether this process may write a file or create files in a directory.
pub(crate) fn is_writable(path: &Path) -> bool {
    access(path, Access::WRITE_OK).is_ok()
}
