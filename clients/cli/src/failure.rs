//! Failures of commands: an exit code, a stable reason, and a sentence that says what to do.

use std::io;
use std::path::{Path, PathBuf};

use m2_proto::client::ConnectError;
use m2_proto::{reason, socket};
use thiserror::Error;
use tonic::{Code, Status};

/// Exit code: the daemon refused the request, or a local operation failed.
pub const REFUSED: u8 = 1;
/// Exit code: the command line is invalid.
pub const USAGE: u8 = 2;
/// Exit code: no daemon is running, or it stopped.
pub const NO_DAEMON: u8 = 3;
/// Exit code: a timeout.
pub const TIMED_OUT: u8 = 4;

/// The reason for which a command failed.
#[derive(Debug, Error)]
pub enum Failure {
    /// The daemon refused the request.
    #[error("{message}")]
    Refused {
        /// The reason, as in `google.rpc.ErrorInfo`.
        reason: String,
        /// The problem, and what to do next.
        message: String,
        /// The daemon's metadata for programs: the field of the request and its limit.
        metadata: Vec<(String, String)>,
    },
    /// A local file, the terminal or a child process failed.
    #[error("{0}")]
    Local(String),
    /// The command line is invalid.
    #[error("{0}")]
    Usage(String),
    /// No daemon is running, or it stopped.
    #[error("{0}")]
    NoDaemon(String),
    /// A timeout.
    #[error("{0}")]
    TimedOut(String),
    /// The output was closed by its reader, so that nothing more is printed.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    /// Returns a refusal by the command itself, with the daemon's sentence for the reason.
    #[must_use]
    pub fn refused(reason: reason::Reason) -> Self {
        Self::Refused {
            reason: reason.as_str().to_owned(),
            message: reason.sentence().to_owned(),
            metadata: Vec::new(),
        }
    }

    /// Returns a refusal with a reason that only commands have.
    pub(crate) fn because(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
            message: message.into(),
            metadata: Vec::new(),
        }
    }

    /// Returns the failure with a further sentence.
    #[must_use]
    pub(crate) fn followed_by(mut self, sentence: &str) -> Self {
        match &mut self {
            Self::Refused { message, .. }
            | Self::Local(message)
            | Self::Usage(message)
            | Self::NoDaemon(message)
            | Self::TimedOut(message) => message.push_str(sentence),
            Self::OutputClosed => {}
        }
        self
    }

    /// Returns the daemon's metadata for programs.
    #[must_use]
    pub fn metadata(&self) -> &[(String, String)] {
        match self {
            Self::Refused { metadata, .. } => metadata,
            _ => &[],
        }
    }

    /// Returns the exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } | Self::Local(_) => REFUSED,
            Self::Usage(_) => USAGE,
            Self::NoDaemon(_) => NO_DAEMON,
            Self::TimedOut(_) => TIMED_OUT,
            Self::OutputClosed => 0,
        }
    }

    /// Returns the stable reason for scripts.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused { reason, .. } => reason,
            Self::Local(_) => "LOCAL",
            Self::Usage(_) => "USAGE",
            Self::NoDaemon(_) => "NO_DAEMON",
            Self::TimedOut(_) => "TIMED_OUT",
            Self::OutputClosed => "OUTPUT_CLOSED",
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let message = status.message().to_owned();
        if let Some(reason) = reason::text_of(&status) {
            return Self::Refused {
                reason,
                message,
                metadata: reason::metadata_of(&status),
            };
        }
        match status.code() {
            // Without a reason from the daemon these codes come from the connection.
            Code::Unavailable | Code::Unknown | Code::Cancelled => Self::NoDaemon(
                "The daemon went away. Start it with `m2d run` and try again.".to_owned(),
            ),
            Code::DeadlineExceeded => Self::TimedOut("The daemon did not answer in time.".into()),
            Code::Unimplemented => Self::Refused {
                reason: "UNIMPLEMENTED".to_owned(),
                message: "The daemon does not know this call. Update m2d.".to_owned(),
                metadata: Vec::new(),
            },
            code => Self::Refused {
                reason: code_name(code),
                message,
                metadata: Vec::new(),
            },
        }
    }
}

