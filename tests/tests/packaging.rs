//! The service files that come with the daemon are accepted by what reads them.
#![allow(clippy::unwrap_used, clippy::panic)]

use m2_tests::skip::skip;
use m2_tests::workspace;
use std::fs;
use std::process::{Command, Stdio};

/// systemd's own judgement. The daemon need not be installed: any program stands in for it.
#[test]
fn systemd_unit() {
    if !installed("systemd-analyze") {
        skip("systemd-analyze is not installed");
        return;
    }
    let unit = read("m2d/packaging/systemd/m2d.service");
    assert!(unit.contains("ExecStart=/usr/bin/m2d run\n"));
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("m2d.service");
    fs::write(&copy, unit.replace("/usr/bin/m2d", "/bin/true")).unwrap();
    let output = Command::new("systemd-analyze")
        .args(["verify", "--user", "--man=no", "--recursive-errors=yes"])
        .arg(&copy)
        .env("XDG_RUNTIME_DIR", directory.path())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
    assert!(!complaints.contains("m2d.service"), "{complaints}");
}

/// The codes of failures that a restart can't mend, as `m2d --help` lists them.
#[test]
fn failures_that_last_are_not_restarted() {
    let unit = read("m2d/packaging/systemd/m2d.service");
    assert!(unit.contains("\nRestart=on-failure\n"));
    assert!(unit.contains("\nRestartPreventExitStatus=2 3 4 5 6\n"));
    let plist = read("m2d/packaging/launchd/m2d.plist");
    assert!(plist.contains("<string>--launchd</string>"));
    let running = read("docs/operator/running.md");
    for code in 0..=7 {
        let row = format!("\n| {code} | ");
        let row = running.split(&row).nth(1).unwrap().lines().next().unwrap();
        let restarted = row.ends_with("| yes |");
        assert_eq!(restarted, [1, 7].contains(&code), "{code}: {row}");
    }
}

/// What look-up needs is not taken away: without netlink no address of this computer is known, and
/// nothing says why.
#[test]
fn systemd_unit_allows_look_up() {
    let unit = read("m2d/packaging/systemd/m2d.service");
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key));
    let families: Vec<&str> = value("RestrictAddressFamilies=")
        .unwrap()
        .split_whitespace()
        .collect();
    for family in ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"] {
        assert!(families.contains(&family), "{family}");
    }
    // The gateway's address and the kind of IPv6 addresses stand in /proc/net; mDNS and UPnP are
    // multicast.
    for key in ["ProcSubset=", "PrivateNetwork=", "IPAddressDeny="] {
        assert_eq!(value(key), None, "{key}");
    }
}

/// Every tag of the plist is closed; `plutil` judges better where there is one.
#[test]
fn launchd_agent() {
    let plist = read("m2d/packaging/launchd/m2d.plist");
    for tag in ["plist", "dict", "array", "key", "string", "integer"] {
        let opened =
            plist.matches(&format!("<{tag}>")).count() + plist.matches(&format!("<{tag} ")).count();
        let closed = plist.matches(&format!("</{tag}>")).count();
        assert_eq!(opened, closed, "{tag}");
    }
    if installed("plutil") {
        let path = workspace::root()
            .unwrap()
            .join("m2d/packaging/launchd/m2d.plist");
        let status = Command::new("plutil").arg("-lint").arg(path).status();
        assert!(status.unwrap().success());
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace::root().unwrap().join(path)).unwrap()
}

fn installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}
