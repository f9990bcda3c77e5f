//! The container image: its root directory has everything that the programs need, and the daemon in it runs as
//! the user that the container was given. A changed root replaces the container.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_tests::harness::Binaries;
use m2_tests::skip::skip;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a daemon may take to start; generous, for loaded machines.
const START: Duration = Duration::from_secs(120);

/// Settings under which a daemon on this machine reaches nothing.
const SETTINGS: &str = "[network]\nlisten = [\"127.0.0.1:0\"]\n\
                        [lookup]\nlan = false\ndht = false\nmap_port = false\n";

#[test]
fn a_container_runs_as_the_given_user() {
    if !geteuid().is_root() {
        skip("a changed root needs root");
        return;
    }
    let image = Image::unpack();
    fs::create_dir(image.path("data/m2d")).unwrap();
    fs::write(image.path("data/m2d/m2d.toml"), SETTINGS).unwrap();
    assert_eq!(image.health(), Some(3), "no daemon");
    for (user, group) in [(12_345, 23_456), (54_321, 23_456)] {
        let mut daemon = image.start(user, group);
        image.wait_until_healthy(&mut daemon);
        for file in [
            "data/m2d/identity.pem",
            "data/m2d/store.db",
            "run/m2d/m2d.sock",
        ] {
            let found = fs::metadata(image.path(file)).unwrap();
            assert_eq!((found.uid(), found.gid()), (user, group), "{file}");
        }
        let status = fs::read_to_string(format!("/proc/{}/status", daemon.0.id())).unwrap();
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(value("Uid:"), format!("{user} {user} {user} {user}"));
        assert_eq!(value("Gid:"), format!("{group} {group} {group} {group}"));
        assert_eq!(value("Groups:"), "");
        for capabilities in ["CapPrm:", "CapEff:", "CapAmb:"] {
            assert_eq!(value(capabilities), "0000000000000000", "{capabilities}");
        }
        let pid = Pid::from_child(&daemon.0);
        kill_process(pid, Signal::TERM).unwrap();
        assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_user_that_is_no_number_is_refused() {
    if !geteuid().is_root() {
        skip("a changed root needs root");
        return;
    }
    let image = Image::unpack();
    let mut command = image.command(&["run"]);
    command.env("PUID", "alice");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("PUID") && text.contains("alice"), "{text}");
}

/// An image, unpacked to a directory.
struct Image {
    directory: TempDir,
    config: Value,
}

impl Image {
    fn unpack() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let programs = Binaries::get().unwrap().m2d.parent().unwrap();
        let mut make = Command::new(Binaries::beside("m2-artefacts").unwrap());
        make.args(["--only", "image", "--fast", "--programs"])
            .arg(programs);
        make.arg("--output").arg(directory.path());
        succeed(&mut make);
        let archive = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|ending| ending == "gz"))
            .unwrap();
        unpack(&archive, directory.path());
        let manifest = json(&directory.path().join("manifest.json"));
        let layers = manifest[0]["Layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1, "one layer");
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        unpack(&directory.path().join(layers[0].as_str().unwrap()), &root);
        let config = json(
            &directory
                .path()
                .join(manifest[0]["Config"].as_str().unwrap()),
        );
        Self {
            config: config["config"].clone(),
            directory,
        }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.directory.path().join("root").join(inside)
    }

    /// Starts a container without arguments of its own.
    fn start(&self, user: u32, group: u32) -> Running {
        let arguments = words(&self.config["Cmd"]);
        let mut command = self.command(&arguments);
        command.env("PUID", user.to_string());
        command.env("PGID", group.to_string());
        Running(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// Returns the exit code of the image's health check.
    fn health(&self) -> Option<i32> {
        let test = words(&self.config["Healthcheck"]["Test"]);
        assert_eq!(test[0], "CMD");
        let mut check = self.inside(&test[1..]);
        check.output().unwrap().status.code()
    }

    fn wait_until_healthy(&self, daemon: &mut Running) {
        let start = Instant::now();
        while self.health() != Some(0) {
            assert_eq!(daemon.0.try_wait().unwrap(), None, "the daemon ended");
            assert!(
                start.elapsed() < START,
                "the daemon does not become healthy"
            );
            sleep(Duration::from_millis(50));
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let entry = words(&self.config["Entrypoint"]);
        self.inside(&[entry.as_slice(), arguments].concat())
    }

    /// Returns a command that runs in the image's root directory, with its environment.
    fn inside(&self, words: &[&str]) -> Command {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(self.path("")).args(words).env_clear();
        for variable in self.config["Env"].as_array().unwrap() {
            let (name, value) = variable.as_str().unwrap().split_once('=').unwrap();
            command.env(name, value);
        }
        command
    }
}

/// A container's process, which is killed if the test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn words(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap();
    list.iter().map(|word| word.as_str().unwrap()).collect()
}

fn unpack(archive: &Path, directory: &Path) {
    let mut tar = Command::new("tar");
    succeed(tar.arg("-xpf").arg(archive).arg("-C").arg(directory));
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
