//! Files of a daemon to which other users of the computer have access.

use std::fmt;
use std::path::{Path, PathBuf};

/// What a file is, which determines the access that others may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The directory of the key and the store.
    DataDirectory,
    /// The identity's key.
    Key,
    /// The configuration, which others may read.
    Configuration,
    /// The socket of the API, with the mode that the configuration gives it.
    Socket(u32),
}

/// A file to which other users have more access than its kind permits. The text is for people, and says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    path: PathBuf,
    kind: Kind,
    mode: u32,
}

impl Exposure {
    /// Examines a file. Returns `None` if its mode is narrow enough, or if it can't be examined.
    #[must_use]
    pub fn found(path: &Path, kind: Kind) -> Option<Self> {
        Self::judge(path, kind, mode_of(path)?)
    }

    /// Judges the mode of a file.
    #[must_use]
    pub fn judge(path: &Path, kind: Kind, mode: u32) -> Option<Self> {
        (mode & kind.forbidden() != 0).then(|| Self {
            path: path.to_owned(),
            kind,
            mode,
        })
    }

    /// Returns the command that ends the exposure.
    #[must_use]
    pub fn remedy(&self) -> String {
        let path = quoted(&self.path);
        match self.kind {
            Kind::DataDirectory => format!("chmod 700 {path}"),
            Kind::Key => format!("chmod 600 {path}"),
            Kind::Configuration => format!("chmod go-w {path}"),
            Kind::Socket(mode) => format!("chmod {mode:o} {path}"),
        }
    }
}

impl Kind {
    /// Returns the bits of a mode that a file of this kind must not have.
    const fn forbidden(self) -> u32 {
        match self {
            Self::DataDirectory | Self::Configuration => 0o022,
            Self::Key => 0o077,
            Self::Socket(mode) => 0o666 & !mode,
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, mode, remedy) = (self.path.display(), self.mode, self.remedy());
        match self.kind {
            Kind::DataDirectory => write!(
                f,
                "The data directory {path} has mode {mode:04o}: other users may replace your key and store. Run \
                 `{remedy}`."
            ),
            Kind::Key => write!(
                f,
                "The key file {path} has mode {mode:04o}: other users may read or change it. Run `{remedy}`. If \
                 others could read it, they may have a copy of your identity."
            ),
            Kind::Configuration => write!(
                f,
                "The configuration {path} has mode {mode:04o}: other users may change it. Run `{remedy}`."
            ),
            Kind::Socket(_) => write!(
                f,
                "The socket {path} has mode {mode:04o}, which is wider than [access] asks for: other users may \
                 connect, although the daemon refuses their calls. Run `{remedy}`."
            ),
        }
    }
}

/// Returns a path as one word of a shell.
#[must_use]
pub fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(unix)]
fn mode_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = path.metadata().ok()?;
    Some(metadata.permissions().mode() & 0o7777)
}

/// Returns nothing: this system has no permission bits.
#[cfg(not(unix))]
fn mode_of(_: &Path) -> Option<u32> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_access_that_it_permits_and_a_remedy() {
        let cases = [
            (Kind::DataDirectory, 0o755, None),
            (Kind::DataDirectory, 0o777, Some("chmod 700 /d")),
            (Kind::DataDirectory, 0o770, Some("chmod 700 /d")),
            (Kind::Key, 0o600, None),
            (Kind::Key, 0o400, None),
            (Kind::Key, 0o640, Some("chmod 600 /d")),
            (Kind::Key, 0o644, Some("chmod 600 /d")),
            (Kind::Configuration, 0o644, None),
            (Kind::Configuration, 0o664, Some("chmod go-w /d")),
            (Kind::Socket(0o600), 0o700, None),
            (Kind::Socket(0o660), 0o660, None),
            (Kind::Socket(0o660), 0o666, Some("chmod 660 /d")),
            (Kind::Socket(0o600), 0o660, Some("chmod 600 /d")),
        ];
        for (kind, mode, remedy) in cases {
            let found = Exposure::judge(Path::new("/d"), kind, mode);
            let told = found.as_ref().map(Exposure::remedy);
            assert_eq!(told.as_deref(), remedy, "{kind:?} {mode:o}");
            let names_it = |found: &Exposure| found.to_string().contains(&format!("{mode:04o}"));
            assert!(found.as_ref().is_none_or(names_it));
        }
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        let word = |path: &str| quoted(Path::new(path));
        assert_eq!(word("/var/lib/m2d"), "/var/lib/m2d");
        assert_eq!(word("/home/a b"), "'/home/a b'");
        assert_eq!(word("/x'; rm -r $HOME"), r"'/x'\''; rm -r $HOME'");
    }

    #[cfg(unix)]
    #[test]
    fn the_remedy_ends_the_exposure() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("a key");
        std::fs::write(&key, "x").unwrap();
        std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
        let found = Exposure::found(&key, Kind::Key).unwrap();
        let mut shell = std::process::Command::new("sh");
        assert!(
            shell
                .args(["-c", &found.remedy()])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(Exposure::found(&key, Kind::Key), None);
        assert_eq!(Exposure::found(Path::new("/no/such/file"), Kind::Key), None);
    }
}
