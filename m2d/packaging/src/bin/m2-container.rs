//! The first process of a container: takes the user and the group that the container was given, then becomes
//! the daemon. The image has no shell that could do this.

use rustix::fs::Mode;
use rustix::process::{getuid, umask};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, lchown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

const DAEMON: &str = "/usr/bin/m2d";
/// The daemon's data, in the volume.
const DATA: &str = "/data/m2d";
/// The directory of the daemon's socket.
const RUN: &str = "/run/m2d";
/// The user and the group without PUID and PGID: those of the first user of most systems.
const DEFAULT: u32 = 1000;

/// The user and the group that the daemon gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner {
    user: u32,
    group: u32,
}

fn main() -> ExitCode {
    let error = start();
    eprintln!("m2-container: {error}");
    ExitCode::from(2)
}

/// Replaces this process by the daemon. Returns the reason if that fails.
fn start() -> String {
    umask(Mode::from_raw_mode(0o077));
    let owner = match owner(getuid().is_root()) {
        Ok(owner) => owner,
        Err(error) => return error,
    };
    for directory in [DATA, RUN] {
        if let Err(error) = prepare(Path::new(directory), owner) {
            return format!("{directory} can't be used: {error}. Is the volume writable?");
        }
    }
    let mut daemon = Command::new(DAEMON);
    daemon.args(std::env::args_os().skip(1));
    if let Some(owner) = owner {
        // Also drops all further groups.
        daemon.gid(owner.group).uid(owner.user);
    }
    format!("{DAEMON} can't be started: {}", daemon.exec())
}

/// Returns the user and the group to change to; `None` for a container that was started as another user than
/// root and can't change.
///
/// Errors: PUID or PGID is not a number.
fn owner(is_root: bool) -> Result<Option<Owner>, String> {
    if !is_root {
        return Ok(None);
    }
    Ok(Some(Owner {
        user: number("PUID", std::env::var("PUID").ok().as_deref())?,
        group: number("PGID", std::env::var("PGID").ok().as_deref())?,
    }))
}

fn number(name: &str, value: Option<&str>) -> Result<u32, String> {
    match value {
        None | Some("") => Ok(DEFAULT),
        // The largest number means "unchanged" to the kernel.
        Some(value) => match value.parse() {
            Ok(number) if number != u32::MAX => Ok(number),
            _ => Err(format!(
                "{name} is \"{value}\": give the number of a user or group, as `id` prints it"
            )),
        },
    }
}

/// Creates a directory for the owner alone, and gives the owner what is in it: PUID may have been another one
/// before.
fn prepare(directory: &Path, owner: Option<Owner>) -> io::Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(directory)?;
    owner.map_or(Ok(()), |owner| give(directory, owner))
}

/// Follows no link: the owner of the volume could have placed one.
fn give(path: &Path, owner: Owner) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if (found.uid(), found.gid()) != (owner.user, owner.group) {
        lchown(path, Some(owner.user), Some(owner.group))?;
    }
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), owner)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers() {
        assert_eq!(number("PUID", None), Ok(DEFAULT));
        assert_eq!(number("PUID", Some("")), Ok(DEFAULT));
        assert_eq!(number("PUID", Some("0")), Ok(0));
        assert_eq!(number("PUID", Some("33")), Ok(33));
        for wrong in ["root", "-1", "4294967295", "4294967296", " 1"] {
            let error = number("PUID", Some(wrong)).unwrap_err();
            assert!(error.contains("PUID") && error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_container_of_another_user_changes_nothing() {
        assert_eq!(owner(false), Ok(None));
    }

    #[test]
    fn directories_are_for_their_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data/m2d");
        let own = fs::metadata(directory.path()).unwrap();
        let owner = Owner {
            user: own.uid(),
            group: own.gid(),
        };
        prepare(&data, Some(owner)).unwrap();
        std::os::unix::fs::symlink("/nonexistent", data.join("link")).unwrap();
        prepare(&data, Some(owner)).unwrap();
        assert_eq!(fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
    }
}
