//! The embedded store: one SQLite file under SQLCipher, `mailbox.db` in the data directory.
//!
//! One thread writes, and combines waiting jobs into one transaction (group commit); another reads,
//! and a third checkpoints the log.

mod box_usage;
mod file;
mod keys;
mod marks;
mod tables;
mod threads;

use super::arrival_notifier::ArrivalNotifier;
use super::{
    Answer, Arrivals, Cursor, Deposit, Deposited, Limits, MailboxError, MailboxStore, Page,
    Registered, Totals,
};
use bytes::Bytes;
pub use file::FILE_NAME;
use file::StoreFile;
use m2_crypto::deposit::{BoxKey, DepositNonce, MarkSalt};
use m2_crypto::{PeerId, Secret};
use m2_sqlite::Fault;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use threads::{Reader, Writer};

/// The number of letters and marks that one writer job deletes: a few milliseconds of work, because deposits
/// wait.
const STEP: usize = 256;

/// The number of letters and marks that a purge deletes before it pauses, and the length of the
/// pause. At most about 5,000 are deleted per second.
const PURGE_STEP: usize = 64;
const PAUSE: Duration = Duration::from_millis(10);

/// The number of purged letters after which the log is checkpointed. The more is flushed at once,
/// the longer the flushes of deposits wait for the disk.
const MOVE_EVERY: usize = 8 * PURGE_STEP;

/// A mailbox store in a separate file.
#[derive(Clone)]
pub struct EmbeddedStore {
    writer: Writer,
    reader: Reader,
    mover: Reader,
    arrival_notifier: Arc<ArrivalNotifier>,
    mark_salt: Arc<MarkSalt>,
}

impl EmbeddedStore {
    /// Opens or creates the store of `data_dir` and starts its threads. `key` encrypts the file;
    /// without it, anyone who can read the disk can read the letters. Blocks, because it counts all
    /// letters.
    ///
    /// The file closes some time after the last handle is dropped.
    pub fn open(
        data_dir: &Path,
        key: Option<Secret<32>>,
        limits: Limits,
    ) -> Result<Self, MailboxError> {
        let file = StoreFile::new(data_dir, key);
        // The writer opens first, because it creates the file.
        let (writer, reader) = (Writer::start(&file, limits)?, file.open_reader()?);
        let mark_salt = MarkSalt::new(file::read_secret(&reader, file::MARK_SALT)?);
        Ok(Self {
            writer,
            reader: Reader::start("mailbox-reader", reader)?,
            mover: Reader::start("mailbox-mover", file.open_mover()?)?,
            arrival_notifier: Arc::default(),
            mark_salt: Arc::new(mark_salt),
        })
    }

    async fn deposit_now(&self, deposit: Deposit, now_ms: u64) -> Result<Deposited, MailboxError> {
        deposit.check()?;
        let owner = deposit.owner;
        // Hashes the letter here, so that the writer does not.
        let mark = self.mark_salt.mark(deposit.token.nonce(), &deposit.letter);
        let work = move |tables: &mut tables::Tables| tables.deposit(&deposit, mark, now_ms);
        match self.writer.call(work).await {
            Ok(Deposited::Stored) => {
                self.arrival_notifier.ring(&owner);
                Ok(Deposited::Stored)
            }
            Err(MailboxError::DiskFull) => Ok(Deposited::ServerFull),
            other => other,
        }
    }

    async fn remove_in_steps(self, owner: PeerId) -> Result<bool, MailboxError> {
        let closed = self.writer.call(move |tables| tables.close_box(owner));
        let Some(number) = closed.await? else {
            return Ok(false);
        };
        let empty = move |tables: &mut tables::Tables| tables.empty_box(number, STEP);
        while !self.writer.call(empty).await? {}
        Ok(true)
    }

    async fn purge_in_steps(&self, now_ms: u64, budget: usize) -> Result<usize, MailboxError> {
        let mut deleted = 0;
        while deleted < budget {
            let step = PURGE_STEP.min(budget - deleted);
            let purged = self.writer.call(move |tables| tables.purge(now_ms, step));
            let purged = purged.await?;
            deleted += purged;
            if purged < step {
                break;
            }
            if deleted % MOVE_EVERY == 0 {
                self.move_log().await?;
            }
            // The pause leaves the disk and the thread to deposits.
            tokio::time::sleep(PAUSE).await;
        }
        Ok(deleted)
    }

    /// Checkpoints most of the log concurrently with the writer, so that deposits wait only for the
    /// rest, then truncates it.
    async fn move_and_cut_log(&self) -> Result<bool, MailboxError> {
        self.move_log().await?;
        self.writer.sweep().await
    }

