//! The output and the connection to the daemon, for every command.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use m2_proto::client::Client;
use m2_proto::socket;
use m2_proto::token::Token;
use tonic::{Response, Status};

use crate::failure::Failure;
use crate::output::Output;

/// The timeout of one answer of the daemon.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The output and the connection to the daemon.
#[derive(Debug)]
pub(crate) struct Context {
    /// The output for results.
    pub(crate) out: Output,
    /// The socket that the flag or the environment names.
    given: Option<PathBuf>,
    /// The file with the access token that the flag names.
    token_file: Option<PathBuf>,
    /// The socket on which a daemon answered.
    found: OnceLock<PathBuf>,
}

impl Context {
    /// Returns a context. `given` is the socket and `token_file` the file that the flags name.
    pub(crate) fn new(out: Output, given: Option<PathBuf>, token_file: Option<PathBuf>) -> Self {
        Self {
            out,
            given: given.or_else(socket::from_env),
            token_file,
            found: OnceLock::new(),
        }
    }

    /// Returns the daemon's socket, once [`client`](Self::client) has found it.
    pub(crate) fn socket(&self) -> Option<&Path> {
        let given = self.given.as_deref();
        given.or_else(|| self.found.get().map(PathBuf::as_path))
    }

    /// Connects to the daemon, with the access token if there is one.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let token = match &self.token_file {
            Some(path) => Token::read(path),
            None => Token::from_env(),
        };
        let token = token.map_err(|error| Failure::Usage(format!("{error}.")))?;
        Ok(self.connect().await?.with_token(token))
    }

    async fn connect(&self) -> Result<Client, Failure> {
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