/// Lists the paths on which no daemon answered, and the variables that are not set.
fn nowhere(places: &[PathBuf]) -> String {
    let looked: Vec<String> = places
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let looked = match looked.as_slice() {
        [] => "There is no home directory, so no place is known".to_owned(),
        [one] => format!("Looked at {one}"),
        [first @ .., last] => format!("Looked at {} and {last}", first.join(", ")),
    };
    let unset = match std::env::var_os(socket::RUNTIME_DIR_ENV) {
        Some(_) => "",
        None => "; XDG_RUNTIME_DIR is not set",
    };
    format!(
        "No daemon answers. {looked}{unset}. Start it with `m2d run`, or name its socket with \
         --socket or M2_SOCKET."
    )
}

/// Converts a code to gRPC's notation: `OUT_OF_RANGE` for `OutOfRange`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// How a user is admitted by the daemon of the system service.
#[cfg(unix)]
const HOW_TO_BE_ADMITTED: &str = "only members of the group of this socket may use it. Join the group with \
    `sudo usermod -aG m2 USER`, and log in again.";
#[cfg(windows)]
const HOW_TO_BE_ADMITTED: &str = "only administrators and the users that [access] in its configuration names \
    may use it. Run the command as administrator, or add the user there.";

/// Returns whether the socket of the system service exists and is not open to this user.
fn is_closed_system(path: &Path, error: &io::Error) -> bool {
    path == Path::new(socket::SYSTEM) && error.kind() == io::ErrorKind::PermissionDenied
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        match &error {
            ConnectError::NoDaemon { path } => Self::NoDaemon(format!(
                "No daemon answers at {}. Start it with `m2d run`, or name its socket with --socket.",
                path.display()
            )),
            ConnectError::NoDaemonAnywhere { places } => Self::NoDaemon(nowhere(places)),
            ConnectError::PathTooLong { path } => Self::NoDaemon(format!(
                "The socket path {} is {} bytes long; at most {} are possible.",
                path.display(),
                path.as_os_str().len(),
                socket::MAX_PATH_BYTES
            )),
            ConnectError::Busy { path } => Self::TimedOut(format!(
                "The daemon at {} accepts no more connections. End front-ends that you don't need.",
                path.display()
            )),
            ConnectError::Io { path, source } if is_closed_system(path, source) => {
                Self::NoDaemon(format!(
                    "The system's daemon at {} does not admit this user: {HOW_TO_BE_ADMITTED}",
                    path.display()
                ))
            }
            ConnectError::Io { path, source } => Self::NoDaemon(format!(
                "Can't open {}: {source}. Only the user that the daemon runs as may use it, and those \
                 that [access] in its configuration names.",
                path.display()
            )),
            ConnectError::Transport { path, .. } => Self::NoDaemon(format!(
                "{} does not answer like an M2 daemon: it is another program's, or the daemon has \
                 too many front-ends.",
                path.display()
            )),
            ConnectError::Untrusted { path, owner } => Self::NoDaemon(format!(
                "A program of another user ({owner}) listens at {}, where a daemon of yours is expected. \
                 Nothing was sent to it. End that program, or name your daemon's socket with --socket.",
                path.display()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_the_system_service_is_named() {
        let denied = |path: &str| {
            Failure::from(ConnectError::Io {
                path: PathBuf::from(path),
                source: io::ErrorKind::PermissionDenied.into(),
            })
        };
        assert!(
            denied(socket::SYSTEM)
                .to_string()
                .contains("usermod -aG m2")
        );
        assert!(!denied("/run/other.sock").to_string().contains("usermod"));
    }

    #[test]
    fn errors_without_a_reason_get_one() {
        let failure = Failure::from(Status::out_of_range("too large"));
        assert_eq!((failure.reason(), failure.exit_code()), ("OUT_OF_RANGE", 1));
        let failure = Failure::from(Status::unknown("h2 protocol error"));
        assert_eq!((failure.reason(), failure.exit_code()), ("NO_DAEMON", 3));
        let failure = Failure::from(reason::Reason::Stopping.status());
        assert_eq!((failure.reason(), failure.exit_code()), ("STOPPING", 1));
    }
}
