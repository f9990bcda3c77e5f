//! The typed client: one channel over the daemon's local socket, with one client for each service.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use m2_proto::{api::v1::GetStatusRequest, client::Client, socket};
//!
//! let (client, _path) = Client::connect_any(&socket::places()).await?;
//! let status = client.daemon().get_status(GetStatusRequest {}).await?;
//! println!("{}", status.into_inner().version);
//! # Ok(())
//! # }
//! ```

#[cfg(windows)]
#[path = "client/pipe.rs"]
mod transport;
#[cfg(unix)]
#[path = "client/unix.rs"]
mod transport;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use thiserror::Error;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::api::v1::access_service_client::AccessServiceClient;
use crate::api::v1::backup_service_client::BackupServiceClient;
use crate::api::v1::contact_service_client::ContactServiceClient;
use crate::api::v1::daemon_service_client::DaemonServiceClient;
use crate::api::v1::event_service_client::EventServiceClient;
use crate::api::v1::identity_service_client::IdentityServiceClient;
use crate::api::v1::invitation_service_client::InvitationServiceClient;
use crate::api::v1::line_service_client::LineServiceClient;
use crate::api::v1::mailbox_service_client::MailboxServiceClient;
use crate::api::v1::message_service_client::MessageServiceClient;
use crate::api::v1::network_service_client::NetworkServiceClient;
use crate::api::v1::relay_service_client::RelayServiceClient;
use crate::limits::{MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES};
use crate::socket::{self, MAX_PATH_BYTES};
use crate::token::Token;

/// The time limit for opening a connection to the local socket.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to a daemon. Cheap to clone: all clones and services share one channel, which
/// reconnects after a restart of the daemon.
#[derive(Debug, Clone)]
pub struct Client {
    channel: Channel,
    token: Token,
}

/// The connection of one service: the channel, with the access token in each request.
pub type Connection = InterceptedService<Channel, Token>;

/// The reason why a connection could not be opened.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// No daemon listens: the socket is missing, or left over from a daemon that has ended.
    #[error("no daemon answers at {}", path.display())]
    NoDaemon {
        /// The socket that was tried.
        path: PathBuf,
    },
    /// No daemon listens at any of the default places.
    #[error("no daemon answers")]
    NoDaemonAnywhere {
        /// The sockets that were tried, in order; empty if no place is known.
        places: Vec<PathBuf>,
    },
    /// The path is longer than the path of a Unix socket can be.
    #[error(
        "the socket path {} is {} bytes long; at most {MAX_PATH_BYTES} are possible",
        path.display(),
        path.as_os_str().len()
    )]
    PathTooLong {
        /// The path that was passed.
        path: PathBuf,
    },
    /// The daemon accepted no connection within 5 s, because too many other front-ends are waiting.
    #[error("the daemon at {} accepts no more connections", path.display())]
    Busy {
        /// The socket that was tried.
        path: PathBuf,
    },
    /// The socket exists, but this user may not use it, or the system reported another error.
    #[error("can't connect to {}", path.display())]
    Io {
        /// The socket that was tried.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The connection failed after the socket was opened: the listening process is not an M2
    /// daemon.
    #[error("{} does not answer like an M2 daemon", path.display())]
    Transport {
        /// The socket that was tried.
        path: PathBuf,
        /// The transport's error.
        source: tonic::transport::Error,
    },
    /// A program of another user listens at a default place. Only on Windows, where every user can create
    /// a pipe of any name.
    #[error("a program of another user, {owner}, listens at {}", path.display())]
    Untrusted {
        /// The pipe that was tried.
        path: PathBuf,
        /// The security identifier of the user.
        owner: String,
    },
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident $client:ident;)*) => {
        impl Client {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> $client<Connection> {
                $client::with_interceptor(self.channel.clone(), self.token.clone())
                    .max_decoding_message_size(MAX_RESPONSE_BYTES)
                    .max_encoding_message_size(MAX_REQUEST_BYTES)
            })*
        }
    };
}

