//! The service files that ship with the daemon are accepted by the programs that read them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_tests::skip::skip;
use m2_tests::workspace;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// The units of the system service, as instances where they are templates.
const SYSTEM: [(&str, &str); 9] = [
    ("m2d.service", "m2d.service"),
    ("m2d.socket", "m2d.socket"),
    ("m2d@.service", "m2d@work.service"),
    ("m2d@.socket", "m2d@work.socket"),
    ("m2-listen@.service", "m2-listen@door.service"),
    ("m2-backup.service", "m2-backup.service"),
    ("m2-backup.timer", "m2-backup.timer"),
    ("m2-http.service", "m2-http.service"),
    ("m2-mqtt.service", "m2-mqtt.service"),
];

/// The units with all hardening.
const HARDENED: [&str; 3] = ["m2d.service", "m2d@.service", "m2-backup.service"];

/// The exposure that `systemd-analyze security` may report at most, in tenths.
const EXPOSURE: u32 = 15;

/// systemd verifies the units. The programs need not be installed: `/bin/true` replaces them.
#[test]
fn systemd_accepts_the_units() {
    if !installed("systemd-analyze") {
        skip("systemd-analyze is not installed");
        return;
    }
    let directory = copies();
    let users = tempfile::tempdir().unwrap();
    for name in ["m2d.service", "m2-backup.service", "m2-backup.timer"] {
        let unit = read(&format!("m2d/packaging/systemd/user/{name}"));
        fs::write(users.path().join(name), replaced(&unit)).unwrap();
    }
    for name in ["m2d.service", "m2-backup.timer", "m2-backup.service"] {
        verify(&["--user"], &users.path().join(name));
    }
    for (_, name) in SYSTEM {
        verify(&[], &directory.path().join(name));
    }
}

fn verify(options: &[&str], unit: &Path) {
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=yes"])
        .args(options)
        .arg(unit)
        .env("XDG_RUNTIME_DIR", unit.parent().unwrap())
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{unit:?}: {complaints}");
    let name = unit.file_name().unwrap().to_str().unwrap();
    assert!(!complaints.contains(name), "{complaints}");
}

#[test]
fn the_system_service_is_little_exposed() {
    if !installed("systemd-analyze") {
        skip("systemd-analyze is not installed");
        return;
    }
    let directory = copies();
    for (template, name) in SYSTEM {
        if !HARDENED.contains(&template) {
            continue;
        }
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true"])
            .arg(format!("--threshold={EXPOSURE}"))
            .arg(directory.path().join(name))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {told}");
        assert!(told.contains("Overall exposure level"), "{told}");
    }
}

/// Each line of the hardening has a comment of its own that says why.
#[test]
fn every_line_of_the_hardening_is_explained() {
    for name in HARDENED {
        let unit = read(&format!("m2d/packaging/systemd/system/{name}"));
        let hardening = unit.split("LimitCORE=0").nth(1).unwrap();
        let hardening = hardening.split("[Install]").next().unwrap();
        let lines: Vec<&str> = hardening.lines().collect();
        let settings = lines
            .windows(2)
            .filter(|pair| pair[1].contains('=') && !pair[1].starts_with('#'));
        let settings: Vec<_> = settings.collect();
        assert!(settings.len() > 25, "{name}: {}", settings.len());
        for pair in settings {
            assert!(pair[0].starts_with("# "), "{name}: {}", pair[1]);
        }
    }
}

/// An instance is the same service under other names.
#[test]
fn the_template_has_the_settings_of_the_service() {
    let settings = |name: &str| -> Vec<String> {
        let unit = read(&format!("m2d/packaging/systemd/system/{name}"));
        let lines = unit.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.replace("-%i", "").replace("@%i", ""))
            .collect()
    };
    let own = ["DynamicUser=yes", "Group=m2d", "SocketUser=m2d"];
    for kind in ["service", "socket"] {
        let [one, template] = [format!("m2d.{kind}"), format!("m2d@.{kind}")].map(|name| {
            let mut settings = settings(&name);
            settings.retain(|line| !own.contains(&line.as_str()));
            settings
                .join("\n")
                .replace(" (%i)", "")
                .replace(":m2d-passphrase", "")
        });
        assert_eq!(one, template);
    }
}

/// Copies the units of the system service. Their programs are replaced by one that exists everywhere.
fn copies() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (source, name) in SYSTEM {
        let unit = read(&format!("m2d/packaging/systemd/system/{source}"));
        fs::write(directory.path().join(name), replaced(&unit)).unwrap();
    }
    directory
}

/// Replaces the programs of a unit by one that exists everywhere.
fn replaced(unit: &str) -> String {
    let unit = unit.replace("/usr/bin/m2d", "/bin/true");
    let unit = unit.replace("/usr/bin/m2-mqtt", "/bin/true");
    let unit = unit.replace("/usr/bin/m2-http", "/bin/true");
    unit.replace("/usr/bin/m2 ", "/bin/true ")
}

/// The timers run the same command at the same times, for the system and for a user.
#[test]
fn the_backup_units_make_verify_rehearse_and_rotate() {
    for kind in ["system", "user"] {
        let unit = read(&format!("m2d/packaging/systemd/{kind}/m2-backup.service"));
        let start = unit
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart="));
        let start = start.unwrap();
        for words in [
            "/usr/bin/m2 backup create --passphrase-file ",
            " --keep ${M2_BACKUP_KEEP} ",
            " --rehearse ",
            " ${M2_BACKUP_DIR}",
        ] {
            assert!(start.contains(words), "{kind}: {start}");
        }
        let timer = read(&format!("m2d/packaging/systemd/{kind}/m2-backup.timer"));
        assert!(timer.contains("\nOnCalendar=daily\n") && timer.contains("\nPersistent=true\n"));
    }
    let places = read("m2d/packaging/systemd/tmpfiles.d/m2d.conf");
    assert!(places.contains("d /var/backups/m2d 0700 m2d m2d"));
}

/// Exit codes of failures that a restart cannot fix, as `m2d --help` lists them.
#[test]
fn permanent_failures_are_not_restarted() {
    for unit in [
        "user/m2d.service",
        "system/m2d.service",
        "system/m2d@.service",
    ] {
        let unit = read(&format!("m2d/packaging/systemd/{unit}"));
        assert!(unit.contains("\nRestart=on-failure\n"));
        assert!(unit.contains("\nRestartPreventExitStatus=2 3 4 5 6\n"));
    }
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

/// The units allow everything that look-up needs. Without netlink the daemon would know no address of
/// this computer, and no error would say why.
#[test]
fn the_systemd_units_allow_look_up() {
    for unit in [
        "user/m2d.service",
        "system/m2d.service",
        "system/m2d@.service",
    ] {
        let unit = read(&format!("m2d/packaging/systemd/{unit}"));
        let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key));
        let families = value("RestrictAddressFamilies=").unwrap();
        let families: Vec<&str> = families.split_whitespace().collect();
        for family in ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"] {
            assert!(families.contains(&family), "{family}");
        }
        // The gateway's address and the kinds of IPv6 addresses come from /proc/net; mDNS and UPnP use
        // multicast. With users of its own, the daemon would not see which user connects.
        for key in [
            "ProcSubset=",
            "PrivateNetwork=",
            "IPAddressDeny=",
            "PrivateUsers=",
        ] {
            assert_eq!(value(key), None, "{key}");
        }
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
