//! `m2 doctor` with real daemons: each fault has its line, and what that line recommends mends the fault.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_proto::api::v1::AddLineRequest;
use m2_tests::harness::{Clock, Daemon, Output, Setup};
use m2_tests::scenario::{Api, Pair, SERVES, Trio, befriend, eventually};
use m2_tests::skip::skip;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const HOUR: i64 = 3_600;
const PASSPHRASE: &str = "open sesame";
const SET: &[&str] = &["passphrase", "set", "--new-passphrase-file", "-"];

/// A line of the doctor's report.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    area: String,
    result: String,
    text: String,
    remedy: String,
}

/// Runs the doctor. Returns its exit code and its lines.
async fn report(daemon: &Daemon) -> (Option<i32>, Vec<Line>) {
    let data = daemon.data().to_str().unwrap().to_owned();
    let doctor = ["--json", "doctor", "--data-dir", &data];
    let output = daemon.m2(&doctor).await.unwrap();
    (output.code, lines(&output))
}

fn lines(output: &Output) -> Vec<Line> {
    let lines = output.stdout.lines();
    let values = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
    values
        .map(|value| Line {
            area: text(&value, "area"),
            result: text(&value, "result"),
            text: text(&value, "text"),
            remedy: text(&value, "remedy"),
        })
        .collect()
}

/// Returns the only line of an area.
async fn line(daemon: &Daemon, area: &str) -> Line {
    let (_, lines) = report(daemon).await;
    let of_area: Vec<&Line> = lines.iter().filter(|line| line.area == area).collect();
    assert_eq!(of_area.len(), 1, "{lines:?}");
    of_area[0].clone()
}

/// Waits until an area has a line with this result, and returns it.
async fn await_result(daemon: &Daemon, area: &str, result: &str) -> Line {
    let what = format!("{area} to be {result}");
    let found = eventually(&what, async || {
        let (_, lines) = report(daemon).await;
        let mut lines = lines.into_iter();
        Ok(lines.find(|line| line.area == area && line.result == result))
    });
    match found.await {
        Ok(line) => line,
        Err(error) => panic!("{error}: {:?}", report(daemon).await),
    }
}

