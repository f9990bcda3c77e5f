//! The replay log as an append-only file.
//!
//! Layout: an 8-byte magic, the 32-byte key of the tags, then records of 24 bytes: tag (16), Unix
//! seconds (4, big-endian), check (4: the first bytes of a hash over the other 20 and the key). A
//! record whose check is wrong, as after a crash, is skipped.

use crate::replay::{ReplayLog, ReplayRecord};
use m2_crypto::{Secret, label};
use rand_core::UnwrapErr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"m2rply01";
const HEADER_BYTES: usize = MAGIC.len() + 32;
const RECORD_BYTES: usize = 24;
/// The maximum file size in bytes: anything beyond it was not written by this module and is not
/// read.
const MAX_FILE_BYTES: u64 = 64 << 20;
/// The number of records beyond twice the live ones that triggers a rewrite.
const SLACK_RECORDS: usize = 4096;
/// The number of appended records after which the file is synced.
const SYNC_EVERY: usize = 64;

/// A file that remembers accepted attempts over restarts, with one small write for each.
#[derive(Debug)]
pub struct ReplayFile {
    path: PathBuf,
    file: File,
    key: Secret<32>,
    /// Records in the file, live or expired.
    written: usize,
    unsynced: usize,
}

impl ReplayFile {
    /// Opens or creates the file, readable by its owner only. A file with another header is
    /// replaced, which is no worse than having no file.
    ///
    /// Errors: those of the file system.
    pub fn open(path: &Path) -> io::Result<Self> {
        let existing = open_private(path)?;
        let (file, key) = match read_key(&existing)? {
            Some(key) => (existing, key),
            None => {
                let key = Secret::random(&mut UnwrapErr(getrandom::SysRng));
                (replace(path, &key, &mut std::iter::empty())?, key)
            }
        };
        let written = records_in(file.metadata()?.len());
        Ok(Self {
            path: path.to_owned(),
            file,
            key,
            written,
            unsynced: 0,
        })
    }
}

impl ReplayLog for ReplayFile {
    fn load(&mut self) -> io::Result<(Secret<32>, Vec<ReplayRecord>)> {
        let mut bytes = Vec::new();
        File::open(&self.path)?
            .take(MAX_FILE_BYTES)
            .read_to_end(&mut bytes)?;
        let records: Vec<_> = bytes
            .get(HEADER_BYTES..)
            .unwrap_or_default()
            .chunks_exact(RECORD_BYTES)
            .filter_map(|record| decode(&self.key, record))
            .collect();
        self.written = records_in(bytes.len() as u64);
        // A tail cut off by a crash would shift every later record.
        let whole = length(self.written);
        if whole < bytes.len() as u64 {
            self.file.set_len(whole)?;
        }
        Ok((self.key.clone(), records))
    }