    /// Checkpoints the log concurrently with the writer.
    async fn move_log(&self) -> Result<(), MailboxError> {
        let moved = self.mover.call(|connection| {
            let query = "PRAGMA wal_checkpoint(PASSIVE)";
            Ok(connection.query_row(query, [], |_| Ok(()))?)
        });
        moved.await
    }

    async fn take_in_steps(
        &self,
        owner: PeerId,
        nonces: Vec<DepositNonce>,
    ) -> Result<(), MailboxError> {
        for step in nonces.chunks(STEP) {
            let step = step.to_vec();
            let taken = self.writer.call(move |tables| tables.take(&owner, &step));
            taken.await?;
        }
        Ok(())
    }
}

impl MailboxStore for EmbeddedStore {
    fn fault(&self) -> Option<Fault> {
        self.writer.fault()
    }

    fn register_box(&self, owner: PeerId, key: BoxKey) -> Answer<'_, Registered> {
        let work = move |tables: &mut tables::Tables| tables.register_box(owner, key);
        Box::pin(self.writer.call(work))
    }

    fn set_key(&self, owner: PeerId, key: BoxKey) -> Answer<'_, bool> {
        Box::pin(self.writer.call(move |tables| tables.set_key(owner, &key)))
    }

    fn remove_box(&self, owner: PeerId) -> Answer<'_, bool> {
        // Runs in a task: a cancelled call must not leave a partly removed box.
        let task = tokio::spawn(self.clone().remove_in_steps(owner));
        Box::pin(async move {
            let ended = |_| MailboxError::Unavailable("it is shutting down".to_owned());
            task.await.map_err(ended)?
        })
    }

    fn has_box(&self, owner: PeerId) -> Answer<'_, bool> {
        Box::pin(self.writer.call(move |tables| Ok(tables.has_box(&owner))))
    }

    fn deposit(&self, deposit: Deposit, now_ms: u64) -> Answer<'_, Deposited> {
        Box::pin(self.deposit_now(deposit, now_ms))
    }

    fn letters(
        &self,
        owner: PeerId,
        after: Option<Cursor>,
        limit_bytes: usize,
    ) -> Answer<'_, Page> {
        let query = move |reader: &Connection| read_page(reader, owner, after, limit_bytes);
        Box::pin(self.reader.call(query))
    }

    fn take(&self, owner: PeerId, nonces: Vec<DepositNonce>) -> Answer<'_, ()> {
        Box::pin(self.take_in_steps(owner, nonces))
    }

    fn purge(&self, now_ms: u64, budget: usize) -> Answer<'_, usize> {
        Box::pin(self.purge_in_steps(now_ms, budget))
    }

    fn sweep(&self) -> Answer<'_, bool> {
        Box::pin(self.move_and_cut_log())
    }

    fn totals(&self) -> Answer<'_, Totals> {
        Box::pin(self.writer.call(|tables| Ok(tables.totals())))
    }

    fn subscribe(&self, owner: PeerId) -> Arrivals {
        self.arrival_notifier.subscribe(owner)
    }
}

fn read_page(
    connection: &Connection,
    owner: PeerId,
    after: Option<Cursor>,
    limit_bytes: usize,
) -> Result<Page, MailboxError> {
    let number: Option<u32> = connection
        .prepare_cached("SELECT number FROM boxes WHERE owner = ?1")?
        .query_row([owner.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(number) = number else {
        return Ok(Page::default());
    };
    let keys = keys::range(number);
    let start = after.and_then(|cursor| i64::try_from(cursor.0).ok());
    let start = start.map_or(keys.start, |after| after.saturating_add(1).max(keys.start));
    let mut statement = connection.prepare_cached(
        "SELECT key, nonce, letter FROM letters WHERE key >= ?1 AND key < ?2 ORDER BY key",
    )?;
    let mut rows = statement.query(params![start, keys.end])?;
    let (mut page, mut bytes, mut last) = (Page::default(), 0_usize, None);
    while let Some(row) = rows.next()? {
        let letter = row.get_ref(2)?.as_blob();
        let letter = letter.map_err(|_| MailboxError::Corrupt("letter"))?;
        bytes = bytes.saturating_add(letter.len());
        if bytes > limit_bytes && last.is_some() {
            page.next = last;
            break;
        }
        last = u128::try_from(row.get::<_, i64>(0)?).ok().map(Cursor);
        let letter = Bytes::copy_from_slice(letter);
        let nonce = DepositNonce::from_bytes(row.get(1)?);
        page.letters.push((nonce, letter));
    }
    Ok(page)
}
