//! The identity that a start opens or creates, and warnings about its key file.

use super::Failure;
use crate::key_file::{self, KeyFile};
use crate::pair;
use crate::unlock::{Given, Passphrase};
use m2_backup::exposure::{Exposure, Kind};
use m2_crypto::{Identity, provider};
use m2_engine::{Area, Warning};
use m2_store::Store;
use rand_core::UnwrapErr;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// How long `m2 status` reports a lost store, in milliseconds: 30 days.
const TELL_LOSS_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// The setting that records when a lost store was replaced by a new one, in Unix milliseconds.
const LOST_SETTING: &str = "store lost";

/// The opened identity, or the key file if only the user knows its passphrase.
pub(super) enum Key {
    Open(Box<OpenKey>),
    Locked(KeyFile),
}

/// An opened identity with its file.
pub(super) struct OpenKey {
    pub(super) identity: Arc<Identity>,
    pub(super) is_new: bool,
    file: KeyFile,
    warnings: Vec<Warning>,
}

/// Checks that the directory does not hold a key without its store or the reverse, and removes the
/// leftover of an interrupted write of the key.
pub(super) fn check_pair(data_dir: &Path) -> Result<(), Failure> {
    pair::check(data_dir, KeyFile::read(data_dir)?.is_some())?;
    Ok(KeyFile::remove_leftover(data_dir)?)
}

/// Opens or creates the identity of `data_dir`, or returns its key file if the passphrase is
/// missing.
pub(super) fn find(data_dir: &Path, given: &Given) -> Result<Key, Failure> {
    let usable = given.usable();
    let mut key = match KeyFile::read(data_dir)? {
        None => create(data_dir, usable)?,
        Some(file) if file.is_encrypted() && usable.is_none() => return Ok(Key::Locked(file)),
        Some(file) => {
            let identity = file.open(bytes(usable), provider::default())?;
            OpenKey::of(file, identity)
        }
    };
    if let Given::Empty(path) = given {
        let text = format!(
            "The passphrase file {} is empty, which counts as no passphrase.",
            path.display()
        );
        tracing::warn!("{text}");
        let warning = Warning::new(Area::Key, text).mended_by("[identity] passphrase_file");
        key.warnings.push(warning);
    }
    Ok(Key::Open(Box::new(key)))
}

/// Opens or creates the identity of `data_dir`.
pub(super) fn open_or_create(
    data_dir: &Path,
    passphrase: Option<&Passphrase>,
) -> Result<Arc<Identity>, Failure> {
    match KeyFile::read(data_dir)? {
        Some(file) => Ok(Arc::new(file.open(bytes(passphrase), provider::default())?)),
        None => Ok(create(data_dir, passphrase)?.identity),
    }
}

fn create(data_dir: &Path, passphrase: Option<&Passphrase>) -> Result<OpenKey, Failure> {
    let mut rng = UnwrapErr(getrandom::SysRng);
    let (file, identity) =
        KeyFile::create(data_dir, &mut rng, provider::default(), bytes(passphrase))?;
    let mut key = OpenKey::of(file, identity);
    key.is_new = true;
    Ok(key)
}

fn bytes(passphrase: Option<&Passphrase>) -> Option<&[u8]> {
    passphrase.map(|passphrase| passphrase.as_bytes())
}

impl OpenKey {
    /// Returns an identity that was opened from `file`, with the warnings about that file.
    pub(super) fn of(file: KeyFile, identity: Identity) -> Self {
        let mut key = Self {
            identity: Arc::new(identity),
            is_new: false,
            file,
            warnings: Vec::new(),
        };
        if !key.file.is_encrypted() {
            let text = "The identity key is not protected by a passphrase: anyone who can read \
                        its file can act as you. Set one with `m2d passphrase set`.";
            let warning = Warning::new(Area::Key, text).mended_by("m2d passphrase set");
            key.warnings.push(warning);
        }
        key
    }

    /// Records in the key file that the identity has a store, and detects whether an earlier store
    /// was lost. Returns all warnings about key and store.
    pub(super) fn join_store(
        &mut self,
        data_dir: &Path,
        store: &Store,
    ) -> Result<Vec<Warning>, Failure> {
        let now_ms = now_ms();
        if store.was_begun() && self.file.had_store() {
            tracing::error!("the store of this identity is missing: an empty one was begun");
            store.set_number(LOST_SETTING, i64::try_from(now_ms).unwrap_or(0))?;
        }
        let lost_ms = store.number(LOST_SETTING)?.map_or(0, i64::unsigned_abs);
        if lost_ms > 0 && now_ms.saturating_sub(lost_ms) < TELL_LOSS_MS {
            let warning = Warning::problem(Area::Store, loss(data_dir));
            self.warnings.push(warning.mended_by("m2d restore FILE"));
        }
        let exposed = Exposure::found(&data_dir.join(key_file::FILE_NAME), Kind::Key);
        let was_marked = self.file.had_store();
        self.mark(data_dir);
        if !was_marked && let Some(exposed) = exposed {
            self.warnings.push(was_exposed(&exposed));
        }
        Ok(self.warnings.clone())
    }

    /// Writes the mark only after the store is on disk: a crash in between loses the mark, but
    /// never prevents a start.
    fn mark(&mut self, data_dir: &Path) {
        let made = key_file::sync_directory(&data_dir.join(m2_store::FILE_NAME)).is_ok();
        if !made {
            return;
        }
        if let Err(error) = self.file.mark_store() {
            tracing::warn!(%error, "the key file can't note that its store was begun");
        }
    }

    /// Returns the text of the key file.
    pub(super) fn text(&self) -> Zeroizing<String> {
        self.file.text()
    }

    /// Returns whether the key file has a passphrase.
    pub(super) fn is_encrypted(&self) -> bool {
        self.file.is_encrypted()
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

/// Returns the warning about a key file that others could read until the mark was written, which closed it.
fn was_exposed(exposed: &Exposure) -> Warning {
    let text = format!("{exposed} The daemon has done so at its start.");
    Warning::new(Area::Permissions, text).mended_by(exposed.remedy())
}

fn loss(data_dir: &Path) -> String {
    format!(
        "The store of this identity was missing or empty at a start, and a new one was begun: \
         contacts and messages from before are not in it. With a backup: stop the daemon, move \
         everything in {} away, and run `m2d restore`. Without one: become contacts again with \
         new invitations.",
        data_dir.display()
    )
}