/// Runs a remedy, a command of a shell, or of `m2` with this daemon.
async fn mend(daemon: &Daemon, remedy: &str) {
    if let Some(command) = remedy.strip_prefix("m2 ") {
        let words: Vec<&str> = command.split(' ').collect();
        daemon.m2(&words).await.unwrap().success().unwrap();
        return;
    }
    let status = Command::new("sh").args(["-c", remedy]).status().unwrap();
    assert!(status.success(), "{remedy}");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Writes a passphrase next to the configuration.
fn passphrase_file(daemon: &Daemon) -> PathBuf {
    let path = daemon.config().with_file_name("pass");
    fs::write(&path, PASSPHRASE).unwrap();
    set_mode(&path, 0o600);
    path
}

/// Makes a backup, as the remedy says.
async fn back_up(daemon: &Daemon, remedy: &str) {
    let pass = passphrase_file(daemon);
    let file = daemon.config().with_file_name("backup");
    let words = remedy.strip_prefix("m2 ").unwrap().split(' ');
    let words = words.map(|word| match word {
        "FILE" => file.to_str().unwrap(),
        word => word,
    });
    let rest = ["--passphrase-file", pass.to_str().unwrap()];
    let words: Vec<&str> = words.chain(rest).collect();
    daemon.m2(&words).await.unwrap().success().unwrap();
}

#[tokio::test]
async fn a_healthy_daemon_is_fine_in_every_area() {
    let setup = Setup::new()
        .identity("alice")
        .tables("[identity]\npassphrase_file = \"pass\"\n");
    let mut alice = Daemon::prepare(setup).unwrap();
    passphrase_file(&alice);
    alice.m2d(SET, PASSPHRASE).await.unwrap().success().unwrap();
    alice.restart().await.unwrap();
    let bob = Daemon::start(Setup::new().identity("bob")).await.unwrap();
    befriend((&alice, "alice"), (&bob, "bob")).await.unwrap();

    // A contact that was never compared, and no backup yet.
    let unverified = await_result(&alice, "peers", "warning").await;
    mend(&alice, &format!("{} --matched", unverified.remedy)).await;
    let missing = await_result(&alice, "backup", "warning").await;
    assert!(missing.text.contains("No backup"), "{missing:?}");
    back_up(&alice, &missing.remedy).await;

    await_result(&alice, "clock", "ok").await;
    let (code, lines) = report(&alice).await;
    assert_eq!(code, Some(0));
    assert!(lines.iter().all(|line| line.result == "ok"), "{lines:?}");
    let areas: Vec<&str> = lines.iter().map(|line| line.area.as_str()).collect();
    assert_eq!(
        areas,
        [
            "daemon",
            "clock",
            "disk",
            "permissions",
            "key",
            "store",
            "backup",
            "events",
            "ports",
            "peers",
            "relays",
            "boxes",
            "privacy"
        ]
    );
    let quiet = alice.m2(&["doctor", "--quiet"]).await.unwrap();
    assert_eq!((quiet.code, quiet.stdout.as_str()), (Some(0), ""));
    let shown = alice.m2(&["doctor"]).await.unwrap().success().unwrap();
    assert!(shown.contains("ok           permissions  only"), "{shown}");
    let status = alice.m2(&["status"]).await.unwrap().success().unwrap();
    assert!(status.contains("last backup  20"), "{status}");
}

#[tokio::test]
async fn an_absent_daemon_is_told_with_what_its_directory_shows() {
    let mut daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    daemon.stop().await.unwrap();
    let (code, lines) = report(&daemon).await;
    assert_eq!(code, Some(3));
    let found = |area: &str| lines.iter().find(|line| line.area == area).unwrap();
    assert_eq!(found("daemon").result, "problem");
    let data = daemon.data();
    let start = format!("m2d run --data-dir {}", data.display());
    assert_eq!(found("daemon").remedy, start);
    for area in ["disk", "permissions", "key"] {
        assert_eq!(found(area).result, "ok", "{lines:?}");
    }
    for area in ["clock", "ports", "peers", "relays", "boxes", "backup"] {
        assert_eq!(found(area).result, "not-checked", "{lines:?}");
    }
    // The modes are examined without a daemon as well.
    for (path, mode) in [(data.join("identity.pem"), 0o644), (data.clone(), 0o777)] {
        set_mode(&path, mode);
        let exposed = line(&daemon, "permissions").await;
        assert_eq!(exposed.result, "problem", "{exposed:?}");
        mend(&daemon, &exposed.remedy).await;
        assert_eq!(line(&daemon, "permissions").await.result, "ok");
    }
    fs::remove_file(data.join("identity.pem")).unwrap();
    let key = line(&daemon, "key").await;
    assert_eq!(
        (key.result.as_str(), key.remedy.as_str()),
        ("problem", "m2d restore FILE")
    );
}

#[tokio::test]
async fn a_locked_daemon_is_told_and_unlocked_by_the_remedy() {
    let mut daemon = Daemon::prepare(Setup::new().identity("alice")).unwrap();
    daemon
        .m2d(SET, PASSPHRASE)
        .await
        .unwrap()
        .success()
        .unwrap();
    daemon.restart().await.unwrap();
    let (code, lines) = report(&daemon).await;
    assert_eq!(code, Some(1));
    let locked = line(&daemon, "daemon").await;
    assert_eq!(
        (locked.result.as_str(), locked.remedy.as_str()),
        ("problem", "m2 unlock")
    );
    let unchecked = lines.iter().filter(|line| line.result == "not-checked");
    assert_eq!(unchecked.count(), 9, "{lines:?}");
    let key = daemon.data().join("identity.pem");
    set_mode(&key, 0o644);
    assert_eq!(line(&daemon, "permissions").await.result, "problem");
    set_mode(&key, 0o600);

    let pass = passphrase_file(&daemon);
    let remedy = format!("{} --passphrase-file {}", locked.remedy, pass.display());
    mend(&daemon, &remedy).await;
    assert_eq!(line(&daemon, "daemon").await.result, "ok");
}

#[tokio::test]
async fn files_that_are_open_to_others_are_told_until_they_are_closed() {
    let daemon = Daemon::start(Setup::new().identity("alice")).await.unwrap();
    for (path, mode, result) in [
        (daemon.data().join("identity.pem"), 0o644, "problem"),
        (daemon.data(), 0o777, "problem"),
        (daemon.config(), 0o666, "warning"),
        (daemon.socket(), 0o666, "warning"),
    ] {
        set_mode(&path, mode);
        let exposed = line(&daemon, "permissions").await;
        assert_eq!(exposed.result, result, "{exposed:?}");
        let status = daemon.status().await.unwrap().warnings.join("\n");
        assert!(status.contains(&exposed.remedy), "{status}");
        mend(&daemon, &exposed.remedy).await;
        assert_eq!(line(&daemon, "permissions").await.result, "ok");
    }
}

/// A file system of its own for the data of a daemon.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one. Errors: this system does not permit that.
    fn mount(at: &Path, size: &str) -> Result<Self, String> {
        let disk = Self(at.to_owned());
        disk.run(&[
            "-t",
            "tmpfs",
            "-o",
            &format!("size={size},mode=700"),
            "none",
        ])?;
        Ok(disk)
    }

    fn resize(&self, size: &str) {
        self.run(&["-o", &format!("remount,size={size}")]).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let output = Command::new("mount").args(arguments).arg(&self.0).output();
        let output = output.map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_is_told_until_there_is_room() {
    let mut daemon = Daemon::prepare(Setup::new()).unwrap();
    let disk = match SmallDisk::mount(&daemon.data(), "48m") {
        Ok(disk) => disk,
        Err(why) => return skip(&format!("no file system can be mounted: {why}")),
    };
    daemon.restart().await.unwrap();
    let low = line(&daemon, "disk").await;
    assert_eq!(low.result, "warning", "{low:?}");
    assert!(low.text.contains("MiB left"), "{low:?}");
    assert!(low.remedy.starts_with("df -h /"), "{low:?}");
    disk.resize("200m");
    assert_eq!(line(&daemon, "disk").await.result, "ok");
    daemon.stop().await.unwrap();
    disk.resize("48m");
    assert_eq!(line(&daemon, "disk").await.result, "warning");
}

#[tokio::test]
async fn a_wrong_clock_is_told_until_it_is_set() {
    let clock = Clock::new().unwrap();
    let setup = |name: &str| Setup::new().identity(name);
    let alice = clock.for_daemon(setup("alice"));
    let mut pair = Pair::start_as(alice, setup("bob")).await.unwrap();
    await_result(&pair.alice, "clock", "ok").await;
    pair.alice.stop().await.unwrap();
    clock.set_by(20 * HOUR).unwrap();
    pair.alice.restart().await.unwrap();
    let wrong = await_result(&pair.alice, "clock", "warning").await;
    assert!(wrong.text.contains("20 hours ahead of"), "{wrong:?}");
    assert_eq!(wrong.remedy, "timedatectl set-ntp true");
    clock.set_by(0).unwrap();
    await_result(&pair.alice, "clock", "ok").await;
}

#[tokio::test]
async fn an_old_backup_is_told_until_another_is_made() {
    let clock = Clock::new().unwrap();
    clock.set_by(-20 * 24 * HOUR).unwrap();
    let setup = clock.for_daemon(Setup::new().identity("alice"));
    let daemon = Daemon::start(setup).await.unwrap();
    back_up(&daemon, "m2 backup create FILE").await;
    clock.set_by(0).unwrap();
    let old = await_result(&daemon, "backup", "warning").await;
    assert!(old.text.contains("20 days ago"), "{old:?}");
    back_up(&daemon, &format!("{} --force", old.remedy)).await;
    await_result(&daemon, "backup", "ok").await;
}

#[tokio::test]
async fn a_dead_relay_is_told_until_it_is_removed() {
    let relays = "[relay]\nserve = true\nextend_to_private = true\n";
    let setup = Setup::new().network("session_keys = 32").tables(relays);
    let mut relay = Daemon::start(setup).await.unwrap();
    let setup = Setup::new()
        .identity("alice")
        .privacy("ip = \"prefer-line\"");
    let daemon = Daemon::start(setup).await.unwrap();
    let invitation = Api::of(&relay).await.unwrap().invite(true, "").await;
    let api = Api::of(&daemon).await.unwrap();
    let request = AddLineRequest {
        invitation: invitation.unwrap(),
        entry: false,
    };
    api.client().lines().add_line(request).await.unwrap();
    assert_eq!(line(&daemon, "relays").await.result, "not-checked");
    // The invitation needs a line.
    api.invite(false, "bob").await.unwrap();
    eventually("the relay", async || {
        let reached = line(&daemon, "relays").await;
        Ok(reached.text.starts_with("1 reached").then_some(()))
    })
    .await
    .unwrap();
    relay.kill9().await.unwrap();
    let dead = await_result(&daemon, "relays", "problem").await;
    mend(&daemon, &dead.remedy).await;
    let gone = await_result(&daemon, "relays", "ok").await;
    assert_eq!(gone.text, "none is used");
}

#[tokio::test]
async fn a_refused_mailbox_is_told_until_it_is_removed() {
    let setup = |name: &str| Setup::new().identity(name);
    let carol = setup("carol").tables(SERVES);
    let (bob, carol) = tokio::try_join!(Daemon::start(setup("bob")), Daemon::start(carol)).unwrap();
    let carols = Api::of(&carol).await.unwrap();
    let invitation = carols.invite(false, "").await.unwrap();
    let alice = Daemon::start(setup("alice")).await.unwrap();
    for daemon in [&alice, &bob] {
        let asked = daemon.m2(&["mailbox", "register", &invitation]).await;
        asked.unwrap().success().unwrap();
        if std::ptr::eq(daemon, &alice) {
            await_result(&alice, "boxes", "ok").await;
        }
    }
    let refused = await_result(&bob, "boxes", "problem").await;
    let warnings = bob.status().await.unwrap().warnings.join("\n");
    assert!(warnings.contains("mailboxes were refused"), "{warnings}");
    mend(&bob, &refused.remedy).await;
    await_result(&bob, "boxes", "ok").await;
    let warnings = bob.status().await.unwrap().warnings.join("\n");
    assert!(!warnings.contains("refused"), "{warnings}");
}

#[tokio::test]
async fn a_contacts_mailbox_that_is_full_is_told() {
    let adjust = |name: &str, setup: Setup| match name {
        "carol" => setup.tables("box_letters = 1"),
        _ => setup,
    };
    let mut trio = Trio::start_as(adjust).await.unwrap();
    trio.consent().await.unwrap();
    let alice = Api::of(&trio.alice).await.unwrap();
    trio.bob.stop().await.unwrap();
    for number in 0..3 {
        alice.send("bob", &format!("{number}")).await.unwrap();
    }
    let full = await_result(&trio.alice, "boxes", "warning").await;
    assert!(
        full.text.starts_with("The mailbox of bob is full"),
        "{full:?}"
    );
    assert_eq!(full.remedy, "m2 contact show bob");
    let warnings = trio.alice.status().await.unwrap().warnings.join("\n");
    assert!(warnings.contains("1 contacts are full"), "{warnings}");
    // The contact that does not answer while messages wait has a line of its own.
    eventually("the contact's line", async || {
        let (_, lines) = report(&trio.alice).await;
        let mut remedies = lines.iter().map(|line| line.remedy.as_str());
        Ok(remedies
            .any(|remedy| remedy == "m2 network probe bob")
            .then_some(()))
    })
    .await
    .unwrap();
}
