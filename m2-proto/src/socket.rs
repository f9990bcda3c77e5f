//! The place of the daemon's local socket.
//!
//! The daemon and its front-ends try the same places in the same order:
//!
//! 1. the path that an option names (`--socket`),
//! 2. the environment variable [`ENV`], unless it is empty,
//! 3. `$XDG_RUNTIME_DIR/m2d/m2d.sock`,
//! 4. `/run/user/UID/m2d/m2d.sock`, if that runtime directory exists and belongs to this user:
//!    cron, `su` and `sudo` leave `XDG_RUNTIME_DIR` unset,
//! 5. `run/m2d.sock` in the user's data directory for `m2d`: `~/.local/share/m2d/run` on Linux,
//!    `~/Library/Application Support/m2d/run` on macOS,
//! 6. on Linux, front-ends only: [`SYSTEM`], the socket of the system service.
//!
//! The daemon binds the first of them, and creates the socket's directory with mode 0700 and the
//! socket with mode 0600. A front-end connects to the first of the default places at which a daemon
//! answers. A service manager may pass the daemon an open socket instead; then none is bound.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

/// The environment variable that names another socket, for the daemon and its front-ends.
pub const ENV: &str = "M2_SOCKET";

/// The environment variable that names the user's runtime directory.
pub const RUNTIME_DIR_ENV: &str = "XDG_RUNTIME_DIR";

/// The socket's file name in its directory.
pub const FILE_NAME: &str = "m2d.sock";

/// The socket of the system service, which its service manager binds.
pub const SYSTEM: &str = "/run/m2d/m2d.sock";

/// Maximum length of a Unix socket's path on this system, in bytes.
pub const MAX_PATH_BYTES: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The directory in which systemd and elogind create each user's runtime directory.
const RUN_USER: &str = "/run/user";

/// Returns the path that [`ENV`] names, or `None` if it is unset or empty.
#[must_use]
pub fn from_env() -> Option<PathBuf> {
    std::env::var_os(ENV)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
}

/// Returns the socket that the daemon binds if no option names one: [`from_env`], otherwise the
/// first of the default places whose runtime directory this user may use.
///
/// Returns `None` if the user has no home directory; the path must then be passed explicitly.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    from_env().or_else(|| Surroundings::of_process().to_bind())
}

/// Returns the places at which a front-end looks for a daemon if no option names one: [`from_env`]
/// alone, otherwise the default places in order.
#[must_use]
pub fn places() -> Vec<PathBuf> {
    match from_env() {
        Some(path) => vec![path],
        None => Surroundings::of_process().to_look_at(),
    }
}

/// Returns whether `path` is longer than the path of a Unix socket can be.
#[must_use]
pub fn is_too_long(path: &Path) -> bool {
    path.as_os_str().len() > MAX_PATH_BYTES
}

/// The properties of the process on which the choice of a place depends.
#[derive(Debug)]
struct Surroundings {
    /// `$XDG_RUNTIME_DIR`, if it is set and absolute.
    runtime: Option<PathBuf>,
    /// The user's directory under `/run/user`.
    run_user: Option<PathBuf>,
    /// The user's data directory for `m2d`.
    data: Option<PathBuf>,
    /// The socket of the system service, on systems that have it.
    system: Option<PathBuf>,
    /// The effective user id.
    uid: u32,
}

