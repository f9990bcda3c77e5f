//! Makes backups of the running daemon: a copy of the store as it is at one moment, checked, and
//! sealed with the key into the bytes of one file (docs/spec/backup.md).
//!
//! The copy lies in the data directory meanwhile, under the store's own key. The file's bytes go
//! to the caller in bounded pieces: no path of a caller is ever opened here.

mod stream;

pub use stream::{Finished, Part, Parts};

use crate::refusal::Refusal;
use crate::store::{CopyError, StoreFile};
use m2_backup::{BackupWriter, Contents, FileError, check_store, private};
use m2_crypto::backup::{BackupError, Header, Sealer};
use m2_crypto::{Identity, PeerId};
use m2_proto::reason::Reason;
use rand_core::UnwrapErr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, TryLockError};
use std::time::{SystemTime, UNIX_EPOCH};
use stream::Output;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// The copy's name in the data directory.
const COPY_NAME: &str = "backup.part";

/// What opens a backup.
pub enum Protection {
    /// A passphrase, which is not empty.
    Passphrase(Zeroizing<String>),
    /// The identity's own.
    Identity,
}

/// Whose backup it is.
pub struct Subject {
    /// The identity.
    pub identity: Arc<Identity>,
    /// The text of its key file.
    pub key_file: Zeroizing<String>,
    /// Whether the key file has a passphrase.
    pub is_encrypted: bool,
    /// The identity's peer id.
    pub peer_id: PeerId,
    /// The circle's name.
    pub circle: String,
}

/// Makes backups, one at a time.
pub struct Backups {
    copy: PathBuf,
    store: StoreFile,
    subject: Subject,
    stop: CancellationToken,
    running: Mutex<()>,
}

impl Backups {
    /// Backups of the store in `data_dir`. What an earlier run left half done is removed.
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

    /// Starts a backup. Its parts come as they are made, and wait for the caller.
    ///
    /// Error: NO_PASSPHRASE. BACKUP_RUNNING and what fails later come with the parts.
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

    /// Checks the copy and describes it.
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

/// The copy and what SQLite puts next to it, removed when this is dropped.
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
            // Only the copy failed: nothing of the store's batches is in doubt.
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
