//! Checks of a computer on which no daemon answers: its data directory, and how the daemon is started.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use m2_backup::exposure::{Exposure, Kind, quoted};
use m2_proto::socket;

use super::check::{Area, Check, size};

/// The data directory of the system service.
const SYSTEM_DATA: &str = "/var/lib/m2d";
/// The free space in bytes below which the user is warned, as the daemon does.
const LOW_BYTES: u64 = 64 << 20;

/// What this computer shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// The data directory; `None` if no home directory is known.
    pub data_dir: Option<PathBuf>,
    /// The command that starts the daemon.
    pub start: String,
    /// What is in the data directory.
    pub contents: Contents,
}

/// What is in a data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Contents {
    /// The directory does not exist.
    Missing,
    /// This user may not look into it, or it can't be examined.
    Closed(String),
    /// The directory was examined.
    Examined {
        key: bool,
        store: bool,
        exposed: Vec<Exposure>,
        free_bytes: Option<u64>,
    },
}

/// Examines this computer. `given` is the data directory that the user names.
pub(super) fn examine(given: Option<PathBuf>) -> Host {
    let start = match &given {
        Some(directory) => format!("m2d run --data-dir {}", quoted(directory)),
        None => start_command(),
    };
    let data_dir = given.or_else(default_data_dir);
    let contents = match &data_dir {
        Some(directory) => contents(directory),
        None => Contents::Missing,
    };
    Host {
        data_dir,
        start,
        contents,
    }
}

/// Returns the user's data directory, or that of the system service if the user has none.
fn default_data_dir() -> Option<PathBuf> {
    let system = || Some(PathBuf::from(SYSTEM_DATA)).filter(|path| path.exists());
    let own = socket::data_dir();
    own.clone()
        .filter(|path| path.exists())
        .or_else(system)
        .or(own)
}

/// Returns the command that starts the daemon as it is installed.
fn start_command() -> String {
    let exists = |path: &str| Path::new(path).exists();
    let own = std::env::var_os("HOME").map(|home| {
        let units = PathBuf::from(home).join(".config/systemd/user");
        units.join("default.target.wants/m2d.service")
    });
    if !exists("/run/systemd/system") {
        "m2d run".to_owned()
    } else if own.is_some_and(|unit| unit.exists()) {
        "systemctl --user start m2d".to_owned()
    } else if exists("/usr/lib/systemd/system/m2d.socket")
        || exists("/etc/systemd/system/m2d.socket")
    {
        "systemctl enable --now m2d.socket m2d.service".to_owned()
    } else {
        "m2d run".to_owned()
    }
}

fn contents(directory: &Path) -> Contents {
    let exists = |name: &str| match directory.join(name).symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    if !directory.exists() {
        return Contents::Missing;
    }
    let (key, store) = match (exists("identity.pem"), exists("store.db")) {
        (Ok(key), Ok(store)) => (key, store),
        (Err(error), _) | (_, Err(error)) => return Contents::Closed(error.to_string()),
    };
    let key_file = directory.join("identity.pem");
    let files = [
        Exposure::found(directory, Kind::DataDirectory),
        Exposure::found(&key_file, Kind::Key),
    ];
    Contents::Examined {
        key,
        store,
        exposed: files.into_iter().flatten().collect(),
        free_bytes: free_bytes(directory),
    }
}

