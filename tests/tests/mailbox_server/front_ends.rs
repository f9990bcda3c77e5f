//! Several providers over one NATS server: they serve the same boxes.

use crate::people::{Depositor, Tokens, id};
use crate::scene::{Scene, bob};
use m2_net::wire::mailbox::Outcome;
use m2_tests::scenario::PATIENCE;
use std::collections::HashSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const KIB: usize = 1 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn two_front_ends_serve_the_same_boxes() {
    let Some(nats) = Nats::start() else { return };
    let mut one = Scene::named("alice", &nats.tables()).await;
    let two = Scene::named("carol", &nats.tables()).await;
    let bob = bob();

    // Registered at one, served at the other too, with the tokens of either.
    let mut here = one.owner(&bob).await;
    let tokens = Tokens::new(&bob, 1);
    assert_eq!(here.add(tokens.hashes(0..20)).await, (true, 20));
    let mut there = two.guest(&bob).await;
    assert!(there.open().await.open);
    assert_eq!(there.tokens().await.1.len(), 20);
    let invitation = two.invite(false).await;
    assert!(there.register(&invitation).await.open);

    // What comes in at one is pushed at both, at once; a token counts once.
    let mut at_one = one.depositor(&bob).await;
    let mut at_two = two.depositor(&bob).await;
    let first = tokens.deposit(0, 1, KIB);
    assert_eq!(at_one.deposit(first.clone()).await, Outcome::Stored);
    assert_eq!(here.letter().await, first.letter);
    assert_eq!(there.letter().await, first.letter);
    assert_eq!(at_two.deposit(first).await, Outcome::Stored);
    let spent = tokens.deposit(0, 2, KIB);
    assert_eq!(at_two.deposit(spent).await, Outcome::Refused);
    there.take(vec![id(1)]).await;

    // One dies: what it acknowledged comes from the other, and what was taken does not.
    let known = deposit_some(&mut at_one, &tokens).await;
    one.alice.kill9().await.unwrap();
    let mut got = HashSet::new();
    while got.len() < known.len() {
        assert!(got.insert(there.letter().await.id), "twice in a session");
    }
    assert_eq!(got, known);
    one.alice.restart().await.unwrap();
    one.address = one.alice.udp_address().await.unwrap();
    let mut again = one.guest(&bob).await;
    assert!(again.open().await.open);
    let letters: HashSet<_> = again.letters().await.iter().map(|one| one.id).collect();
    assert_eq!(letters, known);
    for scene in [&one, &two] {
        assert!(!scene.alice.data().join("mailbox.db").exists());
    }
}

async fn deposit_some(
    depositor: &mut Depositor,
    tokens: &Tokens,
) -> HashSet<m2_net::wire::mailbox::LetterId> {
    let mut known = HashSet::new();
    for number in 1..16 {
        let deposit = tokens.deposit(number, 100 + number, KIB);
        assert_eq!(depositor.deposit(deposit).await, Outcome::Stored);
        known.insert(id(100 + number));
    }
    known
}

/// One NATS server with JetStream, which ends with this.
struct Nats {
    port: u16,
    process: Child,
    _dir: TempDir,
}

impl Nats {
    /// `None`, and says so, if nats-server is not installed.
    fn start() -> Option<Self> {
        let Some(server) = find_server() else {
            eprintln!("SKIPPED: nats-server is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let config = dir.path().join("nats.conf");
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\", max_file: 4TB }}\n",
            dir.path().join("store").display()
        );
        fs::write(&config, text).unwrap();
        let process = Command::new(server)
            .arg("-c")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let nats = Self {
            port,
            process,
            _dir: dir,
        };
        nats.wait();
        Some(nats)
    }

    fn wait(&self) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(start.elapsed() < PATIENCE, "nats-server does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn tables(&self) -> String {
        let port = self.port;
        format!("[mailbox]\nserve = true\nreplicas = 1\nnats = [\"nats://127.0.0.1:{port}\"]\n")
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn find_server() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/bin".into()]);
    dirs.map(|dir| dir.join("nats-server"))
        .find(|file| file.is_file())
}
