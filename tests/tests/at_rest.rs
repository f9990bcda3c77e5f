//! Files and logs reveal no message, name, identity or address.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_crypto::PeerId;
use m2_proto::api::v1::{MarkReadRequest, MessageState, RenameContactRequest};
use m2_tests::harness::{Binaries, Daemon, Setup};
use m2_tests::scenario::{Api, Pair, befriend};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

const TEXTS: [&str; 3] = [
    "Meeting-Point-Zebra-Crossing",
    "Unausgesprochene-Geheimnisse",
    "waiting-for-nobody-in-particular",
];
const NAMES: [&str; 2] = ["Ferdinand-the-Fearless", "Wilhelmina-von-Anderswo"];

/// Everything distinctive in the conversation: texts, names, peer ids and addresses.
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    async fn of(pair: &Pair) -> Self {
        let mut secrets = Vec::new();
        for text in TEXTS.iter().chain(&NAMES) {
            secrets.push(((*text).to_owned(), text.as_bytes().to_vec()));
        }
        for daemon in [&pair.alice, &pair.bob] {
            let status = daemon.status().await.unwrap();
            let id: PeerId = status.peer_id.parse().unwrap();
            let raw = *id.as_bytes();
            let hex = data_encoding::HEXLOWER.encode(&raw);
            secrets.push(("a peer id".to_owned(), status.peer_id.into_bytes()));
            secrets.push(("a peer id, raw".to_owned(), raw.to_vec()));
            secrets.push(("a peer id, hex".to_owned(), hex.to_uppercase().into_bytes()));
            secrets.push(("a peer id, hex".to_owned(), hex.into_bytes()));
            let address = status.listen_addresses[0].clone();
            secrets.push(("an address".to_owned(), address.into_bytes()));
        }
        Self(secrets)
    }

    /// Panics when a secret occurs in `bytes`. Only the first 24 bytes of each secret are compared.
    fn not_in(&self, bytes: &[u8], place: &str) {
        for (name, secret) in &self.0 {
            let part = &secret[..secret.len().min(24)];
            let found = bytes.windows(part.len()).any(|window| window == part);
            assert!(!found, "{name} occurs in {place}");
        }
    }

    fn not_below(&self, directory: &Path, when: &str) {
        let mut files = 0;
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.not_below(&path, when);
                continue;
            }
            files += 1;
            let place = format!("{} {when}", path.display());
            let bytes = fs::read(&path).unwrap();
            // The reserve file is large and holds zeros only.
            if bytes.iter().any(|byte| *byte != 0) {
                self.not_in(&bytes, &place);
            }
            self.not_in(path.to_string_lossy().as_bytes(), &place);
        }
        assert!(files > 0, "nothing in {}", directory.display());
    }
}

#[tokio::test]
async fn no_file_and_no_log_reveals_a_name_a_text_or_an_address() {
    for filter in ["info", "debug"] {
        let setup = |name: &str| {
            let log = format!("[log]\nfilter = \"{filter}\"");
            Setup::new().identity(name).tables(&log)
        };
        let (alice, bob) =
            tokio::try_join!(Daemon::start(setup("alice")), Daemon::start(setup("bob"))).unwrap();
        befriend((&alice, NAMES[0]), (&bob, NAMES[1]))
            .await
            .unwrap();
        let mut pair = Pair { alice, bob };
        let secrets = Secrets::of(&pair).await;
        converse(&pair).await;
        check(&pair, &secrets, "while it runs");

        pair.alice.kill9().await.unwrap();
        check(&pair, &secrets, "after a kill");
        let bob = Api::of(&pair.bob).await.unwrap();
        bob.send(NAMES[0], TEXTS[2]).await.unwrap();
        check(&pair, &secrets, "while the other is away");
        pair.alice.restart().await.unwrap();
        bob.await_empty_outbox().await.unwrap();
        assert!(pair.alice.stop().await.unwrap().success());
        assert!(pair.bob.stop().await.unwrap().success());
        check(&pair, &secrets, "after a stop");
    }
}

