//! Default locations of the configuration, the data and the socket.

use crate::args::PathArgs;
use directories::ProjectDirs;
use std::path::PathBuf;
use thiserror::Error;

/// No home directory is known, so there is no default location.
#[derive(Debug, Error)]
#[error("no home directory is known: give --config, --data-dir and --socket")]
pub struct NoHome;

/// Returns the path of the configuration file and whether the file may be absent.
pub fn config_file(given: Option<&PathBuf>) -> Result<(PathBuf, bool), NoHome> {
    match given {
        Some(path) => Ok((path.clone(), false)),
        None => Ok((project()?.config_dir().join("m2d.toml"), true)),
    }
}

/// Returns the directory of the identity and the store.
pub fn data_dir(args: &PathArgs) -> Result<PathBuf, NoHome> {
    match &args.data_dir {
        Some(path) => Ok(path.clone()),
        None => Ok(project()?.data_dir().to_owned()),
    }
}

/// Returns the path of the socket for front-ends.
pub fn socket(given: Option<&PathBuf>) -> Result<PathBuf, NoHome> {
    match given {
        Some(path) => Ok(path.clone()),
        None => m2_proto::socket::default_path().ok_or(NoHome),
    }
}

fn project() -> Result<ProjectDirs, NoHome> {
    ProjectDirs::from("", "", "m2d").ok_or(NoHome)
}
