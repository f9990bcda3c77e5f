//! The default places of a Unix socket.

use super::{FILE_NAME, RUNTIME_DIR_ENV, SYSTEM};
use directories::ProjectDirs;
use std::path::{Path, PathBuf};

/// The directory in which systemd and elogind create each user's runtime directory.
const RUN_USER: &str = "/run/user";

/// The properties of the process on which the choice of a place depends.
#[derive(Debug)]
pub(super) struct Surroundings {
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
    pub(super) fn of_process() -> Self {
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
    pub(super) fn to_bind(&self) -> Option<PathBuf> {
        let runtime = self.runtime.as_ref();
        runtime
            .filter(|path| owner(path).is_none_or(|owner| owner == self.uid))
            .or_else(|| self.own_run_user())
            .map(|runtime| in_runtime(runtime))
            .or_else(|| self.in_data())
    }

    pub(super) fn to_look_at(&self) -> Vec<PathBuf> {
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

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns the owner of a directory, or `None` if the directory does not exist.
fn owner(path: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(path).ok()?;
    let is_dir = metadata.is_dir();
    is_dir.then(|| std::os::unix::fs::MetadataExt::uid(&metadata))
}

#[cfg(test)]
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
