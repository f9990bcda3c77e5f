//! The files that the configuration names. A relative path is relative to the directory of the
//! configuration file, not to the working directory.

use super::ranges::Section;
use super::{Config, ConfigError};
use std::path::{Path, PathBuf};

impl Config {
    /// Makes every path absolute. `file` is the configuration file.
    pub(super) fn resolve_paths(&mut self, file: &Path) -> Result<(), ConfigError> {
        let whole = std::path::absolute(file).map_err(|source| ConfigError::Read {
            path: file.to_owned(),
            source,
        })?;
        let directory = whole.parent().unwrap_or(Path::new("/"));
        if let Some(path) = &mut self.circle.secret_file {
            resolve(path, directory)
                .map_err(|expected| Section("circle").wrong("secret_file", expected))?;
        }
        if let Some(path) = &mut self.identity.passphrase_file {
            resolve(path, directory)
                .map_err(|expected| Section("identity").wrong("passphrase_file", expected))?;
        }
        Ok(())
    }
}

/// Resolves one path. The error describes the accepted values.
fn resolve(path: &mut PathBuf, directory: &Path) -> Result<(), &'static str> {
    if path.as_os_str().is_empty() {
        return Err("the path of a file");
    }
    if path.starts_with("~") {
        return Err("a path without `~`, which is not expanded: give the whole path");
    }
    *path = directory.join(&*path);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(given: &str) -> Result<PathBuf, String> {
        let mut config = Config::default();
        config.circle.secret_file = Some(PathBuf::from(given));
        config.identity.passphrase_file = Some(PathBuf::from("/run/secrets/m2d"));
        config
            .resolve_paths(Path::new("/etc/m2/m2d.toml"))
            .map_err(|error| error.to_string())?;
        assert_eq!(
            config.identity.passphrase_file.unwrap(),
            Path::new("/run/secrets/m2d")
        );
        Ok(config.circle.secret_file.unwrap())
    }

    #[test]
    fn relative_paths_start_at_the_configuration_file() {
        assert_eq!(
            resolved("circle.key").unwrap(),
            Path::new("/etc/m2/circle.key")
        );
        assert_eq!(resolved("../key").unwrap(), Path::new("/etc/m2/../key"));
        assert_eq!(resolved("/else/key").unwrap(), Path::new("/else/key"));
    }

    #[test]
    fn a_tilde_is_refused_instead_of_taken_literally() {
        let error = resolved("~/circle.key").unwrap_err();
        assert!(error.contains("[circle] secret_file"), "{error}");
        assert!(error.contains('~'), "{error}");
        assert!(resolved("").is_err());
    }
}
