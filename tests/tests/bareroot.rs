//! The Debian package in bare Debian systems with a real systemd: from its installation to the first message,
//! an upgrade, a refused downgrade, removal and purge. `cargo bareroot` runs these tests, which take minutes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use data_encoding::HEXLOWER;
use m2_crypto::{Identity, provider};
use m2_tests::bareroot::{Base, Host, Package, is_possible};
use m2_tests::harness::Lab;
use m2_tests::workspace;
use rusqlite::Connection;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Instant;

/// The newest format of stores that the daemon knows, as in m2d/packaging/formats.
const STORE: u32 = 15;

/// The commands of the README. The invitation is a placeholder.
const COMMANDS: [(&str, &str); 5] = [
    ("ann", "apt install ./m2_*.deb"),
    ("ben", "apt install ./m2_*.deb"),
    ("ann", "m2 invite create --name ben"),
    ("ben", "m2 contact add m2://… --name ann"),
    ("ben", "m2 send ann \"Hello\""),
];

#[test]
#[ignore = "takes a minute, and two more the first time: cargo bareroot"]
fn four_commands_lead_to_the_first_message() {
    if !is_possible() {
        return;
    }
    let readme = fs::read_to_string(workspace::root().unwrap().join("README.md")).unwrap();
    let made = tempfile::tempdir().unwrap();
    let package = Package::build(made.path()).unwrap();
    let pair = Pair::start();
    pair.ann.give(&package.file).unwrap();
    pair.ben.give(&package.file).unwrap();
    let began = Instant::now();
    let mut invitation = String::new();
    for (host, command) in COMMANDS {
        assert!(readme.contains(command), "README.md: {command}");
        let host = if host == "ann" { &pair.ann } else { &pair.ben };
        if command.contains(" send ") {
            pair.wait_for_contact();
        }
        let command = command.replace("m2://…", &format!("'{invitation}'"));
        let output = host.run(&command.replace("apt install", "apt install -y"));
        let output = output.unwrap_or_else(|error| panic!("{error:#}\n{}", host.log()));
        if command.starts_with("apt ") {
            assert_eq!(pair.sent(), 0, "no packet before the first command");
        }
        println!("{command}\n{output}");
        if let Some(word) = output
            .split_whitespace()
            .find(|word| word.starts_with("m2://"))
        {
            invitation = word.to_owned();
        }
    }
    pair.wait_for_message("Hello");
    println!("first message after {:.1} s", began.elapsed().as_secs_f64());
}

#[test]
#[ignore = "takes a minute, and two more the first time: cargo bareroot"]
fn a_package_is_upgraded_not_downgraded_and_purged() {
    if !is_possible() {
        return;
    }
    let made = tempfile::tempdir().unwrap();
    let package = Package::build(made.path()).unwrap();
    let newer = package.variant("9.0.0", STORE + 1).unwrap();
    let base = Base::get().unwrap();
    let lab = Lab::new(&["ann"]).unwrap();
    let ann = Host::start(&base, &lab, "ann").unwrap();
    ann.give(&package.file).unwrap();
    ann.give(&newer.file).unwrap();
    install(&ann, &package);
    assert_eq!(process(&ann), "0", "nothing runs before the first command");
    let peer_id = ann.run("m2 id").unwrap();
    is_private(&ann);
    ann.run("m2 invite create --name ben").unwrap();
    let first = process(&ann);

    is_upgraded(&ann, &newer, &first, &peer_id);
    is_not_downgraded(&ann, &package, &peer_id);
    is_removed(&ann);
    is_purged(&ann);
    is_refused_by_the_daemon(&ann, &package);
    install(&ann, &newer);
    assert_eq!(ann.run("m2 id").unwrap(), peer_id, "the identity was kept");
}

fn install(host: &Host, package: &Package) {
    let command = format!("apt-get install -y ./{}", package.name());
    let output = host
        .run(&command)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", host.log()));
    println!("{output}");
    for unit in ["m2d.service", "m2d.socket"] {
        let state = host.run(&format!("systemctl is-enabled {unit}")).unwrap();
        assert_eq!(state, "enabled\n", "{unit}: {}", host.log());
    }
    let state = host.shell("systemctl is-active m2d.socket").unwrap();
    assert_eq!(state.stdout, "active\n", "{}", host.log());
}

/// The data belongs to a user of its own.
fn is_private(host: &Host) {
    let found = |path: &str| fs::metadata(host.path(path)).unwrap();
    let (directory, key) = (found("/var/lib/m2d"), found("/var/lib/m2d/identity.pem"));
    assert_eq!(directory.permissions().mode() & 0o777, 0o700);
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    assert_ne!(key.uid(), 0);
    assert_eq!(key.uid(), directory.uid());
}

/// A restart into the new program, with the data of before.
fn is_upgraded(host: &Host, newer: &Package, before: &str, peer_id: &str) {
    install(host, newer);
    let after = process(host);
    assert_ne!(after, before, "restarted");
    let program = host.run(&format!("readlink /proc/{after}/exe")).unwrap();
    assert_eq!(program, "/usr/bin/m2d\n", "the new program runs");
    assert_eq!(host.run("m2 id").unwrap(), peer_id);
    assert!(host.run("m2 invite list").unwrap().contains("ben"));
}

