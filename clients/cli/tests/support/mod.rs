//! A fake daemon that answers the API from memory, so that the command line can be tested alone.
//! Its answers depend on the names in a call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod contacts;
mod events;
mod lines;
mod messages;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use m2_proto::api::v1 as api;
use m2_proto::api::v1::contact_service_server::ContactServiceServer;
use m2_proto::api::v1::daemon_service_server::{DaemonService, DaemonServiceServer};
use m2_proto::api::v1::event_service_server::EventServiceServer;
use m2_proto::api::v1::identity_service_server::{IdentityService, IdentityServiceServer};
use m2_proto::api::v1::invitation_service_server::{InvitationService, InvitationServiceServer};
use m2_proto::api::v1::line_service_server::LineServiceServer;
use m2_proto::api::v1::message_service_server::MessageServiceServer;
use m2_proto::api::v1::network_service_server::NetworkServiceServer;
use m2_proto::api::v1::relay_service_server::RelayServiceServer;
use m2_proto::reason::Reason;
use m2_proto::wkt::Timestamp;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::process::Command;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// The fake's peer id.
pub const OWN_ID: &str = "m2own000000000000000";
/// Bob's peer id.
pub const BOB_ID: &str = "m2bob000000000000000";

/// A relay's peer id.
pub const RELAY_ID: &str = "m2relay00000000000000";

/// The requests that the fake received and the data that it returns.
#[derive(Default)]
pub struct State {
    /// The last request of SendMessage.
    pub sent: Option<api::SendMessageRequest>,
    /// The requests of SendMessages.
    pub streamed: Vec<api::SendMessageRequest>,
    /// The last request of CreateInvitation.
    pub invited: Option<api::CreateInvitationRequest>,
    /// The last request of VerifyContact.
    pub verified: Option<api::VerifyContactRequest>,
    /// The last request of ListMessages.
    pub listed: Option<api::ListMessagesRequest>,
    /// The last request of Unlock.
    pub passphrase: Option<String>,
    /// The last request of Subscribe.
    pub subscribed: Option<api::SubscribeRequest>,
    /// The acknowledged cursors.
    pub acknowledged: Vec<String>,
    /// The events in the log.
    pub events: Vec<api::Event>,
    /// The requests of NackEvent.
    pub refused: Vec<api::NackEventRequest>,
    /// The last request of SettleDeadLetters.
    pub settled: Option<api::SettleDeadLettersRequest>,
    /// True if the fake serves as a relay.
    pub serving: bool,
}

/// A running fake daemon.
pub struct Fake {
    dir: TempDir,
    state: Arc<Mutex<State>>,
}

/// The services, which share one state.
#[derive(Clone)]
pub struct Services(pub Arc<Mutex<State>>);

impl Fake {
    /// Binds the socket in a temporary directory.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let listener = UnixListener::bind(dir.path().join("m2d.sock")).unwrap();
        let services = Services(Arc::clone(&state));
        let server = Server::builder()
            .add_service(DaemonServiceServer::new(services.clone()))
            .add_service(IdentityServiceServer::new(services.clone()))
            .add_service(InvitationServiceServer::new(services.clone()))
            .add_service(ContactServiceServer::new(services.clone()))
            .add_service(LineServiceServer::new(services.clone()))
            .add_service(RelayServiceServer::new(services.clone()))
            .add_service(NetworkServiceServer::new(services.clone()))
            .add_service(MessageServiceServer::new(services.clone()))
            .add_service(EventServiceServer::new(services));
        tokio::spawn(server.serve_with_incoming(UnixListenerStream::new(listener)));
        Self { dir, state }
    }

    /// Returns the state.
    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns the path of the socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("m2d.sock")
    }

    /// Returns a directory for the test's files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the command `m2` with these arguments, connected to this fake.
    pub fn m2(&self, arguments: &[&str]) -> Command {
        let mut command = m2(arguments);
        command.env("M2_SOCKET", self.socket());
        command
    }

    /// Runs `m2` and waits for its exit.
    pub async fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.m2(arguments).output().await.unwrap())
    }

    /// Runs `m2` with this input on stdin, and waits for its exit.
    pub async fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut child = self
            .m2(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The command may exit without reading all of its input.
        let _ = stdin.write_all(input).await;
        drop(stdin);
        Run::of(child.wait_with_output().await.unwrap())
    }
}

/// Returns the command `m2` with these arguments, an empty stdin and no inherited settings.
pub fn m2(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_m2"));
    command
        .args(arguments)
        .env_remove("M2_SOCKET")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// The result of a command.
#[derive(Debug)]
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// The content of stdout.
    pub stdout: String,
    /// The content of stderr.
    pub stderr: String,
}

