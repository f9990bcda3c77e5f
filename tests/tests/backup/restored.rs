//! Restored backups: they are complete, and the conversation continues from there.

use crate::scene::{PASSPHRASE, Shelf, mode, names};
use m2_proto::api::v1::DaemonState;
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, Pair};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn a_backup_under_traffic_contains_every_message_acknowledged_before_it() {
    let mut pair = Pair::start().await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    bob.send("alice", "from bob").await.unwrap();
    alice.await_text("bob", "from bob").await.unwrap();
    let shelf = Shelf::new();

    let traffic = Traffic::start(alice.clone());
    let before = traffic.acknowledged(20).await;
    let backup = shelf.create(&pair.alice, "file").await;
    let total = traffic.end().await;
    assert!(total > before, "nothing was sent while the backup was made");

    let file = shelf.path("file");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(shelf.names(), ["file", "right", "wrong"]);
    assert!(!pair.alice.data().join("backup.part").exists());
    let id = pair.alice.status().await.unwrap().peer_id;
    assert_eq!(backup["peerId"], id.as_str());
    assert_eq!(backup["contacts"], "1");
    let verified = shelf.verify("file", "right").await.json().unwrap();
    assert_eq!(verified[0]["backup"], backup);

    pair.alice.stop().await.unwrap();
    let mut restored = Daemon::prepare(Setup::new()).unwrap();
    let said = shelf.restore(&restored, "file", "right").await;
    assert!(said.success().unwrap().contains("Contacts: 1;"));
    assert_eq!(mode(&restored.data().join("identity.pem")), 0o600);
    assert_eq!(mode(&restored.data().join("store.db")), 0o600);
    assert_eq!(
        names(&restored.data()),
        ["identity.pem", "m2d.lock", "store.db"]
    );

    restored.restart().await.unwrap();
    let api = Api::of(&restored).await.unwrap();
    assert_eq!(restored.status().await.unwrap().peer_id, id);
    let texts: Vec<String> = api
        .conversation("bob")
        .await
        .unwrap()
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(
        texts.len().to_string(),
        backup["messages"].as_str().unwrap()
    );
    assert_eq!(texts[0], "from bob");
    for number in 0..before {
        assert_eq!(texts[number + 1], number.to_string());
    }
    goes_on_at_once(&api, &bob, total).await;
}

/// Exchanges messages after a restore. Bob has the texts `0` to `total`, the last of which are not in
/// the backup.
async fn goes_on_at_once(restored: &Api, bob: &Api, total: usize) {
    bob.send("alice", "are you back?").await.unwrap();
    restored.await_text("bob", "are you back?").await.unwrap();
    restored.send("bob", "yes").await.unwrap();
    bob.await_text("alice", "yes").await.unwrap();
    let mut expected: Vec<String> = (0..total).map(|number| number.to_string()).collect();
    expected.push("yes".to_owned());
    assert_eq!(bob.received("alice").await.unwrap(), expected);
    // The only warning is the missing passphrase: `m2d restore` announces that the store is older, so
    // this is no conflict.
    assert_eq!(restored.status().await.unwrap().warnings.len(), 1);
}

