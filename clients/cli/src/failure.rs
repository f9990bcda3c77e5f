//! How a command fails: an exit code, a stable reason, and a sentence that says what to do.

use std::path::PathBuf;

use m2_proto::client::ConnectError;
use m2_proto::{reason, socket};
use thiserror::Error;
use tonic::{Code, Status};

/// Exit code: the daemon said no, or this side could not do its part.
pub const REFUSED: u8 = 1;
/// Exit code: the command line is not right.
pub const USAGE: u8 = 2;
/// Exit code: no daemon, or it went away.
pub const NO_DAEMON: u8 = 3;
/// Exit code: it took longer than it may.
pub const TIMED_OUT: u8 = 4;

/// Why a command ended without doing all it should.
#[derive(Debug, Error)]
pub enum Failure {
    /// The daemon said no.
    #[error("{message}")]
    Refused {
        /// The reason as in `google.rpc.ErrorInfo`.
        reason: String,
        /// What is wrong, and what to do next.
        message: String,
        /// What the daemon tells programs: the field of the request and its limit.
        metadata: Vec<(String, String)>,
    },
    /// A file, the terminal or a child process of this side failed.
    #[error("{0}")]
    Local(String),
    /// The command line is not right.
    #[error("{0}")]
    Usage(String),
    /// No daemon, or it went away.
    #[error("{0}")]
    NoDaemon(String),
    /// It took longer than it may.
    #[error("{0}")]
    TimedOut(String),
    /// Nobody reads the output any more: no reason to say more.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    /// A refusal of this side that the daemon would have said in the same words.
    #[must_use]
    pub fn refused(reason: reason::Reason) -> Self {
        Self::Refused {
            reason: reason.as_str().to_owned(),
            message: reason.sentence().to_owned(),
            metadata: Vec::new(),
        }
    }

    /// A refusal with a reason that only commands have.
    pub(crate) fn because(reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
            message: message.into(),
            metadata: Vec::new(),
        }
    }

    /// What the daemon tells programs in addition to the reason.
    #[must_use]
    pub fn metadata(&self) -> &[(String, String)] {
        match self {
            Self::Refused { metadata, .. } => metadata,
            _ => &[],
        }
    }

    /// The exit code.
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

    /// The stable reason for scripts.
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
            // Without a reason of the daemon these come from the connection itself.
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

/// Names the places at which no daemon answers, and what else might be set.
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

/// `OUT_OF_RANGE` for `OutOfRange`, as gRPC writes it.
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
            ConnectError::Io { path, source } => Self::NoDaemon(format!(
                "Can't open {}: {source}. Only the user that the daemon runs as may use it.",
                path.display()
            )),
            ConnectError::Transport { path, .. } => Self::NoDaemon(format!(
                "{} does not answer like an M2 daemon: it is another program's, or the daemon has \
                 too many front-ends.",
                path.display()
            )),
            ConnectError::Unsupported => Self::NoDaemon(format!("{error}.")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