#[cfg(unix)]
fn free_bytes(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

/// Returns the checks of a computer on which no daemon answers, for this reason.
pub(super) fn judge(why: &str, host: &Host) -> Vec<Check> {
    let mut checks = vec![Check::problem(Area::Daemon, why).mended_by(&host.start)];
    let place = match &host.data_dir {
        Some(path) => path.display().to_string(),
        None => "the data directory".to_owned(),
    };
    match &host.contents {
        Contents::Missing => {
            let text = format!("{place} does not exist: the daemon creates it at its first start");
            checks.push(Check::not_checked(Area::Key, text));
        }
        Contents::Closed(error) => {
            let text = format!("this user can't look into {place}: {error}");
            let again = "sudo m2 doctor";
            checks.push(Check::not_checked(Area::Permissions, text).mended_by(again));
        }
        Contents::Examined {
            key,
            store,
            exposed,
            free_bytes,
        } => {
            checks.push(room(*free_bytes, host));
            checks.extend(permissions(exposed, &place));
            checks.extend(pair(*key, *store, &place));
        }
    }
    let rest = "no daemon answers";
    let areas = [
        Area::Clock,
        Area::Ports,
        Area::Backup,
        Area::Peers,
        Area::Relays,
        Area::Boxes,
    ];
    checks.extend(areas.map(|area| Check::not_checked(area, rest)));
    checks
}

fn room(free_bytes: Option<u64>, host: &Host) -> Check {
    let show = host.data_dir.as_deref().map_or_else(
        || "df -h".to_owned(),
        |path| format!("df -h {}", quoted(path)),
    );
    match free_bytes {
        None => Check::not_checked(Area::Disk, "the system does not report the free space"),
        Some(free) if free < LOW_BYTES => {
            let text = format!(
                "The disk of the data directory has {} left. Make room.",
                size(free)
            );
            Check::warning(Area::Disk, text).mended_by(show)
        }
        Some(free) => Check::ok(Area::Disk, format!("{} free", size(free))),
    }
}

fn permissions(exposed: &[Exposure], place: &str) -> Vec<Check> {
    if exposed.is_empty() {
        let text = format!("only its user has access to {place}");
        return vec![Check::ok(Area::Permissions, text)];
    }
    let checks = exposed.iter().map(|found| {
        Check::problem(Area::Permissions, found.to_string()).mended_by(found.remedy())
    });
    checks.collect()
}

/// Judges whether the key and the store are there. Only together are they of use.
fn pair(key: bool, store: bool, place: &str) -> [Check; 2] {
    let restore = "m2d restore FILE";
    let missing = |area, what| {
        let text = format!("{place} has no {what}. Put it back, or restore a backup.");
        Check::problem(area, text).mended_by(restore)
    };
    match (key, store) {
        (true, true) => [
            Check::ok(Area::Key, format!("it is in {place}")),
            Check::not_checked(Area::Store, "its contents need the key: run `m2d check`"),
        ],
        (true, false) => [
            Check::ok(Area::Key, format!("it is in {place}")),
            Check::warning(
                Area::Store,
                format!(
                    "{place} has no store: the daemon begins an empty one. If there was one, restore a backup."
                ),
            )
            .mended_by(restore),
        ],
        (false, true) => [
            missing(Area::Key, "key, and its store opens with no other one"),
            Check::not_checked(Area::Store, "there is no key"),
        ],
        (false, false) => [
            Check::not_checked(Area::Key, "the daemon creates it at its first start"),
            Check::not_checked(Area::Store, "the daemon creates it at its first start"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    fn host(contents: Contents) -> Host {
        Host {
            data_dir: Some(PathBuf::from("/data")),
            start: "m2d run".to_owned(),
            contents,
        }
    }

    fn examined(key: bool, store: bool) -> Contents {
        Contents::Examined {
            key,
            store,
            exposed: Vec::new(),
            free_bytes: Some(1 << 30),
        }
    }

    fn of(contents: Contents, area: Area) -> (Outcome, String) {
        let checks = judge("No daemon answers.", &host(contents));
        let check = checks.into_iter().find(|check| check.area == area).unwrap();
        (check.result, check.remedy)
    }

    #[test]
    fn an_absent_daemon_is_a_problem_with_the_command_that_starts_it() {
        let found = of(Contents::Missing, Area::Daemon);
        assert_eq!(found, (Outcome::Problem, "m2d run".to_owned()));
        assert_eq!(of(Contents::Missing, Area::Key).0, Outcome::NotChecked);
        assert_eq!(of(Contents::Missing, Area::Clock).0, Outcome::NotChecked);
    }

    #[test]
    fn key_and_store_are_of_use_together_only() {
        let of = |key, store, area| of(examined(key, store), area);
        assert_eq!(of(true, true, Area::Key).0, Outcome::Ok);
        assert_eq!(of(true, true, Area::Store).0, Outcome::NotChecked);
        let restore = "m2d restore FILE".to_owned();
        assert_eq!(
            of(true, false, Area::Store),
            (Outcome::Warning, restore.clone())
        );
        assert_eq!(of(false, true, Area::Key), (Outcome::Problem, restore));
        assert_eq!(of(false, false, Area::Key).0, Outcome::NotChecked);
    }

    #[test]
    fn a_closed_directory_names_the_remedy() {
        let found = of(Contents::Closed("denied".to_owned()), Area::Permissions);
        assert_eq!(found, (Outcome::NotChecked, "sudo m2 doctor".to_owned()));
    }

    #[test]
    fn open_modes_and_a_full_disk_are_found() {
        let exposed = Exposure::judge(Path::new("/data"), Kind::DataDirectory, 0o777);
        let contents = Contents::Examined {
            key: true,
            store: true,
            exposed: exposed.into_iter().collect(),
            free_bytes: Some(1),
        };
        let found = of(contents.clone(), Area::Permissions);
        assert_eq!(found, (Outcome::Problem, "chmod 700 /data".to_owned()));
        let found = of(contents, Area::Disk);
        assert_eq!(found, (Outcome::Warning, "df -h /data".to_owned()));
    }

    #[test]
    fn the_contents_of_a_directory_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("x");
        assert_eq!(contents(&missing), Contents::Missing);
        std::fs::write(directory.path().join("store.db"), "").unwrap();
        let found = contents(directory.path());
        let is_right = matches!(
            found,
            Contents::Examined {
                key: false,
                store: true,
                ..
            }
        );
        assert!(is_right, "{found:?}");
        let named = examine(Some(directory.path().to_owned()));
        assert!(named.start.starts_with("m2d run --data-dir /"), "{named:?}");
    }
}
