//! The output and the connection to the daemon, for every command.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use m2_proto::client::Client;
use m2_proto::socket;
use tonic::{Response, Status};

use crate::failure::Failure;
use crate::output::Output;

/// The timeout of one answer of the daemon.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The output and the connection to the daemon.
#[derive(Debug)]
pub(crate) struct Context {
    /// The output for results.
    pub(crate) out: Output,
    /// The socket that the flag or the environment names.
    given: Option<PathBuf>,
    /// The socket on which a daemon answered.
    found: OnceLock<PathBuf>,
}

impl Context {
    /// Returns a context. `given` is the socket that the flag names.
    pub(crate) fn new(out: Output, given: Option<PathBuf>) -> Self {
        Self {
            out,
            given: given.or_else(socket::from_env),
            found: OnceLock::new(),
        }
    }

    /// Returns the daemon's socket, once [`client`](Self::client) has found it.
    pub(crate) fn socket(&self) -> Option<&Path> {
        let given = self.given.as_deref();
        given.or_else(|| self.found.get().map(PathBuf::as_path))
    }

    /// Connects to the daemon.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        if let Some(socket) = self.socket() {
            return Ok(Client::connect(socket).await?);
        }
        let (client, socket) = Client::connect_any(&socket::places()).await?;
        // If two calls connect concurrently, either result is valid.
        let _ = self.found.set(socket);
        Ok(client)
    }
}

/// Awaits a call of the API, with a timeout.
pub(crate) async fn call<T>(
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWER_TIMEOUT, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Failure::TimedOut(format!(
            "The daemon did not answer within {} s. `m2 status` shows its state.",
            ANSWER_TIMEOUT.as_secs()
        ))),
    }
}
