//! Helpers shared by the backup tests.

use m2_tests::harness::{Binaries, Daemon, Output};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The passphrase of backups, and of identities that have one.
pub(crate) const PASSPHRASE: &str = "correct horse";

/// A directory for backups and passphrase files.
pub(crate) struct Shelf(TempDir);

impl Shelf {
    pub(crate) fn new() -> Self {
        let shelf = Self(tempfile::tempdir().unwrap());
        shelf.passphrase("right", PASSPHRASE);
        shelf.passphrase("wrong", "incorrect horse");
        shelf
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a passphrase file that only its owner can read.
    pub(crate) fn passphrase(&self, name: &str, passphrase: &str) {
        let path = self.path(name);
        fs::write(&path, format!("{passphrase}\r\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Makes a backup. Returns the description that `m2` prints.
    pub(crate) async fn create(&self, daemon: &Daemon, name: &str) -> serde_json::Value {
        let (file, right) = (self.text(name), self.text("right"));
        let create = [
            "--json",
            "backup",
            "create",
            &file,
            "--passphrase-file",
            &right,
        ];
        let lines = daemon.m2(&create).await.unwrap().json().unwrap();
        let last = lines.last().expect("a description");
        last["backup"].clone()
    }

    /// Runs `m2 backup verify` without a daemon.
    pub(crate) async fn verify(&self, name: &str, passphrase: &str) -> Output {
        let command = tokio::process::Command::new(&Binaries::get().unwrap().m2)
            .args(["--json", "--socket", "/nowhere", "backup", "verify"])
            .arg(self.path(name))
            .arg("--passphrase-file")
            .arg(self.path(passphrase))
            .output();
        let output = command.await.unwrap();
        Output {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs `m2d restore` into the data directory of a stopped daemon.
    pub(crate) async fn restore(&self, daemon: &Daemon, name: &str, passphrase: &str) -> Output {
        let (file, from) = (self.text(name), self.text(passphrase));
        let restore = ["restore", &file, "--passphrase-file", &from];
        daemon.m2d(&restore, "").await.unwrap()
    }

    /// The names of all files on the shelf, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

/// The names in a directory, sorted.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
