//! The stream of a backup's bytes to the caller: ordered, bounded, and no faster than the caller
//! reads.

use m2_backup::Contents;
use m2_engine::Refusal;
use m2_store::CopyProgress;
use sha2::{Digest, Sha256};
use std::io::{self, ErrorKind, Write};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The maximum bytes of one part. A gRPC message of this size is accepted under the default limit.
const PART_BYTES: usize = 256 * 1024;
/// The number of queued parts. The backup blocks when the queue is full.
const QUEUE: usize = 4;

/// A part of a backup.
#[derive(Debug)]
pub enum Part {
    /// The progress of the copy.
    Progress(CopyProgress),
    /// The next bytes of the file.
    Bytes(Vec<u8>),
    /// The file is complete.
    Finished(Finished),
}

/// A complete backup.
#[derive(Debug)]
pub struct Finished {
    /// The description of the content.
    pub contents: Contents,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
}

/// The receiver of a backup's parts. The last part is [`Part::Finished`] or an error.
pub type Parts = mpsc::Receiver<Result<Part, Refusal>>;

/// The sending side, used by the thread that makes the backup.
pub(super) struct Output {
    parts: mpsc::Sender<Result<Part, Refusal>>,
    stop: CancellationToken,
    chunk: Vec<u8>,
    hash: Sha256,
    bytes: u64,
}

pub(super) fn channel(stop: CancellationToken) -> (Output, Parts) {
    let (parts, receiver) = mpsc::channel(QUEUE);
    let output = Output {
        parts,
        stop,
        chunk: Vec::with_capacity(PART_BYTES),
        hash: Sha256::new(),
        bytes: 0,
    };
    (output, receiver)
}

impl Output {
    /// Reports progress unless the queue is full. Returns whether the caller is still there.
    pub(super) fn progress(&self, progress: CopyProgress) -> bool {
        // A report that finds no room is superseded by the next one.
        let _ = self.parts.try_send(Ok(Part::Progress(progress)));
        !self.is_gone()
    }

    /// Returns whether the caller has left or the daemon is stopping.
    pub(super) fn is_gone(&self) -> bool {
        self.parts.is_closed() || self.stop.is_cancelled()
    }

    /// Sends the buffered bytes as a part.
    pub(super) fn flush_chunk(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::replace(&mut self.chunk, Vec::with_capacity(PART_BYTES));
        let gone = || io::Error::from(ErrorKind::BrokenPipe);
        if self.stop.is_cancelled() {
            return Err(gone());
        }
        let sent = self.parts.blocking_send(Ok(Part::Bytes(bytes)));
        sent.map_err(|_| gone())
    }

    pub(super) fn finished(&mut self, contents: &Contents) -> Finished {
        Finished {
            contents: contents.clone(),
            bytes: self.bytes,
            sha256: self.hash.finalize_reset().into(),
        }
    }

    /// Sends the last part: the result of the backup.
    pub(super) fn end(self, result: Result<Finished, Refusal>) {
        // If the caller has left, there is no receiver for it.
        let _ = self.parts.blocking_send(result.map(Part::Finished));
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() >= PART_BYTES {
            self.flush_chunk()?;
        }
        let (now, _) = bytes.split_at(bytes.len().min(PART_BYTES - self.chunk.len()));
        self.hash.update(now);
        self.chunk.extend_from_slice(now);
        self.bytes += now.len() as u64;
        Ok(now.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_chunk()
    }
}