impl Run {
    /// Converts the output of a process.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Parses each line of stdout as JSON.
    pub fn json(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines.map(|l| serde_json::from_str(l).expect(l)).collect()
    }

    /// Returns the reason of the error on stderr.
    pub fn reason(&self) -> String {
        let line = self.stderr.lines().last().expect("an error");
        let error: Value = serde_json::from_str(line).expect(line);
        assert!(error["error"]["message"].as_str().unwrap().len() > 10);
        error["error"]["reason"].as_str().unwrap().to_owned()
    }
}

/// Returns an event for a text that was received from bob.
pub fn received(cursor: &str, text: &str) -> api::Event {
    received_from(BOB_ID, cursor, text)
}

/// Returns an event for a text that was received from a peer.
pub fn received_from(peer_id: &str, cursor: &str, text: &str) -> api::Event {
    event(
        cursor,
        api::event::Kind::MessageReceived(api::MessageReceived {
            message_id: format!("id-{cursor}"),
            peer_id: peer_id.to_owned(),
            text: text.to_owned(),
            ..Default::default()
        }),
    )
}

/// Returns an event.
pub fn event(cursor: &str, kind: api::event::Kind) -> api::Event {
    api::Event {
        cursor: cursor.to_owned(),
        time: Some(Timestamp::from_unix_millis(1_700_000_000_000)),
        kind: Some(kind),
        contact_name: "bob".to_owned(),
    }
}

#[tonic::async_trait]
impl DaemonService for Services {
    async fn get_status(
        &self,
        _: Request<api::GetStatusRequest>,
    ) -> Result<Response<api::GetStatusResponse>, Status> {
        Ok(Response::new(api::GetStatusResponse {
            state: api::DaemonState::Ready.into(),
            version: "0.1.0".to_owned(),
            peer_id: OWN_ID.to_owned(),
            warnings: vec!["The key file has no passphrase.".to_owned()],
            refused: [("REPLAY".to_owned(), 3)].into(),
            mailbox_server: Some(api::MailboxServer {
                available: true,
                boxes: 2,
                letters: 5,
                bytes: 10_241,
                deposited: 7,
            }),
            ..Default::default()
        }))
    }

    async fn get_diagnostics(
        &self,
        _: Request<api::GetDiagnosticsRequest>,
    ) -> Result<Response<api::GetDiagnosticsResponse>, Status> {
        Ok(Response::new(api::GetDiagnosticsResponse::default()))
    }

    async fn unlock(
        &self,
        request: Request<api::UnlockRequest>,
    ) -> Result<Response<api::UnlockResponse>, Status> {
        let passphrase = request.into_inner().passphrase;
        let is_right = passphrase == "correct horse";
        self.0.lock().unwrap().passphrase = Some(passphrase);
        if is_right {
            Ok(Response::new(api::UnlockResponse {}))
        } else {
            Err(Reason::WrongPassphrase.into())
        }
    }
}

#[tonic::async_trait]
impl IdentityService for Services {
    async fn get_identity(
        &self,
        _: Request<api::GetIdentityRequest>,
    ) -> Result<Response<api::GetIdentityResponse>, Status> {
        Ok(Response::new(api::GetIdentityResponse {
            peer_id: OWN_ID.to_owned(),
            certificate: vec![0x30, 0x82],
        }))
    }
}

#[tonic::async_trait]
impl InvitationService for Services {
    async fn create_invitation(
        &self,
        request: Request<api::CreateInvitationRequest>,
    ) -> Result<Response<api::CreateInvitationResponse>, Status> {
        let request = request.into_inner();
        let invitation = api::Invitation {
            invitation_id: "i1".to_owned(),
            reusable: request.reusable,
            expires: Some(Timestamp::from_unix_millis(1_700_000_000_000)),
            ..Default::default()
        };
        self.0.lock().unwrap().invited = Some(request);
        Ok(Response::new(api::CreateInvitationResponse {
            invitation: Some(invitation),
            uri: "m2://example".to_owned(),
        }))
    }

    async fn list_invitations(
        &self,
        _: Request<api::ListInvitationsRequest>,
    ) -> Result<Response<api::ListInvitationsResponse>, Status> {
        let invitation = |id: &str| api::Invitation {
            invitation_id: id.to_owned(),
            ..Default::default()
        };
        Ok(Response::new(api::ListInvitationsResponse {
            invitations: vec![invitation("i1"), invitation("i2")],
        }))
    }

    async fn revoke_invitation(
        &self,
        request: Request<api::RevokeInvitationRequest>,
    ) -> Result<Response<api::RevokeInvitationResponse>, Status> {
        if request.into_inner().invitation_id == "i1" {
            Ok(Response::new(api::RevokeInvitationResponse {}))
        } else {
            Err(Reason::InvitationUnknown.into())
        }
    }
}