#[tokio::test]
async fn a_backup_can_be_protected_by_the_identitys_passphrase_without_a_prompt() {
    let mut daemon = Daemon::start(Setup::new().identity("carol")).await.unwrap();
    let shelf = Shelf::new();
    let file = shelf.text("file");
    let create = ["--json", "backup", "create", &file, "--identity-passphrase"];
    let refused = daemon.m2(&create).await.unwrap();
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains("NO_PASSPHRASE"),
        "{}",
        refused.stderr
    );
    assert!(!shelf.path("file").exists());

    daemon.stop().await.unwrap();
    let set = ["passphrase", "set", "--new-passphrase-file", "-"];
    daemon
        .m2d(&set, PASSPHRASE)
        .await
        .unwrap()
        .success()
        .unwrap();
    daemon.restart().await.unwrap();
    let right = shelf.text("right");
    let unlock = ["unlock", "--passphrase-file", &right];
    daemon.m2(&unlock).await.unwrap().success().unwrap();
    Api::of(&daemon)
        .await
        .unwrap()
        .invite(true, "")
        .await
        .unwrap();
    let id = daemon.status().await.unwrap().peer_id;
    daemon.m2(&create).await.unwrap().success().unwrap();
    daemon.stop().await.unwrap();

    // A backup opens with the passphrase of the time it was made, even if the identity's changes later.
    let remove = ["passphrase", "remove", "--passphrase-file", "-"];
    daemon
        .m2d(&remove, PASSPHRASE)
        .await
        .unwrap()
        .success()
        .unwrap();
    let wrong = shelf.verify("file", "wrong").await;
    assert!(
        wrong.stderr.contains("passphrase does not open"),
        "{}",
        wrong.stderr
    );
    shelf.verify("file", "right").await.success().unwrap();

    let mut restored = Daemon::prepare(Setup::new()).unwrap();
    assert_eq!(
        shelf.restore(&restored, "file", "wrong").await.code,
        Some(3)
    );
    shelf
        .restore(&restored, "file", "right")
        .await
        .success()
        .unwrap();
    restored.restart().await.unwrap();
    assert_eq!(
        restored.status().await.unwrap().state(),
        DaemonState::Locked
    );
    restored.m2(&unlock).await.unwrap().success().unwrap();
    assert_eq!(restored.status().await.unwrap().peer_id, id);
}

#[tokio::test]
async fn a_restore_overwrites_nothing_and_can_be_repeated_after_an_interruption() {
    let mut daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    let id = daemon.status().await.unwrap().peer_id;
    let shelf = Shelf::new();
    shelf.create(&daemon, "file").await;
    assert_eq!(shelf.restore(&daemon, "file", "right").await.code, Some(4));
    daemon.stop().await.unwrap();
    for name in ["identity.pem", "store.db", "mailbox.db", "store.db-wal"] {
        let other = Daemon::prepare(Setup::new()).unwrap();
        fs::write(other.data().join(name), "mine").unwrap();
        let refused = shelf.restore(&other, "file", "right").await;
        assert_eq!(refused.code, Some(2), "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains(name), "{}", refused.stderr);
        assert_eq!(fs::read(other.data().join(name)).unwrap(), b"mine");
        let mut left = vec![name.to_owned(), "m2d.lock".to_owned()];
        left.sort();
        assert_eq!(names(&other.data()), left);
    }

    // Simulates an interruption between the two renames: the store has its final name, the key does
    // not.
    let mut target = Daemon::prepare(Setup::new()).unwrap();
    shelf
        .restore(&target, "file", "right")
        .await
        .success()
        .unwrap();
    let part = target.data().join("restore.part");
    fs::create_dir(&part).unwrap();
    fs::rename(
        target.data().join("identity.pem"),
        part.join("identity.pem"),
    )
    .unwrap();
    target.spawn().unwrap();
    assert_eq!(target.ended().await.unwrap().code(), Some(2));
    assert!(target.log().contains("interrupted"), "{}", target.log());
    assert!(!target.data().join("identity.pem").exists());
    shelf
        .restore(&target, "file", "right")
        .await
        .success()
        .unwrap();
    assert!(!part.exists());
    target.restart().await.unwrap();
    assert_eq!(target.status().await.unwrap().peer_id, id);
}

/// Messages that alice sends in sequence. The text of each is its number.
struct Traffic {
    task: tokio::task::JoinHandle<usize>,
    sent: tokio::sync::watch::Receiver<usize>,
    stop: Arc<AtomicBool>,
}

impl Traffic {
    fn start(api: Api) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (count, sent) = tokio::sync::watch::channel(0);
        let stopping = stop.clone();
        let task = tokio::spawn(async move {
            let mut number = 0;
            while !stopping.load(Ordering::Relaxed) {
                api.send("bob", &number.to_string()).await.unwrap();
                number += 1;
                count.send_replace(number);
            }
            number
        });
        Self { task, sent, stop }
    }

    /// Waits until at least `wanted` messages are acknowledged. Returns the number acknowledged by
    /// then.
    async fn acknowledged(&self, wanted: usize) -> usize {
        let mut sent = self.sent.clone();
        *sent.wait_for(|count| *count >= wanted).await.unwrap()
    }

    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}
