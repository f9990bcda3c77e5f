//! Files that are foreign, damaged or locked: each is refused with its reason.

use crate::scene::{Shelf, names};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::Api;
use std::fs;

#[tokio::test]
async fn damaged_foreign_and_locked_files_are_refused_with_their_reason() {
    let daemon = Daemon::start(Setup::new().identity("bob")).await.unwrap();
    let api = Api::of(&daemon).await.unwrap();
    for _ in 0..20 {
        api.invite(true, "").await.unwrap();
    }
    let shelf = Shelf::new();
    shelf.create(&daemon, "file").await;
    let whole = fs::read(shelf.path("file")).unwrap();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let newer = {
        let mut bytes = whole.clone();
        bytes[8] = 2;
        bytes
    };
    let longer = [whole.as_slice(), b"more"].concat();
    let (damaged, foreign) = ("damaged or incomplete", "not an M2 backup");
    let middle = whole.len() / 2;
    let cases: [(&str, Vec<u8>, &str, &str); 10] = [
        ("empty", Vec::new(), "right", foreign),
        (
            "foreign",
            b"SQLite format 3\0 and more".to_vec(),
            "right",
            foreign,
        ),
        ("newer", newer, "right", "newer version"),
        ("start", whole[..20].to_vec(), "right", damaged),
        ("half", whole[..middle].to_vec(), "right", damaged),
        ("cut", whole[..whole.len() - 1].to_vec(), "right", damaged),
        ("last", changed(whole.len() - 1), "right", damaged),
        ("flipped", changed(middle), "right", damaged),
        ("longer", longer, "right", damaged),
        ("locked", whole.clone(), "wrong", "passphrase does not open"),
    ];
    let target = Daemon::prepare(Setup::new()).unwrap();
    for (name, bytes, passphrase, words) in cases {
        fs::write(shelf.path(name), bytes).unwrap();
        let refused = shelf.verify(name, passphrase).await;
        assert_eq!(refused.code, Some(1), "{name}");
        assert!(refused.stderr.contains(words), "{name}: {}", refused.stderr);
        let refused = shelf.restore(&target, name, passphrase).await;
        let code = if name == "locked" { 3 } else { 1 };
        assert_eq!(refused.code, Some(code), "{name}: {}", refused.stderr);
        assert!(refused.stderr.contains(words), "{name}: {}", refused.stderr);
        for file in ["identity.pem", "store.db"] {
            assert!(!target.data().join(file).exists(), "{name} left {file}");
        }
    }
    // The refused files do not prevent a later restore.
    shelf
        .restore(&target, "file", "right")
        .await
        .success()
        .unwrap();
    assert_eq!(
        names(&target.data()),
        ["identity.pem", "m2d.lock", "store.db"]
    );
}

#[tokio::test]
async fn a_backup_replaces_a_file_only_with_force() {
    let daemon = Daemon::start(Setup::new().identity("bob")).await.unwrap();
    let shelf = Shelf::new();
    fs::write(shelf.path("file"), "mine").unwrap();
    let (file, right) = (shelf.text("file"), shelf.text("right"));
    let create = ["backup", "create", &file, "--passphrase-file", &right];
    let refused = daemon.m2(&create).await.unwrap();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(fs::read(shelf.path("file")).unwrap(), b"mine");

    let forced = [&create[..], &["--force"]].concat();
    let said = daemon.m2(&forced).await.unwrap().success().unwrap();
    assert!(said.contains("verified"), "{said}");
    shelf.verify("file", "right").await.success().unwrap();
    assert_eq!(shelf.names(), ["file", "right", "wrong"]);

    shelf.passphrase("none", "");
    let none = shelf.text("none");
    let empty = [
        "backup",
        "create",
        &shelf.text("other"),
        "--passphrase-file",
        &none,
    ]
    .map(str::to_owned);
    let empty: Vec<&str> = empty.iter().map(String::as_str).collect();
    let refused = daemon.m2(&empty).await.unwrap();
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(!shelf.path("other").exists());
}
