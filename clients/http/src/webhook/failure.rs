//! Why an event could not be delivered.

use crate::problem::Problem;
use m2_proto::client::ConnectError;
use m2_proto::token::TokenError;
use std::error::Error;
use std::time::Duration;
use thiserror::Error;
use tonic::Status;

/// The longest text of an error that is shown, in bytes.
const MAX_TEXT: usize = 160;

/// The reason why the receiver did not accept an event.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Refused {
    #[error("The receiver does not answer within {} s.", .0.as_secs())]
    Timeout(Duration),
    #[error("The receiver answers with status {status}{}.", hint(*.status))]
    Status {
        status: u16,
        /// How long the receiver asks to wait.
        retry_after: Option<Duration>,
    },
    #[error("The connection to the receiver fails: {0}.")]
    Connection(String),
}

/// The reason why the daemon gives no events.
#[derive(Debug, Error)]
pub(super) enum Absent {
    #[error("{0}")]
    Token(#[from] TokenError),
    #[error("The daemon can't be reached: {0}.")]
    Connect(#[from] ConnectError),
    #[error("The daemon refuses: {0}")]
    Refused(String),
    #[error("The daemon has ended the stream of events.")]
    Ended,
}

impl Refused {
    /// Returns the failure for an error of the connection: its innermost cause.
    pub(super) fn connection(error: &dyn Error) -> Self {
        let mut cause = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        Self::Connection(printable(&cause.to_string()))
    }

    /// Returns how long the receiver asks to wait.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl From<Status> for Absent {
    fn from(status: Status) -> Self {
        Self::Refused(printable(Problem::from(status).detail()))
    }
}

const fn hint(status: u16) -> &'static str {
    match status {
        300..=399 => ", a redirect, which is not followed: set `url` to its target",
        401 | 403 => ": check that it has the same secret",
        404 | 410 => ": check `url`",
        _ => "",
    }
}

/// Returns the beginning of a text in one line. A receiver chooses parts of it.
fn printable(text: &str) -> String {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown = String::new();
    for c in line {
        if shown.len() + c.len_utf8() > MAX_TEXT {
            shown.push('…');
            break;
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn texts_of_others_are_one_short_line() {
        let error = io::Error::other("a\r\n\u{1b}[2J".repeat(100));
        let text = Refused::connection(&error).to_string();
        assert!(text.len() < 256, "{text}");
        assert!(!text.chars().any(char::is_control), "{text}");
    }

    #[test]
    fn a_status_says_what_to_do() {
        let refused = |status| Refused::Status {
            status,
            retry_after: None,
        };
        let told = refused(302).to_string();
        assert!(told.contains("not followed"), "{told}");
        let told = refused(500).to_string();
        assert_eq!(told, "The receiver answers with status 500.");
    }
}
