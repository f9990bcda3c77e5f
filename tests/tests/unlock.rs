//! Identities with a passphrase, and the start and stop of the daemon.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_crypto::{Identity, provider};
use m2_proto::api::v1::{
    DaemonState, GetIdentityRequest, ListClientsRequest, ListContactsRequest,
    ListInvitationsRequest, UnlockRequest,
};
use m2_proto::reason::Reason;
use m2_tests::harness::{Binaries, Daemon, Setup};
use m2_tests::scenario::{Api, PATIENCE, eventually};
use m2_tests::skip::skip;
use m2_tests::workspace;
use rand_core::UnwrapErr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tokio::net::UnixDatagram;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

const PASSPHRASE: &str = "correct horse – battery staple ";

/// The upper bound on a stop, on which the packaging relies.
const DRAIN: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_locked_daemon_opens_with_its_passphrase_only() {
    let mut daemon = prepared(Setup::new());
    daemon.restart().await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    let status = api.status().await.unwrap();
    assert_eq!(status.state(), DaemonState::Locked);
    assert!(status.peer_id.is_empty());
    assert_eq!(status.listen_addresses, Vec::<String>::new());
    let checked = daemon.m2(&["status", "--quiet"]).await.unwrap();
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(1), ""));
    for refused in all_calls(&api).await {
        assert_eq!(Reason::of(&refused), Some(Reason::Locked), "{refused}");
    }
    for wrong in ["", "Correct horse – battery staple ", PASSPHRASE.trim_end()] {
        let refused = unlock(&api, wrong).await.unwrap_err();
        assert_eq!(
            Reason::of(&refused),
            Some(Reason::WrongPassphrase),
            "{wrong}"
        );
        assert_eq!(api.status().await.unwrap().state(), DaemonState::Locked);
    }
    unlock(&api, PASSPHRASE).await.unwrap();
    let status = api.status().await.unwrap();
    assert_eq!(status.state(), DaemonState::Ready);
    assert_eq!(status.peer_id, alice_id().await);
    assert!(!status.listen_addresses.is_empty());
    assert!(
        !status
            .warnings
            .iter()
            .any(|warning| warning.contains("passphrase"))
    );
    let refused = unlock(&api, PASSPHRASE).await.unwrap_err();
    assert_eq!(Reason::of(&refused), Some(Reason::NotLocked));
    // An unlocked daemon works like any other.
    let checked = daemon.m2(&["status", "--quiet"]).await.unwrap();
    assert_eq!((checked.code, checked.stdout.as_str()), (Some(0), ""));
    let uri = api.invite(false, "bob").await.unwrap();
    assert!(uri.starts_with("m2://"));
}

#[tokio::test]
async fn the_health_service_follows_the_lock() {
    let mut daemon = prepared(Setup::new());
    daemon.restart().await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    let mut health = HealthClient::new(api.client().channel());
    let services = ["", "m2.api.v1.MessageService", "m2.api.v1.EventService"];
    let mut watches = Vec::new();
    for service in services {
        assert_eq!(check(&mut health, service).await, ServingStatus::NotServing);
        let service = service.to_owned();
        let watch = health.watch(HealthCheckRequest { service }).await.unwrap();
        let mut watch = watch.into_inner();
        assert_eq!(next(&mut watch).await, Some(ServingStatus::NotServing));
        watches.push(watch);
    }
    let status = api.status().await.unwrap();
    assert_eq!((status.contacts, status.queued_messages), (None, None));
    let shown = daemon.m2(&["status"]).await.unwrap().success().unwrap();
    assert!(!shown.contains("contacts") && !shown.contains("queued"));
    let json = daemon.m2(&["--json", "status"]).await.unwrap();
    assert_eq!(json.json().unwrap()[0].get("contacts"), None);

    unlock(&api, PASSPHRASE).await.unwrap();
    for (service, watch) in services.into_iter().zip(&mut watches) {
        assert_eq!(check(&mut health, service).await, ServingStatus::Serving);
        assert_eq!(next(watch).await, Some(ServingStatus::Serving));
    }
    assert_eq!(api.status().await.unwrap().contacts, Some(0));
    // The stop is reported too, and the streams end.
    assert!(daemon.stop().await.unwrap().success());
    for watch in &mut watches {
        assert_eq!(next(watch).await, Some(ServingStatus::NotServing));
        assert_eq!(next(watch).await, None);
    }
}

