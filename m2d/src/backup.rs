//! Backups of the running daemon: a consistent copy of the store, checked, and sealed together with
//! the key into one file (docs/spec/backup.md).
//!
//! During a backup the copy is in the data directory, encrypted under the store's own key. The
//! bytes of the file go to the caller in bounded pieces: the daemon never opens a path that a
//! caller names.

mod stream;

pub use stream::{Finished, Part, Parts};

use m2_backup::{BackupWriter, Contents, FileError, check_store, private};
use m2_crypto::backup::{BackupError, Header, Sealer};
use m2_crypto::{Identity, PeerId};
use m2_engine::Refusal;
use m2_proto::reason::Reason;
use m2_store::{CopyError, StoreFile};
use rand_core::UnwrapErr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};
use stream::Output;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// The name of the copy in the data directory.
const COPY_NAME: &str = "backup.part";

/// The secret that opens a backup.
pub enum Protection {
    /// A passphrase, which is not empty.
    Passphrase(Zeroizing<String>),
    /// The passphrase of the identity.
    Identity,
}

/// The identity that is backed up.
pub struct Subject {
    /// The identity.
    pub identity: Arc<Identity>,
    /// The text of the identity's key file.
    pub key_file: Zeroizing<String>,
    /// True if the key file has a passphrase.
    pub is_encrypted: bool,
    /// The identity's peer id.
    pub peer_id: PeerId,
    /// The circle's name.
    pub circle: String,
}

/// Creates backups, one at a time.
pub struct Backups {
    copy: PathBuf,
    store: StoreFile,
    subject: Subject,
    stop: CancellationToken,
    running: Mutex<()>,
}

impl Backups {
    /// Returns the backups of the store in `data_dir`. Removes the leftovers of an earlier run.
    pub fn new(
        data_dir: &Path,
        store: StoreFile,
        subject: Subject,
        stop: CancellationToken,
    ) -> Self {
        let copy = data_dir.join(COPY_NAME);
        remove(&copy);
        Self {
            copy,
            store,
            subject,
            stop,
            running: Mutex::new(()),
        }
    }

    /// Starts a backup on a blocking thread. Its parts arrive on the returned channel, with
    /// back-pressure.
    ///
    /// Errors: NO_PASSPHRASE. BACKUP_RUNNING and later failures arrive as the last part.
    pub fn start(self: &Arc<Self>, protection: Protection) -> Result<Parts, Refusal> {
        if matches!(protection, Protection::Identity) && !self.subject.is_encrypted {
            return Err(Refusal::new(Reason::NoPassphrase));
        }
        let (output, parts) = stream::channel(self.stop.clone());
        let backups = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut output = output;
            let result = backups.run(&protection, &mut output);
            output.end(result);
        });
        Ok(parts)
    }

    fn run(&self, protection: &Protection, output: &mut Output) -> Result<Finished, Refusal> {
        let _running = match self.running.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Refusal::new(Reason::BackupRunning)),
        };
        let _removed = Leftover(&self.copy);
        let copied = self
            .store
            .copy_to(&self.copy, |progress| output.progress(progress));
        copied.map_err(copy_refusal)?;
        let contents = self.contents().map_err(file_refusal)?;
        let sealed = self.seal(protection, &contents, output);
        sealed.map_err(|error| {
            if output.is_gone() {
                Refusal::new(Reason::Stopping)
            } else {
                file_refusal(error)
            }
        })?;
        Ok(output.finished(&contents))
    }

    /// Checks the copy and returns its description.
    fn contents(&self) -> Result<Contents, FileError> {
        let facts = check_store(&self.copy, self.store.key())?;
        let size = fs::metadata(&self.copy).map_err(FileError::io("examine the copy"))?;
        Ok(Contents {
            created_ms: now_ms(),
            peer_id: self.subject.peer_id,
            circle: self.subject.circle.clone(),
            schema: facts.schema,
            contacts: facts.contacts,
            messages: facts.messages,
            store_bytes: size.len(),
            store_key: self.store.key().clone(),
            key_file: self.subject.key_file.clone(),
        })
    }

    fn seal(
        &self,
        protection: &Protection,
        contents: &Contents,
        output: &mut Output,
    ) -> Result<(), FileError> {
        let (header, sealer) = self.header(protection)?;
        let copy = File::open(&self.copy).map_err(FileError::io("open the copy"))?;
        BackupWriter::new(&mut *output, &header, sealer)?.finish(contents, copy)?;
        output
            .flush_chunk()
            .map_err(FileError::io("send the backup"))
    }

    fn header(&self, protection: &Protection) -> Result<(Header, Sealer), BackupError> {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let subject = &self.subject;
        match protection {
            Protection::Passphrase(passphrase) => {
                Header::with_passphrase(&mut rng, passphrase.as_bytes())
            }
            Protection::Identity => {
                Header::with_identity(&mut rng, &subject.identity, &subject.key_file)
            }
        }
    }
}

/// The copy and SQLite's files next to it, removed when this is dropped.
struct Leftover<'a>(&'a Path);

impl Drop for Leftover<'_> {
    fn drop(&mut self) {
        remove(self.0);
    }
}

fn remove(copy: &Path) {
    for end in ["", "-wal", "-shm", "-journal"] {
        let mut name = copy.as_os_str().to_owned();
        name.push(end);
        drop(private::Temporary(Path::new(&name)));
    }
}

fn copy_refusal(error: CopyError) -> Refusal {
    match error {
        CopyError::Cancelled => Refusal::new(Reason::Stopping),
        CopyError::Store(error) => {
            tracing::error!(%error, "the store could not be copied for a backup");
            // Only the copy failed: the store's own batches are not affected.
            Refusal {
                fault: None,
                ..Refusal::from(error)
            }
        }
    }
}

fn file_refusal(error: FileError) -> Refusal {
    tracing::error!(%error, "a backup could not be made");
    match error {
        FileError::Store(_) | FileError::Counts { .. } => Refusal::because(
            Reason::StoreFailed,
            format!("No backup was made. {error} Look into the log of the daemon."),
        ),
        _ => Refusal::new(Reason::Internal),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}
