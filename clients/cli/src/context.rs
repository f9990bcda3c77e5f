//! What every command has: the output and the way to the daemon.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use m2_proto::client::Client;
use m2_proto::socket;
use tonic::{Response, Status};

use crate::failure::Failure;
use crate::output::Output;

/// How long the daemon may take for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The output and the way to the daemon.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where results go.
    pub(crate) out: Output,
    socket: Option<PathBuf>,
}

impl Context {
    /// `socket` is what the flag or the environment says.
    pub(crate) fn new(out: Output, socket: Option<PathBuf>) -> Self {
        Self {
            out,
            socket: socket.or_else(socket::default_path),
        }
    }

    /// The daemon's socket.
    pub(crate) fn socket(&self) -> Result<&Path, Failure> {
        self.socket.as_deref().ok_or_else(|| {
            Failure::Usage("There is no home directory. Name the socket with --socket.".to_owned())
        })
    }

    /// A connection to the daemon.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        Ok(Client::connect(self.socket()?).await?)
    }
}

/// One call, with a bound on how long the answer may take.
pub(crate) async fn call<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER_TIMEOUT, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Failure::TimedOut(format!(
            "The daemon did not answer within {} s. `m2 status` shows how it does.",
            ANSWER_TIMEOUT.as_secs()
        ))),
    }
}
