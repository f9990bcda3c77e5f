//! A directory of backups that are made one after another, of which the latest are kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, NaiveDateTime, Utc};
use m2_backup::LockedBackup;

use crate::failure::Failure;

/// The form of the names: `m2-2026-12-01T113000Z.backup`, in UTC. Names sort by time.
const FORMAT: &str = "m2-%Y-%m-%dT%H%M%SZ.backup";
/// The name of a backup that could not be restored for a test. A later one replaces it.
const FAILED: &str = "m2-failed.backup";

/// A directory of backups.
#[derive(Debug)]
pub(super) struct Series {
    directory: PathBuf,
    keep: usize,
}

impl Series {
    /// Returns the series in a directory, of which `keep` backups are kept, at least one.
    ///
    /// Errors: it is no directory.
    pub(super) fn new(directory: &Path, keep: u16) -> Result<Self, Failure> {
        if !directory.is_dir() {
            return Err(Failure::Usage(format!(
                "{} is no directory, in which --keep makes backups. Create it with `mkdir -m 700`.",
                directory.display()
            )));
        }
        Ok(Self {
            directory: directory.to_owned(),
            keep: usize::from(keep.max(1)),
        })
    }

    /// Returns the path of a backup that is made now.
    pub(super) fn next(&self, now: SystemTime) -> PathBuf {
        let now = DateTime::<Utc>::from(now);
        self.directory.join(now.format(FORMAT).to_string())
    }

    /// Deletes the oldest backups, so that `made`, which was just made and verified, and the latest others remain.
    /// Only files that this command made are deleted: their name and their content show it. Returns the names of the
    /// deleted files.
    pub(super) fn rotate(&self, made: &Path) -> Result<Vec<String>, Failure> {
        let failed = |path: &Path, error: io::Error| {
            let path = path.display();
            Failure::Local(format!("Can't delete the old backup {path}: {error}."))
        };
        let entries = fs::read_dir(&self.directory);
        let entries = entries.map_err(|error| failed(&self.directory, error))?;
        // Entries that can't be read are not deleted.
        let names = entries.flatten().map(|entry| entry.file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        let backups = names.filter(|name| is_name(name) && is_backup(&self.directory.join(name)));
        let made = made.file_name().and_then(|name| name.to_str());
        let mut deleted = Vec::new();
        for name in surplus(backups, made, self.keep) {
            let path = self.directory.join(&name);
            fs::remove_file(&path).map_err(|error| failed(&path, error))?;
            deleted.push(name);
        }
        Ok(deleted)
    }

    /// Renames a backup that could not be restored, so that it does not count as one. Returns its new path.
    pub(super) fn set_aside(&self, made: &Path) -> io::Result<PathBuf> {
        let aside = self.directory.join(FAILED);
        fs::rename(made, &aside)?;
        Ok(aside)
    }
}

/// Returns the names of backups beyond the `keep` latest, of which `made` is one whatever its time is: the clock may
/// have been set back.
fn surplus(
    names: impl Iterator<Item = String>,
    made: Option<&str>,
    keep: usize,
) -> impl Iterator<Item = String> {
    let others = names.filter(|name| Some(name.as_str()) != made);
    let mut others: Vec<String> = others.collect();
    others.sort_unstable_by(|one, other| other.cmp(one));
    others.into_iter().skip(keep.saturating_sub(1))
}

/// Returns whether a name has exactly the form of those that [`Series::next`] gives.
fn is_name(name: &str) -> bool {
    let parsed = NaiveDateTime::parse_from_str(name, FORMAT);
    parsed.is_ok_and(|time| time.format(FORMAT).to_string() == name)
}

/// Returns whether a path is a file, not a link to one, with the header of a backup.
fn is_backup(path: &Path) -> bool {
    let is_file = path
        .symlink_metadata()
        .is_ok_and(|metadata| metadata.is_file());
    is_file && LockedBackup::open(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    /// The header of a backup (docs/spec/backup.md#layout).
    fn header() -> Vec<u8> {
        let (salt, check) = ([7; 32], [9; 16]);
        [&b"m2backup\x01\x01"[..], &salt, &[0, 0], &check].concat()
    }

    fn name(day: u32) -> String {
        format!("m2-2026-12-{day:02}T030000Z.backup")
    }

    fn list(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn names_tell_the_time_and_sort_by_it() {
        let series = Series {
            directory: PathBuf::from("/b"),
            keep: 1,
        };
        let at = |s: u64| series.next(UNIX_EPOCH + Duration::from_secs(s));
        let first = at(1_796_124_600);
        assert_eq!(first, Path::new("/b/m2-2026-12-01T113000Z.backup"));
        assert!(is_name(first.file_name().unwrap().to_str().unwrap()));
        assert!(at(1_796_124_601) > first);
    }

    #[test]
    fn names_of_other_files_are_not_taken_for_backups() {
        for name in [
            "m2-2026-12-01.backup",
            "m2-2026-12-01T113000Z.backup.part",
            "m2-2026-13-01T113000Z.backup",
            "m2-2026-12-1T113000Z.backup",
            "M2-2026-12-01T113000Z.backup",
            "m2-failed.backup",
            "holiday.jpg",
            "",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn the_new_backup_is_kept_even_if_the_clock_was_set_back() {
        let all = || (1..=4).map(name);
        let surplus =
            |made: Option<&str>, keep| -> Vec<String> { surplus(all(), made, keep).collect() };
        assert_eq!(surplus(Some(&name(4)), 2), [name(2), name(1)]);
        assert_eq!(surplus(Some(&name(1)), 2), [name(3), name(2)]);
        assert_eq!(surplus(Some(&name(1)), 1), [name(4), name(3), name(2)]);
        assert_eq!(surplus(Some(&name(4)), 9), [""; 0]);
    }

    #[test]
    fn only_backups_are_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        for day in 2..=4 {
            fs::write(path(&name(day)), header()).unwrap();
        }
        // A file with such a name and another content, a directory, and others.
        fs::write(path(&name(1)), "my diary").unwrap();
        fs::create_dir(path("m2-2026-11-01T030000Z.backup")).unwrap();
        fs::write(path("m2-failed.backup"), header()).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(path(&name(2)), path("m2-2026-11-02T030000Z.backup")).unwrap();
        let before = list(directory.path());
        let series = Series::new(directory.path(), 2).unwrap();
        let deleted = series.rotate(&path(&name(4))).unwrap();
        assert_eq!(deleted, [name(2)]);
        let left: Vec<_> = before.into_iter().filter(|it| *it != name(2)).collect();
        assert_eq!(list(directory.path()), left);
        assert!(series.rotate(&path(&name(4))).unwrap().is_empty());
    }

    #[test]
    fn a_backup_that_failed_is_set_aside_and_never_piles_up() {
        let directory = tempfile::tempdir().unwrap();
        let series = Series::new(directory.path(), 3).unwrap();
        for day in 1..=2 {
            let made = directory.path().join(name(day));
            fs::write(&made, header()).unwrap();
            series.set_aside(&made).unwrap();
        }
        assert_eq!(list(directory.path()), [FAILED]);
        assert!(Series::new(&directory.path().join("none"), 3).is_err());
    }
}