async fn check(health: &mut HealthClient<Channel>, service: &str) -> ServingStatus {
    let service = service.to_owned();
    let answer = health.check(HealthCheckRequest { service }).await;
    answer.unwrap().into_inner().status()
}

/// The next status of a watch, or `None` when its stream has ended.
async fn next(watch: &mut Streaming<HealthCheckResponse>) -> Option<ServingStatus> {
    let next = timeout(PATIENCE, watch.message()).await.unwrap();
    next.unwrap().map(|answer| answer.status())
}

#[tokio::test]
async fn a_listener_waits_while_the_daemon_is_locked() {
    let mut daemon = prepared(Setup::new());
    daemon.restart().await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    let refused = daemon.m2(&["listen"]).await.unwrap();
    assert!(refused.stderr.contains("m2 unlock"), "{}", refused.stderr);
    let mut listen = daemon.m2_command().unwrap();
    listen.args(["listen", "--client", "bot", "--reconnect"]);
    let mut listen = listen.spawn().unwrap();
    unlock(&api, PASSPHRASE).await.unwrap();
    eventually("the listener's name", async || {
        let request = ListClientsRequest {};
        let clients = api.client().events().list_clients(request).await?;
        let clients = clients.into_inner().clients;
        Ok(clients
            .iter()
            .any(|client| client.name == "bot")
            .then_some(()))
    })
    .await
    .unwrap();
    listen.kill().await.unwrap();
}

#[tokio::test]
async fn the_command_line_unlocks_the_daemon() {
    let mut daemon = prepared(Setup::new());
    daemon.restart().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (good, bad) = (directory.path().join("good"), directory.path().join("bad"));
    private(&good, format!("{PASSPHRASE}\n"));
    private(&bad, "no\n");
    let unlock = |file: &Path| vec!["unlock".into(), "--passphrase-file".into(), text(file)];

    let sent = daemon
        .m2(&["--json", "send", "bob", "Hello"])
        .await
        .unwrap();
    assert_eq!(sent.code, Some(1));
    assert!(sent.stderr.contains("LOCKED"), "{}", sent.stderr);
    let status = daemon
        .m2(&["--json", "status"])
        .await
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(status[0]["state"], "DAEMON_STATE_LOCKED");

    let refused = m2(&daemon, &unlock(&bad)).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("passphrase"), "{}", refused.stderr);
    let missing = m2(&daemon, &unlock(&directory.path().join("missing"))).await;
    assert_eq!(missing.code, Some(1));
    m2(&daemon, &unlock(&good)).await.success().unwrap();
    let status = daemon
        .m2(&["--json", "status"])
        .await
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(status[0]["state"], "DAEMON_STATE_READY");
}

#[tokio::test]
async fn a_passphrase_file_unlocks_the_daemon_at_its_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("passphrase");
    let tables = format!("[identity]\npassphrase_file = {:?}", text(&file));
    let mut daemon = prepared(Setup::new().tables(&tables));

    private(&file, format!("{PASSPHRASE}\n"));
    daemon.restart().await.unwrap();
    assert_eq!(daemon.status().await.unwrap().state(), DaemonState::Ready);
    daemon.kill9().await.unwrap();

    // A wrong passphrase file and a missing one fail the start with the matching code.
    private(&file, "something else");
    assert_eq!(ends_with(&mut daemon).await, Some(3));
    fs::remove_file(&file).unwrap();
    assert_eq!(ends_with(&mut daemon).await, Some(3));
    assert!(daemon.log().contains("passphrase"), "{}", daemon.log());
    assert!(!daemon.log().contains("something else"));
}