impl Surroundings {
    fn of_process() -> Self {
        let uid = own_uid();
        Self {
            runtime: std::env::var_os(RUNTIME_DIR_ENV)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute()),
            run_user: cfg!(target_os = "linux").then(|| Path::new(RUN_USER).join(uid.to_string())),
            data: ProjectDirs::from("", "", "m2d").map(|dirs| dirs.data_dir().to_owned()),
            system: cfg!(target_os = "linux").then(|| PathBuf::from(SYSTEM)),
            uid,
        }
    }

    /// Skips a runtime directory of another user, which `su` leaves in the environment. A runtime
    /// directory that does not exist yet is created.
    fn to_bind(&self) -> Option<PathBuf> {
        let runtime = self.runtime.as_ref();
        runtime
            .filter(|path| owner(path).is_none_or(|owner| owner == self.uid))
            .or_else(|| self.own_run_user())
            .map(|runtime| in_runtime(runtime))
            .or_else(|| self.in_data())
    }

    fn to_look_at(&self) -> Vec<PathBuf> {
        let runtime = self.runtime.as_ref().map(|path| in_runtime(path));
        let run_user = self.own_run_user().map(|path| in_runtime(path));
        let mut places: Vec<PathBuf> = Vec::new();
        let all = [runtime, run_user, self.in_data(), self.system.clone()];
        for place in all.into_iter().flatten() {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    fn own_run_user(&self) -> Option<&PathBuf> {
        let run_user = self.run_user.as_ref();
        run_user.filter(|path| owner(path) == Some(self.uid))
    }

    fn in_data(&self) -> Option<PathBuf> {
        let data = self.data.as_ref();
        data.map(|data| data.join("run").join(FILE_NAME))
    }
}

fn in_runtime(runtime: &Path) -> PathBuf {
    runtime.join("m2d").join(FILE_NAME)
}

#[cfg(unix)]
fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn own_uid() -> u32 {
    0
}

/// Returns the owner of a directory, or `None` if the directory does not exist.
#[cfg(unix)]
fn owner(path: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(path).ok()?;
    let is_dir = metadata.is_dir();
    is_dir.then(|| std::os::unix::fs::MetadataExt::uid(&metadata))
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<u32> {
    None
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn surroundings(directory: &Path) -> Surroundings {
        let run_user = directory.join("run-user");
        std::fs::create_dir(&run_user).unwrap();
        Surroundings {
            runtime: Some(directory.to_owned()),
            run_user: Some(run_user),
            data: Some(directory.join("data")),
            system: Some(PathBuf::from(SYSTEM)),
            uid: own_uid(),
        }
    }

    #[test]
    fn the_runtime_directory_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        let here = surroundings(directory.path());
        let first = directory.path().join("m2d/m2d.sock");
        assert_eq!(here.to_bind(), Some(first.clone()));
        let second = directory.path().join("run-user/m2d/m2d.sock");
        let third = directory.path().join("data/run/m2d.sock");
        let last = PathBuf::from(SYSTEM);
        assert_eq!(here.to_look_at(), [first, second, third, last]);
    }

    #[test]
    fn without_the_variable_the_users_runtime_directory_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let mut here = surroundings(directory.path());
        here.runtime = None;
        let found = directory.path().join("run-user/m2d/m2d.sock");
        assert_eq!(here.to_bind(), Some(found.clone()));
        assert_eq!(here.to_look_at().first(), Some(&found));
    }

    #[test]
    fn a_runtime_directory_of_another_user_is_skipped_for_binding() {
        let directory = tempfile::tempdir().unwrap();
        let mut here = surroundings(directory.path());
        here.uid = own_uid() + 1;
        let data = directory.path().join("data/run/m2d.sock");
        assert_eq!(here.to_bind(), Some(data.clone()));
        // A front-end of root may still connect there: both places are tried.
        let named = directory.path().join("m2d/m2d.sock");
        assert_eq!(here.to_look_at(), [named, data, PathBuf::from(SYSTEM)]);
    }

    #[test]
    fn a_place_listed_twice_is_tried_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut here = surroundings(directory.path());
        here.run_user = here.runtime.clone();
        assert_eq!(here.to_look_at().len(), 3);
    }

    #[test]
    fn without_a_home_a_daemon_has_no_place_and_front_ends_try_the_system_service() {
        let here = Surroundings {
            runtime: None,
            run_user: None,
            data: None,
            system: Some(PathBuf::from(SYSTEM)),
            uid: own_uid(),
        };
        assert_eq!(here.to_bind(), None);
        assert_eq!(here.to_look_at(), [PathBuf::from(SYSTEM)]);
    }
}
