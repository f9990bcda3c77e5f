//! The file in which the journal is stored.

use crate::bridge::Record;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The most bytes of the file: far more than its entries need.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads the journal. A file that is missing is an empty journal.
///
/// Errors: the file can't be read, or is malformed.
pub(crate) fn read(path: &Path) -> io::Result<Vec<Record>> {
    let length = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    if length > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long"));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Replaces the journal. Returns when that is durable.
///
/// Errors: those of the system. The earlier journal is still there.
pub(crate) fn write(path: &Path, records: &[Record]) -> io::Result<()> {
    let directory = directory(path);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)?;
    let new = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(&serde_json::to_vec(records)?)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(&directory)?.sync_all()
}

fn directory(path: &Path) -> PathBuf {
    path.parent().map(Path::to_path_buf).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/m2-mqtt.json");
        assert_eq!(read(&path).unwrap(), []);
        let records = [Record {
            packet: 7,
            key: "k".to_owned(),
            digest: "d".to_owned(),
        }];
        write(&path, &records).unwrap();
        write(&path, &records).unwrap();
        assert_eq!(read(&path).unwrap(), records);
        fs::write(&path, "{").unwrap();
        assert!(read(&path).is_err());
    }
}