#[tokio::test]
async fn a_credential_takes_precedence_over_the_file() {
    let credentials = tempfile::tempdir().unwrap();
    fs::write(credentials.path().join("m2d-passphrase"), PASSPHRASE).unwrap();
    let wrong = credentials.path().join("wrong");
    private(&wrong, "wrong");
    let tables = format!("[identity]\npassphrase_file = {:?}", text(&wrong));
    let setup = Setup::new()
        .tables(&tables)
        .environment("CREDENTIALS_DIRECTORY", &text(credentials.path()));
    let mut daemon = prepared(setup);
    daemon.restart().await.unwrap();
    assert_eq!(daemon.status().await.unwrap().state(), DaemonState::Ready);
    daemon.kill9().await.unwrap();

    // Without a credential for m2d the file is used.
    fs::remove_file(credentials.path().join("m2d-passphrase")).unwrap();
    assert_eq!(ends_with(&mut daemon).await, Some(3));
}

#[tokio::test]
async fn init_makes_an_identity_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("deep").join("data");
    let config = directory.path().join("m2d.toml");
    let file = directory.path().join("passphrase");
    private(&file, PASSPHRASE);
    fs::write(
        &config,
        format!("[identity]\npassphrase_file = {:?}\n", text(&file)),
    )
    .unwrap();
    let first = init(&config, &data);
    let id = String::from_utf8(first.stdout).unwrap();
    assert!(first.status.success());
    assert!(id.trim().starts_with("m21"), "{id}");
    let pem = fs::read_to_string(data.join("identity.pem")).unwrap();
    assert!(pem.contains("ENCRYPTED PRIVATE KEY"));
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("identity.pem")), 0o600);

    let second = init(&config, &data);
    assert_eq!(String::from_utf8(second.stdout).unwrap(), id);
    assert_eq!(fs::read_to_string(data.join("identity.pem")).unwrap(), pem);

    private(&file, "wrong");
    let refused = init(&config, &data);
    assert_eq!(refused.status.code(), Some(3));
    assert_eq!(fs::read_to_string(data.join("identity.pem")).unwrap(), pem);
}

#[tokio::test]
async fn the_openssl_command_opens_the_key_file() {
    let daemon = prepared(Setup::new());
    let pem = daemon.data().join("identity.pem");
    let openssl = Command::new("openssl")
        .args(["pkey", "-noout", "-text", "-passin"])
        .arg(format!("pass:{PASSPHRASE}"))
        .arg("-in")
        .arg(&pem)
        .output();
    let Ok(output) = openssl else {
        return skip("openssl is not installed");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("4096 bit"), "{output:?}");
}

#[tokio::test]
async fn a_stop_is_reported_and_quick_even_with_open_streams() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let setup = Setup::new().environment("NOTIFY_SOCKET", &text(&path));
    let mut daemon = prepared(setup);
    daemon.restart().await.unwrap();
    // A locked daemon counts as started: the service manager must not wait for the user.
    let told = notes(&manager).await;
    assert!(told.contains("READY=1"), "{told}");
    assert!(told.contains("STATUS=locked"), "{told}");
    let api = Api::of(&daemon).await.unwrap();
    unlock(&api, PASSPHRASE).await.unwrap();
    let mut events = api.events("desk").await.unwrap();
    let follower = tokio::spawn(async move { events.take().await });

    let start = Instant::now();
    let status = daemon.stop().await.unwrap();
    let took = start.elapsed();
    assert!(status.success(), "{status}");
    assert!(took < DRAIN, "stopping took {took:?}");
    assert!(notes(&manager).await.contains("STOPPING=1"));
    // The stream has ended, and the socket is gone.
    timeout(DRAIN, follower).await.unwrap().unwrap().ok();
    assert!(!daemon.socket().exists());
}

#[tokio::test]
async fn a_locked_daemon_writes_a_bug_report() {
    let mut daemon = prepared(Setup::new());
    daemon.restart().await.unwrap();
    let file = daemon.data().join("report.txt");
    let path = file.to_str().unwrap();
    let written = daemon.m2(&["--json", "bugreport", path]).await.unwrap();
    assert_eq!(written.json().unwrap()[0]["file"], path);
    let report = fs::read_to_string(&file).unwrap();
    assert!(report.contains("locked"), "{report}");
    assert!(report.contains("contacts unknown"), "{report}");
}

#[tokio::test]
async fn a_locked_daemon_stops_cleanly() {
    let mut daemon = prepared(Setup::new());
    daemon.restart().await.unwrap();
    let start = Instant::now();
    assert!(daemon.stop().await.unwrap().success());
    assert!(start.elapsed() < DRAIN);
}