/// The older package refuses before anything is changed, and the daemon keeps running.
fn is_not_downgraded(host: &Host, older: &Package, peer_id: &str) {
    let before = process(host);
    let command = format!("apt-get install -y --allow-downgrades ./{}", older.name());
    let refused = host.shell(&command).unwrap();
    assert_ne!(refused.code, Some(0));
    let text = format!("{}{}", refused.stdout, refused.stderr);
    let numbers = format!("({}) is {}, and this", "store", STORE + 1);
    assert!(
        text.contains(&numbers) && text.contains("m2d restore"),
        "{text}"
    );
    println!("{text}");
    let version = host
        .run("dpkg-query -W -f '${Status} ${Version}' m2")
        .unwrap();
    assert_eq!(version, "install ok installed 9.0.0");
    assert_eq!(process(host), before, "the daemon was not disturbed");
    assert_eq!(host.run("m2 id").unwrap(), peer_id);
    assert_eq!(host.run("dpkg --audit").unwrap(), "");
}

fn is_removed(host: &Host) {
    host.run("apt-get remove -y m2").unwrap();
    let state = host
        .shell("systemctl is-active m2d.service m2d.socket")
        .unwrap();
    assert!(!state.stdout.contains("\nactive") && !state.stdout.starts_with("active"));
    assert!(!host.path("/usr/bin/m2d").exists());
    assert!(host.path("/etc/m2d/m2d.toml").exists());
    assert!(host.path("/var/lib/m2d/identity.pem").exists());
}

/// Settings are deleted, the identity is not, and its user keeps its name: no other user gets the number.
fn is_purged(host: &Host) {
    let owner = fs::metadata(host.path("/var/lib/m2d/identity.pem"))
        .unwrap()
        .uid();
    let told = host.run("apt-get purge -y m2").unwrap();
    assert!(told.contains("kept in /var/lib/m2d"), "{told}");
    println!("{told}");
    assert!(!host.path("/etc/m2d").exists());
    assert!(host.path("/var/lib/m2d/identity.pem").exists());
    assert_eq!(host.run("id -u m2d").unwrap().trim(), owner.to_string());
    let left = host
        .run("find /etc /usr /var/lib/systemd -name '*m2d*' -o -name 'm2'")
        .unwrap();
    assert_eq!(left, "");
}

/// A removed package leaves nothing for a script to compare. Then the older daemon refuses the newer store.
fn is_refused_by_the_daemon(host: &Host, older: &Package) {
    set_format(host, STORE + 1);
    let command = format!("apt-get install -y ./{} 2>&1", older.name());
    let told = host.run(&command).unwrap();
    assert!(told.contains("m2: The service m2d did not start"), "{told}");
    let state = host.shell("systemctl is-active m2d.service").unwrap();
    assert_eq!(state.stdout, "failed\n", "not started again and again");
    let reason = host
        .run("journalctl --no-pager -u m2d.service -n 20")
        .unwrap();
    assert!(reason.contains("written by a newer version"), "{reason}");
    set_format(host, STORE);
}

/// Sets the number of the store's format, as a newer daemon does.
fn set_format(host: &Host, number: u32) {
    let directory = host.path("/var/lib/m2d");
    let pem = fs::read_to_string(directory.join("identity.pem")).unwrap();
    let identity = Identity::from_pem(&pem, None, provider::default()).unwrap();
    let store = Connection::open(directory.join("store.db")).unwrap();
    let key = HEXLOWER.encode(identity.store_key().expose());
    let pragmas = format!("PRAGMA key = \"x'{key}'\"; PRAGMA cipher_hmac_algorithm = HMAC_SHA256;");
    store.execute_batch(&pragmas).unwrap();
    let found: u32 = store
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert!([STORE, STORE + 1].contains(&found), "{found}");
    store.pragma_update(None, "user_version", number).unwrap();
}

/// Returns the id of the daemon's process.
fn process(host: &Host) -> String {
    let shown = host.run("systemctl show -P MainPID m2d.service").unwrap();
    shown.trim().to_owned()
}

/// Two systems in one network.
struct Pair {
    ann: Host,
    ben: Host,
    lab: Lab,
}

impl Pair {
    fn start() -> Self {
        let base = Base::get().unwrap();
        let lab = Lab::new(&["ann", "ben"]).unwrap();
        let (ann, ben) = (
            ("ann", "lan", "10.77.0.1/24"),
            ("ben", "lan", "10.77.0.2/24"),
        );
        lab.link(ann, ben).unwrap();
        Self {
            ann: Host::start(&base, &lab, "ann").unwrap(),
            ben: Host::start(&base, &lab, "ben").unwrap(),
            lab,
        }
    }

    /// Waits until ann has answered: a person needs longer for the next command.
    fn wait_for_contact(&self) {
        let list = "until m2 contact list --state contact | grep -q ann; do sleep 0.1; done";
        let found = self.ben.run(list);
        found.unwrap_or_else(|error| panic!("{error:#}\n{}", self.ann.log()));
    }

    /// Returns the number of packets that ann's host has sent.
    fn sent(&self) -> u64 {
        self.lab.sent("ann", "lan").unwrap()
    }

    /// Waits until ann has the message.
    fn wait_for_message(&self, text: &str) {
        let history = format!("until m2 history ben | grep -q {text}; do sleep 0.1; done");
        let found = self.ann.run(&history);
        found.unwrap_or_else(|error| panic!("{error:#}\n{}", self.ann.log()));
    }
}