services! {
    /// Returns a client of the daemon service: status and unlocking.
    daemon DaemonServiceClient;
    /// Returns a client of the identity service.
    identity IdentityServiceClient;
    /// Returns a client of the invitation service.
    invitations InvitationServiceClient;
    /// Returns a client of the mailbox service: this daemon's mailboxes at providers.
    mailboxes MailboxServiceClient;
    /// Returns a client of the line service: this daemon's own relays.
    lines LineServiceClient;
    /// Returns a client of the relay service: the relay that this daemon is for others.
    relay RelayServiceClient;
    /// Returns a client of the network service: reachability and what observers learn.
    network NetworkServiceClient;
    /// Returns a client of the contact service.
    contacts ContactServiceClient;
    /// Returns a client of the message service.
    messages MessageServiceClient;
    /// Returns a client of the event service.
    events EventServiceClient;
    /// Returns a client of the access service: tokens of front-ends.
    access AccessServiceClient;
    /// Returns a client of the backup service.
    backups BackupServiceClient;
}

impl Client {
    /// Connects to the daemon's socket at `path`.
    ///
    /// # Errors
    /// [`ConnectError`]: `NoDaemon` if no daemon listens there.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, ConnectError> {
        let path = path.as_ref().to_path_buf();
        if socket::is_too_long(&path) {
            return Err(ConnectError::PathTooLong { path });
        }
        // A separate first connection distinguishes a missing daemon from other errors.
        probe(&path).await?;
        // The address is never resolved: the connector below ignores it.
        let endpoint = Endpoint::from_static("http://m2d.invalid").connect_timeout(CONNECT_TIMEOUT);
        let place = path.clone();
        let connector = service_fn(move |_: Uri| {
            let place = place.clone();
            async move { transport::dial(&place).await.map(TokioIo::new) }
        });
        let channel = endpoint
            .connect_with_connector(connector)
            .await
            .map_err(|source| ConnectError::Transport { path, source })?;
        Ok(Self {
            channel,
            token: Token::default(),
        })
    }

    /// Connects to the first of `places` at which a daemon answers, and returns that place as well.
    ///
    /// # Errors
    /// `NoDaemonAnywhere` if no daemon listens at any of them; otherwise the first error that is not
    /// `NoDaemon`.
    pub async fn connect_any(places: &[PathBuf]) -> Result<(Self, PathBuf), ConnectError> {
        for place in places {
            match Self::connect(place).await {
                Ok(client) => return Ok((client, place.clone())),
                Err(ConnectError::NoDaemon { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(ConnectError::NoDaemonAnywhere {
            places: places.to_vec(),
        })
    }

    /// Shows an access token in every call from now on.
    #[must_use]
    pub fn with_token(self, token: Token) -> Self {
        Self { token, ..self }
    }

    /// Returns the channel, for services that are not M2's own (health, reflection).
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// Opens a connection and closes it.
async fn probe(path: &Path) -> Result<(), ConnectError> {
    let path = path.to_path_buf();
    match tokio::time::timeout(CONNECT_TIMEOUT, transport::dial(&path)).await {
        Err(_) => Err(ConnectError::Busy { path }),
        Ok(Ok(stream)) => transport::check_owner(&stream, path),
        Ok(Err(error)) if transport::is_absence(&error) => Err(ConnectError::NoDaemon { path }),
        Ok(Err(source)) => Err(ConnectError::Io { path, source }),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_socket_means_no_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m2d.sock");
        let error = Client::connect(&path).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoDaemon { .. }), "{error:?}");
    }

    #[tokio::test]
    async fn all_places_are_tried() {
        let dir = tempfile::tempdir().unwrap();
        let places = ["one", "two"].map(|name| dir.path().join(name));
        drop(std::os::unix::net::UnixListener::bind(&places[1]).unwrap());
        let error = Client::connect_any(&places).await.unwrap_err();
        let ConnectError::NoDaemonAnywhere { places: tried } = error else {
            panic!("{error:?}");
        };
        assert_eq!(tried, places);
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_is_reported_with_its_length() {
        let path = PathBuf::from(format!("/{}", "d".repeat(MAX_PATH_BYTES)));
        let error = Client::connect(&path).await.unwrap_err();
        let told = error.to_string();
        let length = format!("{} bytes", MAX_PATH_BYTES + 1);
        assert!(told.contains(&length), "{told}");
        assert!(told.contains(&MAX_PATH_BYTES.to_string()), "{told}");
    }

    #[tokio::test]
    async fn a_stale_socket_means_no_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m2d.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let error = Client::connect(&path).await.unwrap_err();
        assert!(matches!(error, ConnectError::NoDaemon { .. }), "{error:?}");
    }
}
