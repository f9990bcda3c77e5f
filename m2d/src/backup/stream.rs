//! The bytes of a backup on their way to the caller: in order, bounded, and only as fast as the
//! caller takes them.

use crate::refusal::Refusal;
use crate::store::CopyProgress;
use m2_backup::Contents;
use sha2::{Digest, Sha256};
use std::io::{self, ErrorKind, Write};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bytes of one part. A gRPC message of this size is read without a higher limit.
const PART_BYTES: usize = 256 * 1024;
/// Parts that wait for a slow caller. The backup waits when there are more.
const QUEUE: usize = 4;

/// A part of what a caller gets.
#[derive(Debug)]
pub enum Part {
    /// How far the copy has come.
    Progress(CopyProgress),
    /// The next bytes of the file.
    Bytes(Vec<u8>),
    /// The file is complete.
    Finished(Finished),
}

/// A complete backup.
#[derive(Debug)]
pub struct Finished {
    /// What is inside.
    pub contents: Contents,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
}

/// The parts of a backup as they are made. The last is [`Part::Finished`], or an error.
pub type Parts = mpsc::Receiver<Result<Part, Refusal>>;

/// Where the thread that makes a backup puts it.
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
    /// Reports progress if the caller keeps up. Returns whether there is still a caller.
    pub(super) fn progress(&self, progress: CopyProgress) -> bool {
        // A report that finds no room is superseded by the next one.
        let _ = self.parts.try_send(Ok(Part::Progress(progress)));
        !self.is_gone()
    }

    /// Whether nobody takes the backup any more: the caller left, or the daemon stops.
    pub(super) fn is_gone(&self) -> bool {
        self.parts.is_closed() || self.stop.is_cancelled()
    }

    /// Sends what is left.
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

    /// Sends the end, good or bad.
    pub(super) fn end(self, result: Result<Finished, Refusal>) {
        // A caller that left wants no end.
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
