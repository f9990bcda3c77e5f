//! A log file of bounded size, for a daemon without a standard error.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The size in bytes at which the file is renamed and a new one begins.
const LARGEST: u64 = 4 << 20;

/// The extension of the file from before.
const OLD_EXTENSION: &str = "log.old";

/// A log file. Together with the one from before it takes at most twice `LARGEST` and a line.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
}

impl LogFile {
    /// Opens the file at its end. A file that can't be opened is tried again at each line.
    pub(super) fn open(path: &Path) -> Self {
        let mut opened = Self {
            path: path.to_owned(),
            file: None,
            bytes: 0,
        };
        // The caller has no other place to report the error.
        let _ = opened.reopen();
        opened
    }

    fn reopen(&mut self) -> io::Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        self.bytes = file.metadata()?.len();
        self.file = Some(file);
        Ok(())
    }

    /// Begins a new file if this one is full. A file that can't be renamed is continued.
    fn turn(&mut self) -> io::Result<()> {
        if self.file.is_some() && self.bytes < LARGEST {
            return Ok(());
        }
        if self.file.take().is_some() {
            let _ = fs::rename(&self.path, self.path.with_extension(OLD_EXTENSION));
        }
        self.reopen()
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.turn()?;
        let Some(file) = &mut self.file else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let written = file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_renamed_and_the_log_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m2d.log");
        fs::write(&path, "before\n").unwrap();
        let mut log = LogFile::open(&path);
        log.write_all(b"first\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "before\nfirst\n");
        log.bytes = LARGEST;
        log.write_all(b"second\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second\n");
        let old = fs::read_to_string(dir.path().join("m2d.log.old")).unwrap();
        assert_eq!(old, "before\nfirst\n");
    }
}
