//! Where the daemon's local socket is.

use std::path::PathBuf;

use directories::ProjectDirs;

/// The environment variable that names another socket for front-ends.
pub const ENV: &str = "M2_SOCKET";

/// The socket's file name in its directory.
pub const FILE_NAME: &str = "m2d.sock";

/// The socket when nobody says otherwise; the daemon and every front-end ask here.
///
/// `$XDG_RUNTIME_DIR/m2d/m2d.sock`. Where there is no such directory (macOS, or a login without
/// one), `run/m2d.sock` in the user's data directory for `m2d`: `~/.local/share/m2d/run` on
/// Linux, `~/Library/Application Support/m2d/run` on macOS. The daemon makes the socket's
/// directory with mode 0700 and the socket with 0600.
///
/// `None` when the user has no home directory: then the path must be given.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    let dirs = ProjectDirs::from("", "", "m2d")?;
    let dir = match dirs.runtime_dir() {
        Some(runtime) => runtime.to_path_buf(),
        None => dirs.data_dir().join("run"),
    };
    Some(dir.join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_an_absolute_path_of_the_user() {
        if let Some(path) = default_path() {
            assert!(path.is_absolute());
            assert!(path.ends_with("m2d/m2d.sock") || path.ends_with("m2d/run/m2d.sock"));
        }
    }
}