    fn append(&mut self, record: &ReplayRecord) -> io::Result<()> {
        if let Err(error) = self.file.write_all(&encode(&self.key, record)) {
            // A partial record would shift every later one.
            self.file.set_len(length(self.written))?;
            return Err(error);
        }
        self.written += 1;
        self.unsynced += 1;
        if self.unsynced >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.unsynced > 0 {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    fn compact(&mut self, live: &mut dyn ExactSizeIterator<Item = ReplayRecord>) -> io::Result<()> {
        let live_records = live.len();
        if self.written <= live_records.saturating_mul(2).saturating_add(SLACK_RECORDS) {
            return Ok(());
        }
        self.file = replace(&self.path, &self.key, live)?;
        self.written = live_records;
        self.unsynced = 0;
        Ok(())
    }
}

impl Drop for ReplayFile {
    fn drop(&mut self) {
        // The error can't be reported here; a kill loses nothing either way.
        let _ = self.sync();
    }
}

/// Returns the number of whole records in a file of `bytes` bytes.
fn records_in(bytes: u64) -> usize {
    let records = bytes.saturating_sub(HEADER_BYTES as u64) / RECORD_BYTES as u64;
    usize::try_from(records).unwrap_or(usize::MAX)
}

/// Returns the length in bytes of a file with `records` records.
const fn length(records: usize) -> u64 {
    (HEADER_BYTES as u64).saturating_add((records as u64).saturating_mul(RECORD_BYTES as u64))
}

fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

fn read_key(mut file: &File) -> io::Result<Option<Secret<32>>> {
    let mut header = [0; HEADER_BYTES];
    match file.read_exact(&mut header) {
        Ok(()) => Ok(header.strip_prefix(MAGIC).and_then(Secret::from_slice)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a new file next to the old one and renames it over that one.
fn replace(
    path: &Path,
    key: &Secret<32>,
    records: &mut dyn Iterator<Item = ReplayRecord>,
) -> io::Result<File> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(key.expose());
    for record in records {
        bytes.extend_from_slice(&encode(key, &record));
    }
    let mut file = open_private(&beside)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    Ok(file)
}

fn encode(key: &Secret<32>, record: &ReplayRecord) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    let (tag, rest) = bytes.split_at_mut(16);
    let (seconds, check) = rest.split_at_mut(4);
    tag.copy_from_slice(&record.tag);
    // 32 bits of seconds last until 2106; the format's magic carries a version.
    let seen = u32::try_from(record.seen_s).unwrap_or(u32::MAX);
    seconds.copy_from_slice(&seen.to_be_bytes());
    check.copy_from_slice(&checksum(key, tag, seconds));
    bytes
}

fn decode(key: &Secret<32>, bytes: &[u8]) -> Option<ReplayRecord> {
    let (tag, rest) = bytes.split_first_chunk::<16>()?;
    let (seconds, check) = rest.split_first_chunk::<4>()?;
    (check == checksum(key, tag, seconds)).then_some(ReplayRecord {
        tag: *tag,
        seen_s: u64::from(u32::from_be_bytes(*seconds)),
    })
}

fn checksum(key: &Secret<32>, tag: &[u8], seconds: &[u8]) -> [u8; 4] {
    let [a, b, c, d, ..] = label::mac(key.expose(), "replay record", &[tag, seconds]);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: u8) -> ReplayRecord {
        ReplayRecord {
            tag: [number; 16],
            seen_s: 1_800_000_000 + u64::from(number),
        }
    }

    fn reload(path: &Path) -> (Secret<32>, Vec<ReplayRecord>) {
        ReplayFile::open(path).unwrap().load().unwrap()
    }

    #[test]
    fn appended_records_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("replay");
        let mut file = ReplayFile::open(&path).unwrap();
        let (key, records) = file.load().unwrap();
        assert!(records.is_empty());
        file.append(&record(1)).unwrap();
        file.append(&record(2)).unwrap();
        // Not dropped, as after a kill.
        assert_eq!(reload(&path), (key, vec![record(1), record(2)]));
    }

    #[test]
    fn a_broken_tail_or_record_costs_only_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("replay");
        let mut file = ReplayFile::open(&path).unwrap();
        for number in 1..4 {
            file.append(&record(number)).unwrap();
        }
        drop(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[HEADER_BYTES + RECORD_BYTES + 3] ^= 1;
        bytes.extend_from_slice(&[7; 11]);
        fs::write(&path, bytes).unwrap();
        let mut file = ReplayFile::open(&path).unwrap();
        assert_eq!(file.load().unwrap().1, [record(1), record(3)]);
        file.append(&record(4)).unwrap();
        assert_eq!(reload(&path).1, [record(1), record(3), record(4)]);
    }

    #[test]
    fn a_foreign_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("replay");
        fs::write(&path, vec![5; 500]).unwrap();
        assert!(reload(&path).1.is_empty());
        let first = reload(&path).0;
        assert_eq!(first, reload(&path).0);
    }

    #[test]
    fn a_rewrite_keeps_the_live_records() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("replay");
        let mut file = ReplayFile::open(&path).unwrap();
        for _ in 0..=SLACK_RECORDS + 2 {
            file.append(&record(1)).unwrap();
        }
        file.compact(&mut [record(7)].into_iter()).unwrap();
        file.append(&record(8)).unwrap();
        assert_eq!(reload(&path).1, [record(7), record(8)]);
        assert!(fs::metadata(&path).unwrap().len() < 200);
    }
}
