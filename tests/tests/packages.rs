//! The lists of what is packaged, and packages made twice from the same programs.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_packaging::Assets;
use m2_tests::harness::Binaries;
use m2_tests::skip::skip;
use m2_tests::workspace;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use toml::{Table, Value};

/// Places that differ between the distributions, in the Debian package and in the RPM.
const MOVED: [(&str, &str); 1] = [(
    "usr/share/zsh/vendor-completions/",
    "usr/share/zsh/site-functions/",
)];

/// The list of the RPM is that of the Debian package, and the copyright file, which cargo-deb adds.
#[test]
fn both_packages_have_the_same_files() {
    let manifest = manifest();
    let metadata = &manifest["package"]["metadata"];
    let deb: BTreeSet<[String; 3]> = metadata["deb"]["assets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|asset| [0, 1, 2].map(|field| text(&asset[field])))
        .map(|[source, place, mode]| [source, in_rpm(&place), mode])
        .collect();
    let mut rpm: BTreeSet<[String; 3]> = metadata["generate-rpm"]["assets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|asset| ["source", "dest", "mode"].map(|field| text(&asset[field])))
        .collect();
    let copyright = ["copyright", "/usr/share/doc/m2/", "644"].map(str::to_owned);
    assert!(rpm.remove(&copyright));
    assert_eq!(deb, rpm);
}

/// Every interface, man page, completion and unit of the repository is in the package.
#[test]
fn nothing_is_left_out() {
    let generated = tempfile::tempdir().unwrap();
    let programs = ["m2d", "m2", "m2-http", "m2-mcp", "m2-mqtt"];
    for name in ["changelog.gz", "third-party-licences.txt.gz"]
        .iter()
        .chain(&programs)
    {
        fs::write(generated.path().join(name), "").unwrap();
    }
    let assets = Assets::read(&packaging(), generated.path()).unwrap();
    let sources: BTreeSet<PathBuf> = assets
        .iter()
        .map(|asset| asset.source.canonicalize().unwrap())
        .collect();
    let root = workspace::root().unwrap();
    for directory in [
        "m2d/packaging/systemd",
        "m2d/packaging/etc",
        "m2-proto/proto/m2/api",
        "clients/cli/generated",
        "m2d/packaging/man",
    ] {
        for file in files(&root.join(directory)) {
            assert!(sources.contains(&file), "{}", file.display());
        }
    }
}

/// The numbers that decide about a downgrade are those of the sources.
#[test]
fn the_formats_of_stored_data_are_those_of_the_daemon() {
    let root = workspace::root().unwrap();
    let migrations = files(&root.join("m2d/store/src/migrations")).len();
    let mailboxes =
        fs::read_to_string(root.join("m2d/mailbox/src/store/embedded/file.rs")).unwrap();
    let version = mailboxes.split("const VERSION: i64 = ").nth(1).unwrap();
    let version = version.split(';').next().unwrap();
    let formats = fs::read_to_string(packaging().join("formats")).unwrap();
    assert_eq!(
        formats,
        format!("store {migrations}\nmailboxes {version}\n")
    );
    let script = fs::read_to_string(packaging().join("deb/preinst")).unwrap();
    assert!(script.contains(&format!("\nSTORE={migrations}\nMAILBOXES={version}\n")));
}

/// The script refuses larger numbers only, whichever it finds first.
#[test]
fn a_package_refuses_newer_formats_only() {
    let script = fs::read_to_string(packaging().join("deb/preinst")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let formats = directory.path().join("formats");
    let script = script.replace("/usr/share/m2/formats", formats.to_str().unwrap());
    let refused = |installed: Option<&str>| {
        match installed {
            Some(text) => fs::write(&formats, text).unwrap(),
            None => assert!(!formats.exists()),
        }
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (!output.status.success()).then_some(text)
    };
    assert_eq!(refused(None), None, "the first installation");
    let known = fs::read_to_string(packaging().join("formats")).unwrap();
    assert_eq!(refused(Some(&known)), None, "the same");
    assert_eq!(refused(Some("store 9\nmailboxes 1\n")), None, "an upgrade");
    assert_eq!(
        refused(Some("other 99\n")),
        None,
        "a format of another kind"
    );
    for newer in ["store 99\nmailboxes 1\n", "store 9\nmailboxes 99\n"] {
        let text = refused(Some(newer)).unwrap();
        assert!(
            text.contains("99") && text.contains("Nothing was changed"),
            "{text}"
        );
    }
}

/// The settings that the package installs are accepted by the daemon in it.
#[test]
fn the_installed_settings_are_valid() {
    let text = fs::read_to_string(packaging().join("etc/m2d.toml")).unwrap();
    m2d::config::Config::parse(&text).unwrap();
}

/// The short form of `cargo artefacts --twice`: two packages of each kind from the same programs, made in
/// directories with different names, with different umasks and at different times.
#[test]
fn packages_made_twice_have_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let mut kinds = vec!["tarball", "image"];
    for (kind, program) in [("deb", "cargo-deb"), ("rpm", "cargo-generate-rpm")] {
        match is_installed(program) {
            true => kinds.push(kind),
            false => skip(&format!("{program} is not installed")),
        }
    }
    let one = make(&directory.path().join("one"), &kinds, "022");
    let other = make(&directory.path().join("the-other-one"), &kinds, "077");
    assert_eq!(one.lines().count(), kinds.len() + 1, "{one}");
    assert_eq!(one, other);
}

/// Makes artefacts of the programs of this build. Returns their checksums.
fn make(output: &Path, kinds: &[&str], umask: &str) -> String {
    let binaries = Binaries::get().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("umask {umask} && exec \"$@\""), "make"]);
    command.arg(Binaries::beside("m2-artefacts").unwrap());
    command
        .arg("--programs")
        .arg(binaries.m2d.parent().unwrap());
    command.arg("--fast").arg("--output").arg(output);
    for kind in kinds {
        command.args(["--only", kind]);
    }
    let made = command.output().unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    fs::read_to_string(output.join("SHA256SUMS")).unwrap()
}

fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok()
}

fn in_rpm(place: &str) -> String {
    let moved = MOVED.iter().find(|(debian, _)| *debian == place);
    format!("/{}", moved.map_or(place, |(_, rpm)| rpm))
}

fn manifest() -> Table {
    let text = fs::read_to_string(packaging().join("Cargo.toml")).unwrap();
    text.parse().unwrap()
}

fn packaging() -> PathBuf {
    workspace::root().unwrap().join("m2d/packaging")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path.canonicalize().unwrap()),
        }
    }
    found
}
