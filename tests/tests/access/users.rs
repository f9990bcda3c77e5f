//! Other users of the computer.

use super::create;
use m2_proto::api::v1::AccessScope;
use m2_tests::harness::{Binaries, Daemon, Setup};
use m2_tests::scenario::{Api, eventually};
use m2_tests::skip::skip;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

/// A user that every system has: `nobody`, in the group `nogroup` or `nobody`.
const USER: u32 = 65_534;

/// A daemon, and a copy of `m2` that other users can run.
struct Scene {
    daemon: Daemon,
    m2: PathBuf,
    _shared: TempDir,
}

impl Scene {
    async fn new(access: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            skip("only root can run a program as another user");
            return None;
        }
        let setup = Setup::new().identity("alice");
        let setup = setup.tables(&format!("[access]\n{access}"));
        let daemon = Daemon::start(setup).await.unwrap();
        let shared = tempfile::tempdir().unwrap();
        let m2 = shared.path().join("m2");
        fs::copy(&Binaries::get().unwrap().m2, &m2).unwrap();
        open_to_all(&m2);
        open_to_all(&daemon.socket());
        Some(Self {
            daemon,
            m2,
            _shared: shared,
        })
    }

    /// Runs `m2 contact list` as the other user. Returns its exit code and its error.
    async fn run(&self, token: Option<&str>) -> (Option<i32>, String) {
        let mut command = Command::new(&self.m2);
        command.arg("--socket").arg(self.daemon.socket());
        command.args(["contact", "list"]).uid(USER).gid(USER);
        command.envs(token.map(|token| ("M2_TOKEN", token)));
        let told = eventually("a file that no process writes", async || {
            match command.output().await {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => Ok(None),
                told => Ok(Some(told?)),
            }
        });
        let told = told.await.unwrap();
        let words = String::from_utf8_lossy(&told.stderr).into_owned();
        (told.status.code(), words)
    }

    async fn token(&self) -> String {
        let api = Api::of(&self.daemon).await.unwrap();
        create(&api, "bot", &[AccessScope::Send], &[])
            .await
            .unwrap()
    }

    fn mode(&self) -> u32 {
        let metadata = fs::metadata(self.daemon.socket()).unwrap();
        metadata.permissions().mode() & 0o777
    }
}

/// Lets all users of the computer reach a file. The modes of files other than `m2` are the daemon's.
fn open_to_all(path: &Path) {
    if path.ends_with("m2") {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for above in path.ancestors().skip(1) {
        if above == std::env::temp_dir() || above.parent().is_none() {
            return;
        }
        fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test]
async fn a_stolen_token_is_worth_nothing_to_another_user() {
    let Some(scene) = Scene::new("").await else {
        return;
    };
    assert_eq!(scene.mode(), 0o600);
    let token = scene.token().await;
    // Also if the socket was opened by hand.
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(scene.daemon.socket(), open).unwrap();
    for shown in [None, Some(token.as_str())] {
        let (code, words) = scene.run(shown).await;
        assert_eq!(code, Some(1), "{words}");
        assert!(
            words.contains("Not allowed: this daemon belongs"),
            "{words}"
        );
    }
}

#[tokio::test]
async fn other_users_may_be_let_in_with_a_token() {
    let Some(scene) = Scene::new("tokens_for_all = true").await else {
        return;
    };
    assert_eq!(scene.mode(), 0o666);
    let token = scene.token().await;
    let (code, words) = scene.run(Some(&token)).await;
    assert_eq!(code, Some(0), "{words}");
    let (code, words) = scene.run(None).await;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("with an access token"), "{words}");
    let (code, words) = scene.run(Some("m2t_wrong")).await;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("token is not valid"), "{words}");
}

#[tokio::test]
async fn members_of_the_group_and_listed_users_are_owners() {
    let group = group_of_user();
    for (access, mode) in [
        (format!("group = \"{group}\""), 0o660),
        (format!("users = [{USER}]"), 0o666),
        ("users = [\"nobody\"]".to_owned(), 0o666),
    ] {
        let Some(scene) = Scene::new(&access).await else {
            return;
        };
        assert_eq!(scene.mode(), mode, "{access}");
        let (code, words) = scene.run(None).await;
        assert_eq!(code, Some(0), "{access}: {words}");
    }
    let Some(scene) = Scene::new("group = \"daemon\"").await else {
        return;
    };
    let open = fs::Permissions::from_mode(0o666);
    fs::set_permissions(scene.daemon.socket(), open).unwrap();
    let (code, words) = scene.run(None).await;
    assert_eq!(code, Some(1), "a user of another group: {words}");
}

/// Returns the name of the group of [`USER`].
fn group_of_user() -> String {
    let groups = fs::read_to_string("/etc/group").unwrap();
    let mut lines = groups.lines();
    let line = lines.find(|line| line.split(':').nth(2) == Some("65534"));
    line.and_then(|line| line.split(':').next())
        .unwrap_or("nogroup")
        .to_owned()
}

#[tokio::test]
async fn a_user_that_does_not_exist_stops_the_start() {
    let setup = Setup::new().identity("alice");
    let setup = setup.tables("[access]\nusers = [\"no-such-user\"]");
    let mut daemon = Daemon::prepare(setup).unwrap();
    daemon.spawn().unwrap();
    let ended = daemon.ended().await.unwrap();
    assert_eq!(ended.code(), Some(2), "{}", daemon.log());
    assert!(daemon.log().contains("no-such-user"), "{}", daemon.log());
}
