//! Opens a backup and extracts its store.

use crate::store::check_store;
use crate::{FileError, StoreFacts, private};
use m2_crypto::backup::{
    BackupError, CHUNK_BYTES, CONTENTS_LENGTH_BYTES, Contents, Header, HeaderStart, Lock, Opener,
    TAG_BYTES,
};
use m2_crypto::provider;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// A backup whose header was read.
pub struct LockedBackup<R> {
    file: R,
    header: Header,
}

/// An unlocked backup, positioned at its store.
pub struct BackupReader<R> {
    contents: Contents,
    chunks: Chunks<R>,
}

/// Opens `file` with a passphrase and checks all of it, including the store. The store is extracted
/// to `scratch`, still encrypted, and removed before this returns.
pub fn verify(file: &Path, passphrase: &[u8], scratch: &Path) -> Result<Contents, FileError> {
    let mut backup = LockedBackup::open(file)?.unlock(passphrase)?;
    let _removed = private::Temporary(scratch);
    backup.extract(scratch)?;
    Ok(backup.contents)
}

impl LockedBackup<BufReader<File>> {
    /// Opens a file and reads the header.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let file = File::open(path).map_err(FileError::io("open the backup"))?;
        Self::read(BufReader::with_capacity(CHUNK_BYTES, file))
    }
}

impl<R: Read> LockedBackup<R> {
    /// Reads the header.
    pub fn read(mut file: R) -> Result<Self, FileError> {
        let mut start = [0; HeaderStart::BYTES];
        let length = fill(&mut file, &mut start)?;
        let start = HeaderStart::parse(start.get(..length).unwrap_or_default())?;
        let mut rest = vec![0; start.rest_bytes()];
        let length = fill(&mut file, &mut rest)?;
        rest.truncate(length);
        let header = start.finish(&rest)?;
        Ok(Self { file, header })
    }

    /// Returns how the backup is unlocked.
    pub fn lock(&self) -> &Lock {
        self.header.lock()
    }

    /// Unlocks the backup with the passphrase that [`Self::lock`] names.
    pub fn unlock(self, passphrase: &[u8]) -> Result<BackupReader<R>, FileError> {
        let opener = self.header.open(passphrase, provider::default())?;
        let mut chunks = Chunks {
            file: self.file,
            opener,
            ahead: Vec::new(),
            chunk: Zeroizing::new(Vec::new()),
            at: 0,
            ended: false,
        };
        let mut length = [0; CONTENTS_LENGTH_BYTES];
        chunks.take(&mut length)?;
        let mut bytes = Zeroizing::new(vec![0; Contents::parse_length(length)?]);
        chunks.take(&mut bytes)?;
        let contents = Contents::parse(&bytes)?;
        Ok(BackupReader { contents, chunks })
    }
}

impl<R: Read> BackupReader<R> {
    /// Returns the contents as stated by the daemon that made the backup.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Extracts the store to `target`, flushes it, and checks it: every page, its structure, and
    /// the counts that the contents state.
    ///
    /// Errors: [`BackupError::Damaged`] if data follows the store.
    pub fn extract(&mut self, target: &Path) -> Result<StoreFacts, FileError> {
        let doing = "write the store of the backup";
        let mut file = private::create(target).map_err(FileError::io(doing))?;
        let mut left = self.contents.store_bytes;
        while left > 0 {
            let part = self.chunks.some(left)?;
            file.write_all(part).map_err(FileError::io(doing))?;
            left -= part.len() as u64;
        }
        self.chunks.end()?;
        file.sync_all().map_err(FileError::io(doing))?;
        drop(file);
        let facts = check_store(target, &self.contents.store_key)?;
        self.compare("contacts", facts.contacts, self.contents.contacts)?;
        self.compare("messages", facts.messages, self.contents.messages)?;
        Ok(facts)
    }

    fn compare(&self, what: &'static str, found: u64, stated: u64) -> Result<(), FileError> {
        if found == stated {
            return Ok(());
        }
        Err(FileError::Counts {
            what,
            found,
            stated,
        })
    }
}

/// The chunks of a file, opened in order.
struct Chunks<R> {
    file: R,
    opener: Opener,
    /// The byte after the last chunk that was read, which shows that another chunk follows.
    ahead: Vec<u8>,
    chunk: Zeroizing<Vec<u8>>,
    at: usize,
    ended: bool,
}

impl<R: Read> Chunks<R> {
    /// Fills `target`. Fails if the file ends first.
    fn take(&mut self, target: &mut [u8]) -> Result<(), FileError> {
        let mut at = 0;
        while let Some(rest) = target.get_mut(at..)
            && !rest.is_empty()
        {
            let part = self.some(rest.len() as u64)?;
            for (to, from) in rest.iter_mut().zip(part) {
                *to = *from;
            }
            at += part.len();
        }
        Ok(())
    }

    /// Returns at least one and at most `most` bytes.
    fn some(&mut self, most: u64) -> Result<&[u8], FileError> {
        if self.at >= self.chunk.len() {
            self.next()?;
        }
        let from = self.at;
        let left = self.chunk.len() - from;
        let count = usize::try_from(most).map_or(left, |most| most.min(left));
        self.at += count;
        Ok(self.chunk.get(from..from + count).unwrap_or_default())
    }

    fn next(&mut self) -> Result<(), FileError> {
        if self.ended {
            return Err(BackupError::Damaged.into());
        }
        self.chunk.clear();
        self.chunk.append(&mut self.ahead);
        let wanted = CHUNK_BYTES + TAG_BYTES + 1;
        let missing = wanted - self.chunk.len();
        let read = self.file.by_ref().take(missing as u64);
        let read = { read }.read_to_end(&mut self.chunk);
        read.map_err(FileError::io("read the backup"))?;
        self.ended = self.chunk.len() < wanted;
        if !self.ended {
            self.ahead = self.chunk.split_off(wanted - 1);
        }
        self.at = 0;
        self.opener.open(&mut self.chunk, self.ended)?;
        Ok(())
    }

    /// Fails if data follows.
    fn end(&mut self) -> Result<(), FileError> {
        if self.ended && self.at == self.chunk.len() {
            return Ok(());
        }
        Err(BackupError::Damaged.into())
    }
}

/// Reads until `target` is full or the file ends. Returns the number of bytes read.
fn fill(file: &mut impl Read, target: &mut [u8]) -> Result<usize, FileError> {
    let mut length = 0;
    while let Some(rest) = target.get_mut(length..)
        && !rest.is_empty()
    {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FileError::io("read the backup")(error)),
        }
    }
    Ok(length)
}

/// Returns the SHA-256 of a file.
pub fn sha256(path: &Path) -> Result<[u8; 32], FileError> {
    let mut file = File::open(path).map_err(FileError::io("open the backup"))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let length = fill(&mut file, &mut buffer)?;
        hash.update(buffer.get(..length).unwrap_or_default());
        if length < buffer.len() {
            return Ok(hash.finalize().into());
        }
    }
}
