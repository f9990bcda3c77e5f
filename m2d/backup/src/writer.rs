//! Writes a backup: header, contents and store, in sealed chunks.

use crate::FileError;
use m2_crypto::backup::{CHUNK_BYTES, Contents, Header, Sealer, TAG_BYTES};
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// Writes one backup.
pub struct BackupWriter<W> {
    out: W,
    sealer: Sealer,
    chunk: Zeroizing<Vec<u8>>,
}

impl<W: Write> BackupWriter<W> {
    /// Starts a backup by writing its header.
    pub fn new(mut out: W, header: &Header, sealer: Sealer) -> Result<Self, FileError> {
        let written = out.write_all(&header.to_bytes());
        written.map_err(FileError::io("write the backup"))?;
        Ok(Self {
            out,
            sealer,
            chunk: Zeroizing::new(Vec::with_capacity(CHUNK_BYTES + TAG_BYTES)),
        })
    }

    /// Writes contents and store, and returns the underlying writer. `store` must yield the number
    /// of bytes that `contents` states.
    pub fn finish(mut self, contents: &Contents, mut store: impl Read) -> Result<W, FileError> {
        self.add(&contents.encode()?)?;
        let mut left = contents.store_bytes;
        let mut buffer = vec![0; CHUNK_BYTES];
        while left > 0 {
            let wanted = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let part = buffer.get_mut(..wanted).unwrap_or_default();
            store
                .read_exact(part)
                .map_err(FileError::io("read the copy of the store"))?;
            self.add(part)?;
            left -= wanted as u64;
        }
        self.flush(true)?;
        Ok(self.out)
    }

    /// Seals a chunk only once more data follows, as the last chunk is sealed differently.
    fn add(&mut self, mut bytes: &[u8]) -> Result<(), FileError> {
        while !bytes.is_empty() {
            if self.chunk.len() == CHUNK_BYTES {
                self.flush(false)?;
            }
            let room = CHUNK_BYTES - self.chunk.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn flush(&mut self, is_last: bool) -> Result<(), FileError> {
        self.sealer.seal(&mut self.chunk, is_last)?;
        let written = self.out.write_all(&self.chunk);
        written.map_err(FileError::io("write the backup"))?;
        self.chunk.clear();
        Ok(())
    }
}
