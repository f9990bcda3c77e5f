//! `m2d restore`: puts a backup into a data directory that has no identity yet.
//!
//! Key and store are prepared in a separate directory, checked and flushed. Then the store is
//! renamed into place, and the key last. Until then the daemon refuses to start, and another
//! restore resumes.

use super::Failure;
use crate::args::RestoreArgs;
use crate::ask::{self, Question};
use crate::config::Config;
use crate::key_file::{FILE_NAME as KEY_NAME, KeyFile};
use crate::listen::make_private_dir;
use crate::lock::InstanceLock;
use crate::pair::{self, PairError, RESTORE_DIRECTORY, STORES};
use crate::paths;
use m2_backup::{Contents, FileError, Lock, LockedBackup, private};
use m2_store::StoreFile;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Restores a backup. Returns a summary and the next steps for the user.
pub fn restore(args: &RestoreArgs) -> Result<String, Failure> {
    let backup = LockedBackup::open(&args.file)?;
    let (path, optional) = paths::config_file(args.paths.config.as_ref())?;
    let config = Config::load(&path, optional)?;
    let target = Target::claim(paths::data_dir(&args.paths)?)?;
    let [passphrase] = ask::all([question(args, backup.lock())])?;
    let mut backup = backup.unlock(passphrase.as_bytes())?;
    target.prepare()?;
    backup.extract(&target.part(m2_store::FILE_NAME))?;
    let contents = backup.contents();
    target.finish_store(contents)?;
    target.write_key(contents)?;
    target.place()?;
    Ok(said(&target, contents, &config))
}

fn question<'a>(args: &'a RestoreArgs, lock: &Lock) -> Question<'a> {
    Question {
        what: match lock {
            Lock::Passphrase => "The passphrase of the backup",
            Lock::Identity(_) => "The passphrase that the identity had when the backup was made",
        },
        option: "--passphrase-file",
        file: args.passphrase_file.as_ref(),
        is_new: false,
    }
}

/// A data directory into which a backup can be restored. The lock keeps daemons from running on it.
struct Target {
    directory: PathBuf,
    /// True if an earlier restore was interrupted after its store was renamed into place.
    resumes: bool,
    _lock: InstanceLock,
}

impl Target {
    /// Locks the directory. Errors: it holds a key or a store, or a daemon runs on it.
    fn claim(directory: PathBuf) -> Result<Self, Failure> {
        make_private_dir(&directory).map_err(|source| Failure::DataDir {
            path: directory.clone(),
            source,
        })?;
        let lock = InstanceLock::take(&directory)?;
        let has_key = KeyFile::read(&directory)?.is_some();
        let resumes = !has_key && pair::is_interrupted_restore(&directory)?;
        let found = taken(&directory, resumes)?;
        match found {
            Some(found) => Err(Failure::Taken { directory, found }),
            None => Ok(Self {
                directory,
                resumes,
                _lock: lock,
            }),
        }
    }

    /// Returns the path of a file during preparation.
    fn part(&self, name: &str) -> PathBuf {
        self.directory.join(RESTORE_DIRECTORY).join(name)
    }

    fn prepare(&self) -> Result<(), Failure> {
        let part = self.directory.join(RESTORE_DIRECTORY);
        self.allow_missing(fs::remove_dir_all(&part))?;
        make_private_dir(&part).map_err(self.failed())
    }

    /// Marks the store as restored, and checkpoints it into one file.
    fn finish_store(&self, contents: &Contents) -> Result<(), Failure> {
        let part = self.directory.join(RESTORE_DIRECTORY);
        let store = StoreFile::new(&part, contents.store_key.clone()).open()?;
        store.mark_restored(now_ms())?;
        drop(store);
        if pair::is_there(&part.join(m2_store::LOG_NAME))? {
            let error = "its log could not be brought into it".to_owned();
            return Err(FileError::Store(error).into());
        }
        // A handle that only reads can't flush on Windows.
        let mut options = OpenOptions::new();
        let store = options.write(true).open(part.join(m2_store::FILE_NAME));
        let file = store.map_err(self.failed())?;
        file.sync_all().map_err(self.failed())
    }

    fn write_key(&self, contents: &Contents) -> Result<(), Failure> {
        let mut file = private::create(&self.part(KEY_NAME)).map_err(self.failed())?;
        let written = file.write_all(contents.key_file.as_bytes());
        written
            .and_then(|()| file.sync_all())
            .map_err(self.failed())
    }

    /// Renames store and key into place. The key comes last and makes the directory valid.
    fn place(&self) -> Result<(), Failure> {
        private::sync_directory(&self.part(KEY_NAME)).map_err(self.failed())?;
        if self.resumes {
            for name in [m2_store::FILE_NAME, m2_store::LOG_NAME] {
                self.allow_missing(fs::remove_file(self.directory.join(name)))?;
            }
        }
        for name in [m2_store::FILE_NAME, KEY_NAME] {
            let place = self.directory.join(name);
            let placed = fs::rename(self.part(name), &place);
            placed
                .and_then(|()| private::sync_directory(&place))
                .map_err(self.failed())?;
        }
        // Everything is in place; an empty directory that remains is harmless.
        let _ = fs::remove_dir_all(self.directory.join(RESTORE_DIRECTORY));
        Ok(())
    }

    fn allow_missing(&self, removed: io::Result<()>) -> Result<(), Failure> {
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed()(error)),
            _ => Ok(()),
        }
    }

    fn failed(&self) -> impl Fn(io::Error) -> Failure {
        move |source| Failure::DataDir {
            path: self.directory.clone(),
            source,
        }
    }
}

/// Returns a file that a restore would overwrite, if there is one.
fn taken(directory: &Path, resumes: bool) -> Result<Option<PathBuf>, PairError> {
    if resumes {
        return Ok(None);
    }
    for name in [KEY_NAME].into_iter().chain(STORES) {
        let path = directory.join(name);
        if pair::is_there(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn said(target: &Target, contents: &Contents, config: &Config) -> String {
    let mut text = format!(
        "Restored into {}. Contacts: {}; messages: {}.\nWhat was sent or received after the \
         backup is not in it: contacts send again what they still hold for you. Never start the \
         daemon that the backup was made of again.",
        target.directory.display(),
        contents.contacts,
        contents.messages
    );
    if contents.circle != config.circle.name {
        text.push_str(&format!(
            "\nThe backup belongs to the circle {:?}, and the configuration names {:?}: \
             correct [circle] before the daemon starts.",
            contents.circle, config.circle.name
        ));
    }
    text
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(1, |since| u64::try_from(since.as_millis()).unwrap_or(1))
}
