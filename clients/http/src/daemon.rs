//! The connection to the daemon, and the token of each request.

use crate::problem::Problem;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use m2_proto::client::Client;
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

    /// Returns a connection without a token.
    pub(crate) async fn client(&self) -> Result<Client, Problem> {
        let client = self.client.get_or_try_init(async || match &self.socket {
            Some(socket) => Client::connect(socket).await,
            None => {
                let found = Client::connect_any(&socket::places()).await;
                found.map(|(client, _)| client)
            }
        });
        Ok(client.await?.clone())
    }

    /// Checks that a daemon accepts connections.
    pub(crate) async fn check(&self) -> Result<(), Problem> {
        match &self.socket {
            Some(socket) => Client::connect(socket).await.map(drop)?,
            None => Client::connect_any(&socket::places()).await.map(drop)?,
        }
        Ok(())
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
