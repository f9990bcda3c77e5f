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
//! On Windows the socket is a named pipe, and 3 to 6 are: the pipe of this user, whose name ends with
//! the user's security identifier, and for front-ends then the pipe of the service, [`SYSTEM`].
//!
//! The daemon binds the first of them, and creates the socket's directory with mode 0700 and the
//! socket with mode 0600. A front-end connects to the first of the default places at which a daemon
//! answers. A service manager may pass the daemon an open socket instead; then none is bound.

#[cfg(unix)]
#[path = "socket/unix.rs"]
mod places;
#[cfg(windows)]
#[path = "socket/pipe.rs"]
mod places;

#[cfg(windows)]
pub use places::SERVICE_SID;
#[cfg(windows)]
pub(crate) use places::is_trusted;

use directories::ProjectDirs;
use std::path::{Path, PathBuf};

/// The environment variable that names another socket, for the daemon and its front-ends.
pub const ENV: &str = "M2_SOCKET";

/// The environment variable that names the user's runtime directory.
pub const RUNTIME_DIR_ENV: &str = "XDG_RUNTIME_DIR";

/// The socket's file name in its directory.
pub const FILE_NAME: &str = "m2d.sock";

/// The socket of the system service. On Linux its service manager binds it.
pub const SYSTEM: &str = if cfg!(windows) {
    r"\\.\pipe\m2d"
} else {
    "/run/m2d/m2d.sock"
};

/// The beginning of the name of each pipe of Windows.
pub const PIPE_PREFIX: &str = r"\\.\pipe\";

/// Maximum length of the path of a Unix socket, or of the name of a pipe, on this system, in bytes.
pub const MAX_PATH_BYTES: usize = if cfg!(windows) {
    256
} else if cfg!(target_os = "linux") {
    107
} else {
    103
};

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
    from_env().or_else(|| places::Surroundings::of_process().to_bind())
}

/// Returns the places at which a front-end looks for a daemon if no option names one: [`from_env`]
/// alone, otherwise the default places in order.
#[must_use]
pub fn places() -> Vec<PathBuf> {
    match from_env() {
        Some(path) => vec![path],
        None => places::Surroundings::of_process().to_look_at(),
    }
}

/// Returns the user's data directory for `m2d`, or `None` if the user has no home directory.
#[must_use]
pub fn data_dir() -> Option<PathBuf> {
    let project = ProjectDirs::from("", "", "m2d")?;
    // On Windows the directory that does not roam; elsewhere there is one only.
    Some(project.data_local_dir().to_owned())
}

/// Returns whether `path` is longer than the path of a Unix socket can be.
#[must_use]
pub fn is_too_long(path: &Path) -> bool {
    path.as_os_str().len() > MAX_PATH_BYTES
}
