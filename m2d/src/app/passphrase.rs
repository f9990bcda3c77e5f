//! `m2d passphrase`: sets, changes or removes the passphrase of the identity while no daemon runs.

use super::Failure;
use crate::args::{NewPassphrase, OldPassphrase, PassphraseCommand, PathArgs};
use crate::ask::{self, Question};
use crate::config::Config;
use crate::key_file::KeyFile;
use crate::lock::InstanceLock;
use crate::unlock::Passphrase;
use crate::{key_file, paths};
use m2_crypto::provider;
use rand_core::UnwrapErr;
use std::path::Path;

/// Runs the command. Returns a summary and the remaining steps for the user.
pub fn passphrase(command: &PassphraseCommand) -> Result<String, Failure> {
    match command {
        PassphraseCommand::Set { paths, new } => set(paths, new),
        PassphraseCommand::Change { paths, old, new } => change(paths, old, new),
        PassphraseCommand::Remove { paths, old } => remove(paths, old),
    }
}

fn set(paths: &PathArgs, new: &NewPassphrase) -> Result<String, Failure> {
    let mut target = Target::open(paths, false)?;
    let [new] = ask::all([new_question(new)])?;
    target.replace(None, Some(&new))?;
    Ok(target.said("The identity has a passphrase now."))
}

fn change(paths: &PathArgs, old: &OldPassphrase, new: &NewPassphrase) -> Result<String, Failure> {
    let mut target = Target::open(paths, true)?;
    let [old, new] = ask::all([old_question(old), new_question(new)])?;
    target.replace(Some(&old), Some(&new))?;
    Ok(target.said("The passphrase of the identity was changed."))
}

fn remove(paths: &PathArgs, old: &OldPassphrase) -> Result<String, Failure> {
    let mut target = Target::open(paths, true)?;
    let [old] = ask::all([old_question(old)])?;
    target.replace(Some(&old), None)?;
    Ok(target.said(
        "The identity has no passphrase any more: anyone who can read its file can act as you.",
    ))
}

fn old_question(old: &OldPassphrase) -> Question<'_> {
    Question {
        what: "The current passphrase",
        option: "--passphrase-file",
        file: old.passphrase_file.as_ref(),
        is_new: false,
    }
}

fn new_question(new: &NewPassphrase) -> Question<'_> {
    Question {
        what: "The new passphrase",
        option: "--new-passphrase-file",
        file: new.new_passphrase_file.as_ref(),
        is_new: true,
    }
}

/// The key file that a command works on. The lock keeps daemons from running on it.
struct Target {
    file: KeyFile,
    config: Config,
    _lock: InstanceLock,
}

impl Target {
    /// Opens the key file. Errors: there is no key, a daemon runs, or the key's encryption differs
    /// from `is_encrypted`.
    fn open(paths: &PathArgs, is_encrypted: bool) -> Result<Self, Failure> {
        let (path, optional) = paths::config_file(paths.config.as_ref())?;
        let config = Config::load(&path, optional)?;
        let data_dir = paths::data_dir(paths)?;
        if KeyFile::read(&data_dir)?.is_none() {
            return Err(no_key(&data_dir));
        }
        let lock = InstanceLock::take(&data_dir)?;
        KeyFile::remove_leftover(&data_dir)?;
        let file = KeyFile::read(&data_dir)?.ok_or_else(|| no_key(&data_dir))?;
        check_encryption(&file, is_encrypted)?;
        Ok(Self {
            file,
            config,
            _lock: lock,
        })
    }

    fn replace<'a>(
        &mut self,
        old: Option<&'a Passphrase>,
        new: Option<&'a Passphrase>,
    ) -> Result<(), Failure> {
        let bytes = |passphrase: Option<&'a Passphrase>| passphrase.map(|text| text.as_bytes());
        let identity = self.file.open(bytes(old), provider::default())?;
        let mut rng = UnwrapErr(getrandom::SysRng);
        self.file
            .set_passphrase(&identity, &mut rng, provider::default(), bytes(new))?;
        Ok(())
    }

    /// Returns `done`, with a reminder to update the file from which the daemon reads the
    /// passphrase.
    fn said(&self, done: &str) -> String {
        match &self.config.identity.passphrase_file {
            Some(path) => format!(
                "{done} The daemon reads it from {}: bring that file up to date.",
                path.display()
            ),
            None => done.to_owned(),
        }
    }
}

fn check_encryption(file: &KeyFile, wanted: bool) -> Result<(), Failure> {
    match (file.is_encrypted(), wanted) {
        (true, false) => Err(usage(
            "The identity has a passphrase already: use `m2d passphrase change`.",
        )),
        (false, true) => Err(usage(
            "The identity has no passphrase: use `m2d passphrase set`.",
        )),
        _ => Ok(()),
    }
}

fn no_key(data_dir: &Path) -> Failure {
    usage(&format!(
        "There is no identity in {}: the file {} is missing. Name the right directory with \
         --data-dir.",
        data_dir.display(),
        key_file::FILE_NAME
    ))
}

fn usage(text: &str) -> Failure {
    Failure::Usage(text.to_owned())
}
