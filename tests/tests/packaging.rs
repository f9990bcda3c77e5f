//! The service files that ship with the daemon are accepted by the programs that read them.
#![allow(clippy::unwrap_used, clippy::panic)]

use m2_tests::skip::skip;
use m2_tests::workspace;
use std::fs;
use std::process::{Command, Stdio};

/// systemd verifies the unit. The daemon need not be installed: `/bin/true` replaces it.
#[test]
fn systemd_accepts_the_unit() {
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

/// Exit codes of failures that a restart cannot fix, as `m2d --help` lists them.
#[test]
fn permanent_failures_are_not_restarted() {
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

/// The unit allows everything that look-up needs. Without netlink the daemon would know no address of
/// this computer, and no error would say why.
#[test]
fn the_systemd_unit_allows_look_up() {
    let unit = read("m2d/packaging/systemd/m2d.service");
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key));
    let families: Vec<&str> = value("RestrictAddressFamilies=")
        .unwrap()
        .split_whitespace()
        .collect();
    for family in ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"] {
        assert!(families.contains(&family), "{family}");
    }
    // The gateway's address and the kinds of IPv6 addresses come from /proc/net; mDNS and UPnP use
    // multicast.
    for key in ["ProcSubset=", "PrivateNetwork=", "IPAddressDeny="] {
        assert_eq!(value(key), None, "{key}");
    }
}

/// Checks that every tag of the plist is closed. `plutil` checks more, where it is installed.
#[test]
fn the_launchd_agent_is_well_formed() {
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