#[tokio::test]
async fn data_and_ports_are_the_same_after_a_locked_restart() {
    let mut daemon = prepared(Setup::new());
    daemon.restart().await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    unlock(&api, PASSPHRASE).await.unwrap();
    api.invite(true, "").await.unwrap();
    let port = api.status().await.unwrap().listen_addresses;
    daemon.kill9().await.unwrap();
    daemon.restart().await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    unlock(&api, PASSPHRASE).await.unwrap();
    let request = ListInvitationsRequest {};
    let open = api.client().invitations().list_invitations(request).await;
    assert_eq!(open.unwrap().into_inner().invitations.len(), 1);
    assert_eq!(api.status().await.unwrap().listen_addresses, port);
}

/// A daemon with alice's identity under the passphrase, not yet started.
fn prepared(setup: Setup) -> Daemon {
    let daemon = Daemon::prepare(setup).unwrap();
    let plain = workspace::root()
        .unwrap()
        .join("tests/vectors/identities/alice.pem");
    let plain = fs::read_to_string(plain).unwrap();
    let identity = Identity::from_pem(&plain, None, provider::default()).unwrap();
    let mut rng = UnwrapErr(getrandom::SysRng);
    let pem = identity
        .to_pem(&mut rng, Some(PASSPHRASE.as_bytes()))
        .unwrap();
    let file = daemon.data().join("identity.pem");
    fs::write(&file, pem.as_bytes()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    daemon
}

/// Alice's peer id, as a daemon without a passphrase reports it.
async fn alice_id() -> String {
    let plain = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let status = plain.status().await.unwrap();
    let warned = status
        .warnings
        .iter()
        .any(|warning| warning.contains("passphrase"));
    assert!(warned, "{:?}", status.warnings);
    status.peer_id
}

/// The errors of calls to every service that needs the identity.
async fn all_calls(api: &Api) -> Vec<Status> {
    let client = api.client();
    let listed = ListContactsRequest::default();
    vec![
        client
            .identity()
            .get_identity(GetIdentityRequest {})
            .await
            .unwrap_err(),
        client.contacts().list_contacts(listed).await.unwrap_err(),
        client
            .invitations()
            .list_invitations(ListInvitationsRequest {})
            .await
            .unwrap_err(),
        api.invite(false, "").await.unwrap_err(),
        api.send("bob", "Hello").await.unwrap_err(),
        api.search("Hello").await.unwrap_err(),
        api.page("bob", 1, "").await.unwrap_err(),
        api.message(&"0".repeat(32)).await.unwrap_err(),
        api.events("desk").await.unwrap_err(),
        api.acknowledge("desk", "0-0").await.unwrap_err(),
        client
            .messages()
            .send_messages(tokio_stream::empty())
            .await
            .unwrap_err(),
    ]
}

async fn unlock(api: &Api, passphrase: &str) -> Result<(), Status> {
    let passphrase = passphrase.to_owned();
    let request = UnlockRequest { passphrase };
    api.client().daemon().unlock(request).await.map(|_| ())
}

async fn m2(daemon: &Daemon, arguments: &[String]) -> m2_tests::harness::Output {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    daemon.m2(&arguments).await.unwrap()
}

/// Runs a start that fails. Returns the exit code.
async fn ends_with(daemon: &mut Daemon) -> Option<i32> {
    daemon.spawn().unwrap();
    daemon.ended().await.unwrap().code()
}

fn init(config: &Path, data: &Path) -> Output {
    Command::new(&Binaries::get().unwrap().m2d)
        .arg("init")
        .arg("--config")
        .arg(config)
        .arg("--data-dir")
        .arg(data)
        .output()
        .unwrap()
}

/// All messages to the service manager, once there is one.
async fn notes(manager: &UnixDatagram) -> String {
    let mut all = String::new();
    eventually("a message to the service manager", async || {
        let mut buffer = [0; 4096];
        while let Ok(length) = manager.try_recv(&mut buffer) {
            all.push_str(&String::from_utf8_lossy(&buffer[..length]));
            all.push('\n');
        }
        Ok((!all.is_empty()).then_some(()))
    })
    .await
    .unwrap();
    all
}

fn private(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
