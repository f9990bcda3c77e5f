//! The daemon's files, examined for access that other users of the computer have to them, and for room.

use crate::config::Config;
use crate::config::private_file::{self, PrivateFileError};
use crate::key_file;
use m2_backup::exposure::{Exposure, Kind, quoted};
use m2_engine::{Area, Warning};
use std::fs;
use std::path::{Path, PathBuf};

/// The paths of the daemon's files.
#[derive(Debug)]
pub struct Files {
    data_dir: PathBuf,
    files: Vec<(PathBuf, Kind)>,
    /// The secrets that the configuration names.
    secrets: Vec<PathBuf>,
}

impl Files {
    /// Returns the files of a data directory and of the configuration that was read from `config_file`.
    pub fn new(config: &Config, data_dir: &Path, config_file: &Path) -> Self {
        let secrets = [&config.circle.secret_file, &config.identity.passphrase_file];
        Self {
            data_dir: data_dir.to_owned(),
            files: vec![
                (data_dir.to_owned(), Kind::DataDirectory),
                (data_dir.join(key_file::FILE_NAME), Kind::Key),
                (config_file.to_owned(), Kind::Configuration),
            ],
            secrets: secrets.into_iter().flatten().cloned().collect(),
        }
    }

    /// Adds the socket of the API, with the mode that the configuration gives it. A socket without a path is ignored.
    #[must_use]
    pub fn with_socket(mut self, path: &Path, mode: u32) -> Self {
        if !path.as_os_str().is_empty() {
            self.files.push((path.to_owned(), Kind::Socket(mode)));
        }
        self
    }

    /// Returns a warning for each file to which other users have too much access now.
    pub fn warnings(&self) -> Vec<Warning> {
        let files = self.files.iter();
        let exposed = files.filter_map(|(path, kind)| Some((*kind, Exposure::found(path, *kind)?)));
        let exposed = exposed.map(|(kind, found)| Warning {
            is_problem: matches!(kind, Kind::Key | Kind::DataDirectory),
            ..Warning::new(Area::Permissions, found.to_string()).mended_by(found.remedy())
        });
        exposed
            .chain(self.secrets.iter().filter_map(|path| secret(path)))
            .collect()
    }

    /// Logs the warnings. To be called at the start, when the socket has no place yet.
    pub fn log(&self) {
        for warning in self.warnings() {
            tracing::warn!("{}", warning.text);
        }
    }

    /// Returns the bytes that the daemon may still write to the disk of its data directory.
    pub fn free_bytes(&self) -> Option<u64> {
        m2_store::free_bytes(&self.data_dir)
    }

    /// Returns the size of the store with its log.
    pub fn store_bytes(&self) -> u64 {
        let names = [m2_store::FILE_NAME, m2_store::LOG_NAME].into_iter();
        let sizes = names.map(|name| fs::metadata(self.data_dir.join(name)));
        sizes.map(|file| file.map_or(0, |file| file.len())).sum()
    }

    /// Returns the data directory.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }
}

/// Returns a warning if other users can read or change a file with a secret. A file that is missing or too large is
/// reported at the start.
fn secret(path: &Path) -> Option<Warning> {
    let error = private_file::check(path).err()?;
    let is_open = matches!(error, PrivateFileError::OpenToOthers { .. });
    is_open.then(|| {
        let remedy = format!("chmod 600 {}", quoted(path));
        Warning::problem(Area::Permissions, error.to_string()).mended_by(remedy)
    })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    #[test]
    fn each_file_that_is_too_open_is_reported_until_its_mode_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let mut config = Config::default();
        config.circle.secret_file = Some(path("circle.key"));
        for name in ["identity.pem", "m2d.toml", "circle.key", "m2d.sock"] {
            fs::write(path(name), "x").unwrap();
            set_mode(&path(name), 0o600);
        }
        let files = Files::new(&config, directory.path(), &path("m2d.toml"));
        let files = files.with_socket(&path("m2d.sock"), 0o600);
        assert_eq!(files.warnings(), []);

        for (name, mode, is_problem) in [
            ("", 0o777, true),
            ("identity.pem", 0o644, true),
            ("m2d.toml", 0o666, false),
            ("m2d.sock", 0o666, false),
            ("circle.key", 0o644, true),
        ] {
            // The files can be reached by other users only if their directories can.
            set_mode(directory.path(), 0o755);
            let before = fs::metadata(path(name)).unwrap().permissions();
            set_mode(&path(name), mode);
            let warnings = files.warnings();
            assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
            assert_eq!(warnings[0].is_problem, is_problem);
            assert!(warnings[0].remedy.starts_with("chmod "), "{warnings:?}");
            fs::set_permissions(path(name), before).unwrap();
        }
    }
}
