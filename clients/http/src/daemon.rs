//! The connection to the daemon, and the token of each request.

use crate::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use m2_proto::client::{Client, ConnectError};
use m2_proto::socket;
use m2_proto::token::Token;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The daemon. The connection is opened by the first request, and again after a restart of the daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    socket: Option<PathBuf>,
    client: OnceCell<Client>,
}

impl Daemon {
    /// Returns the daemon at a socket, or at the places where `m2` looks.
    pub(crate) fn new(socket: Option<PathBuf>) -> Self {
        Self {
            socket: socket.or_else(socket::from_env),
            client: OnceCell::new(),
        }
    }

    /// Returns the connection that requests share, without a token.
    pub(crate) async fn client(&self) -> Result<Client, ConnectError> {
        let client = self.client.get_or_try_init(async || self.connect().await);
        Ok(client.await?.clone())
    }

    /// Opens a connection, also to check that a daemon accepts any.
    pub(crate) async fn connect(&self) -> Result<Client, ConnectError> {
        match &self.socket {
            Some(socket) => Client::connect(socket).await,
            None => {
                let found = Client::connect_any(&socket::places()).await;
                found.map(|(client, _)| client)
            }
        }
    }
}

/// A connection that shows the token of the request, and nothing of the gateway's own.
#[derive(Debug)]
pub(crate) struct Authorized(pub(crate) Client);

impl FromRequestParts<Arc<Daemon>> for Authorized {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, daemon: &Arc<Daemon>) -> Result<Self, Problem> {
        let token = token_of(parts)?;
        Ok(Self(daemon.client().await?.with_token(token)))
    }
}

/// As [`Authorized`], with a connection of its own: for a stream, which would take the room of all other requests in a
/// shared connection while its reader is slow.
#[derive(Debug)]
pub(crate) struct AuthorizedStream(pub(crate) Client);

impl FromRequestParts<Arc<Daemon>> for AuthorizedStream {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, daemon: &Arc<Daemon>) -> Result<Self, Problem> {
        let token = token_of(parts)?;
        Ok(Self(daemon.connect().await?.with_token(token)))
    }
}

fn token_of(parts: &Parts) -> Result<Token, Problem> {
    let refused = || {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "TOKEN_INVALID",
            "The request needs the header `Authorization: Bearer TOKEN` with a token that `m2 token create` made.",
        )
    };
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(refused());
    };
    let value = value.to_str().map_err(|_| refused())?;
    let (scheme, token) = value.split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refused());
    }
    Token::parse(token, "the token").map_err(|_| refused())
}
