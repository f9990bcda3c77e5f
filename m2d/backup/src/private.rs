//! New files that only the user can read.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

/// Creates a file with mode 0600. An existing file is left over from an earlier run and is removed
/// first.
pub fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Flushes the directory of a file, so that the file's name survives a power loss.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if directory.as_os_str().is_empty() => sync_entries(Path::new(".")),
        Some(directory) => sync_entries(directory),
        None => Ok(()),
    }
}

/// Flushes the entries of a directory.
#[cfg(unix)]
pub fn sync_entries(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Does nothing: NTFS writes changes of directories to its journal in order, and gives no program a way to
/// flush them.
#[cfg(windows)]
#[allow(clippy::unnecessary_wraps, reason = "other systems return an error")]
pub fn sync_entries(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Removes a file when dropped.
#[derive(Debug)]
pub struct Temporary<'a>(pub &'a Path);

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.0);
    }
}
