//! Default locations of the configuration, the data and the socket. Directories that a service manager
//! names come before those of the user (systemd.exec(5), `StateDirectory=`).
//!
//! On Windows both directories are in %LOCALAPPDATA%, which stays on this computer: an identity that
//! roamed would be used by two daemons.

use crate::args::PathArgs;
use directories::ProjectDirs;
use m2_proto::socket;
use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use thiserror::Error;

/// No home directory is known, so there is no default location.
#[derive(Debug, Error)]
#[error("no home directory is known: give --config, --data-dir and --socket")]
pub struct NoHome;

/// Returns the path of the configuration file and whether the file may be absent.
pub fn config_file(given: Option<&PathBuf>) -> Result<(PathBuf, bool), NoHome> {
    if let Some(path) = given {
        return Ok((path.clone(), false));
    }
    let directory = match service_directory("CONFIGURATION_DIRECTORY") {
        Some(directory) => directory,
        None => project()?.config_local_dir().to_owned(),
    };
    Ok((directory.join("m2d.toml"), true))
}

/// Returns the directory of the identity and the store.
pub fn data_dir(args: &PathArgs) -> Result<PathBuf, NoHome> {
    let given = args.data_dir.clone();
    match given.or_else(|| service_directory("STATE_DIRECTORY")) {
        Some(path) => Ok(path),
        None => Ok(project()?.data_local_dir().to_owned()),
    }
}

/// Returns the path of the socket for front-ends.
pub fn socket(given: Option<&PathBuf>) -> Result<PathBuf, NoHome> {
    let runtime = || service_directory("RUNTIME_DIRECTORY");
    given
        .cloned()
        .or_else(socket::from_env)
        .or_else(|| Some(runtime()?.join(socket::FILE_NAME)))
        .or_else(socket::default_path)
        .ok_or(NoHome)
}

/// Returns the first directory of the list that the service manager passes in a variable.
fn service_directory(variable: &str) -> Option<PathBuf> {
    first_of(&env::var_os(variable)?)
}

/// Returns the first absolute path of a list whose entries are separated by colons.
fn first_of(list: &OsStr) -> Option<PathBuf> {
    env::split_paths(list).find(|path| path.is_absolute())
}

fn project() -> Result<ProjectDirs, NoHome> {
    ProjectDirs::from("", "", "m2d").ok_or(NoHome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_first_directory_of_a_list_is_used() {
        let first = |list: &str| first_of(OsStr::new(list));
        let state = Some(Path::new("/var/lib/m2d").to_owned());
        assert_eq!(first("/var/lib/m2d"), state);
        assert_eq!(first("/var/lib/m2d:/var/lib/other"), state);
        assert_eq!(first(":relative:/var/lib/m2d"), state);
        assert_eq!(first(""), None);
    }

    #[test]
    fn given_paths_come_first() {
        let given = PathBuf::from("/etc/here.toml");
        let (file, may_be_absent) = config_file(Some(&given)).unwrap();
        assert_eq!((file.as_path(), may_be_absent), (given.as_path(), false));
        let args = PathArgs {
            data_dir: Some(given.clone()),
            ..PathArgs::default()
        };
        assert_eq!(data_dir(&args).unwrap(), given);
        assert_eq!(socket(Some(&given)).unwrap(), given);
    }
}