#[tokio::test]
async fn the_store_opens_only_with_the_key_of_its_identity() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    alice.send("bob", TEXTS[0]).await.unwrap();
    bob.await_text("alice", TEXTS[0]).await.unwrap();
    pair.alice.kill9().await.unwrap();
    // Without the key, SQLite does not recognise the store.
    let store = pair.alice.data().join("store.db");
    let head = fs::read(&store).unwrap();
    assert!(!head.starts_with(b"SQLite format 3"));
    // Another identity's key does not open the store either, and leaves it unchanged.
    let own = pair.alice.data().join("identity.pem");
    let others = fs::read(pair.bob.data().join("identity.pem")).unwrap();
    let kept = fs::read(&own).unwrap();
    fs::write(&own, others).unwrap();
    pair.alice.spawn().unwrap();
    let status = pair.alice.ended().await.unwrap();
    assert_eq!(status.code(), Some(5));
    let log = pair.alice.log();
    assert!(log.contains("does not open with this identity"), "{log}");
    fs::write(&own, kept).unwrap();
    pair.alice.restart().await.unwrap();
    let alice = Api::of(&pair.alice).await.unwrap();
    assert_eq!(alice.search(TEXTS[0]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn data_and_socket_are_accessible_to_the_user_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let run = directory.path().join("run");
    let socket = run.join("m2d.sock");
    let config = directory.path().join("m2d.toml");
    fs::write(&config, "[network]\nlisten = [\"127.0.0.1:0\"]\n").unwrap();
    // The user's umask allows everything to others.
    let mut daemon = Command::new("sh")
        .arg("-c")
        .arg("umask 000; exec \"$0\" \"$@\"")
        .arg(&Binaries::get().unwrap().m2d)
        .args(["run", "--config"])
        .arg(&config)
        .arg("--data-dir")
        .arg(&data)
        .arg("--socket")
        .arg(&socket)
        .spawn()
        .unwrap();
    let modes = async {
        let ready = m2_tests::scenario::eventually("the daemon", async || {
            let Ok(api) = Api::at(&socket).await else {
                return Ok(None);
            };
            Ok(api.status().await.is_ok().then_some(()))
        });
        ready.await?;
        Ok::<_, anyhow::Error>([mode(&data), mode(&run), mode(&socket)])
    };
    let modes = modes.await;
    let files = fs::read_dir(&data).unwrap();
    let files: Vec<(String, u32)> = files
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), mode(&path)))
        .collect();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(modes.unwrap(), [0o700, 0o700, 0o600]);
    assert!(files.len() >= 3, "{files:?}");
    for (file, mode) in files {
        assert_eq!(mode, 0o600, "{file}");
    }
}

/// Uses every feature of a conversation, with both names and all texts.
async fn converse(pair: &Pair) {
    let (alice, bob) = pair.apis().await.unwrap();
    let id = alice.send(NAMES[1], TEXTS[0]).await.unwrap();
    bob.await_text(NAMES[0], TEXTS[0]).await.unwrap();
    let answer = bob.send(NAMES[0], TEXTS[1]).await.unwrap();
    alice.await_text(NAMES[1], TEXTS[1]).await.unwrap();
    bob.await_message(&answer, MessageState::Delivered)
        .await
        .unwrap();
    let request = MarkReadRequest {
        message_ids: vec![id.clone()],
    };
    bob.client().messages().mark_read(request).await.unwrap();
    alice.await_message(&id, MessageState::Read).await.unwrap();
    // The search index contains the texts too.
    for api in [&alice, &bob] {
        assert_eq!(api.search(TEXTS[0]).await.unwrap().len(), 1);
    }
    // Refused input must not be written down either.
    let renamed = RenameContactRequest {
        contact: TEXTS[2].to_owned(),
        name: TEXTS[2].to_owned(),
    };
    alice
        .client()
        .contacts()
        .rename_contact(renamed)
        .await
        .unwrap_err();
    alice.add(TEXTS[2], TEXTS[2]).await.unwrap_err();
    let mut events = alice.all_events().await.unwrap();
    events.some(3).await.unwrap();
}

fn check(pair: &Pair, secrets: &Secrets, when: &str) {
    for daemon in [&pair.alice, &pair.bob] {
        secrets.not_below(&daemon.data(), when);
        secrets.not_in(daemon.log().as_bytes(), &format!("the log {when}"));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
