//! The programs for Windows under wine: two daemons, their pipes, a clean stop, and the service. `cargo windows`
//! runs these tests, which take minutes.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use m2_tests::scenario::eventually;
use m2_tests::windows::{Prefix, Process, Programs, Told, is_possible};
use std::fs;
use std::path::Path;

/// Loopback only, and no look-up.
const CONFIG: &str = "[network]\nlisten = [\"127.0.0.1:0\"]\nsession_keys = 2\n\
    [lookup]\nlan = false\ndht = false\nmap_port = false\n";

/// The pipe of Ben's daemon. Ann's has the default name.
const BENS_PIPE: &str = r"\\.\pipe\m2d-ben";

/// The exit code for a data directory that another daemon has. wine does not refuse a pipe of another one.
const TAKEN: i32 = 4;

/// Two daemons in one Windows.
struct Pair {
    windows: Prefix,
    ann: Process,
    ben: Process,
}

impl Pair {
    async fn start() -> Self {
        let windows = install().await;
        write(
            &windows.local_data().unwrap().join("m2d/config/m2d.toml"),
            CONFIG,
        );
        write(&windows.drive().join("ben.toml"), CONFIG);
        let ann = windows.start("ann.log", "m2d", &["run"]).unwrap();
        let ben = windows.start("ben.log", "m2d", &bens_daemon()).unwrap();
        let pair = Self { windows, ann, ben };
        pair.until_ready(&[]).await;
        pair.until_ready(&["--socket", BENS_PIPE]).await;
        pair
    }

    async fn anns(&self, words: &[&str]) -> Told {
        self.windows.run("m2", words).await.unwrap()
    }

    async fn bens(&self, words: &[&str]) -> Told {
        let words = [&["--socket", BENS_PIPE], words].concat();
        self.windows.run("m2", &words).await.unwrap()
    }

    /// Waits until the daemon at a pipe answers.
    async fn until_ready(&self, socket: &[&str]) {
        let words = [socket, &["status"]].concat();
        let ready = eventually("a daemon that answers", async || {
            let told = self.windows.run("m2", &words).await?;
            Ok((told.code == Some(0)).then_some(()))
        });
        let ready = ready.await;
        ready.unwrap_or_else(|error| panic!("{error:#}\n{}{}", self.ann.log(), self.ben.log()));
    }

    async fn become_contacts(&self) {
        let told = self.anns(&["invite", "create", "--name", "ben"]).await;
        let words = told.stdout.split_whitespace();
        let invitation = words.clone().find(|word| word.starts_with("m2://"));
        let invitation = invitation.unwrap_or_else(|| panic!("{told:?}"));
        let told = self
            .bens(&["contact", "add", invitation, "--name", "ann"])
            .await;
        assert_eq!(told.code, Some(0), "{told:?}");
    }

    /// Sends a message until it is delivered: the contact may not have accepted yet.
    async fn ann_sends(&self, text: &str) {
        let sent = eventually("a message that is delivered", async || {
            let told = self
                .anns(&["send", "ben", "--wait", "delivered", text])
                .await;
            Ok((told.code == Some(0)).then_some(()))
        });
        let sent = sent.await;
        sent.unwrap_or_else(|error| panic!("{error:#}\n{}{}", self.ann.log(), self.ben.log()));
    }
}

#[tokio::test]
#[ignore = "builds for Windows, which takes ten minutes: cargo windows"]
async fn two_daemons_talk_over_the_network_and_front_ends_over_pipes() {
    if !is_possible() {
        return;
    }
    let mut pair = Pair::start().await;
    pair.become_contacts().await;
    pair.ann_sends("Hello from Windows").await;
    let history = pair.bens(&["history", "ann"]).await;
    assert!(history.stdout.contains("Hello from Windows"), "{history:?}");
    let data = pair.windows.local_data().unwrap().join("m2d/data");
    assert!(data.join("identity.pem").is_file(), "{data:?}");

    let second = ["run", "--config", r"C:\ben.toml", "--data-dir", r"C:\ben"];
    let told = pair.windows.run("m2d", &second).await.unwrap();
    assert_eq!(told.code, Some(TAKEN), "{told:?}");
    let no_pipe = ["run", "--config", r"C:\ben.toml", "--data-dir", r"C:\other"];
    let no_pipe = [&no_pipe[..], &["--socket", r"C:\m2d.sock"]].concat();
    let told = pair.windows.run("m2d", &no_pipe).await.unwrap();
    assert!(
        told.stderr.contains("is not the name of a pipe"),
        "{told:?}"
    );

    let ended = pair.ann.interrupt().await.unwrap();
    assert_eq!(ended.code(), Some(0), "{}", pair.ann.log());
    assert!(pair.ann.log().contains("stopped"), "{}", pair.ann.log());
    let told = pair.anns(&["status"]).await;
    assert!(told.stderr.contains("No daemon answers"), "{told:?}");
    pair.ann = pair
        .windows
        .start("ann-again.log", "m2d", &["run"])
        .unwrap();
    pair.until_ready(&[]).await;
    let history = pair.anns(&["history", "ben"]).await;
    assert!(history.stdout.contains("Hello from Windows"), "{history:?}");
    pair.ann_sends("After a restart").await;
    let ended = pair.ben.interrupt().await.unwrap();
    assert_eq!(ended.code(), Some(0), "{}", pair.ben.log());
}

#[tokio::test]
#[ignore = "builds for Windows, which takes ten minutes: cargo windows"]
async fn the_service_starts_reloads_and_stops() {
    if !is_possible() {
        return;
    }
    let windows = install().await;
    let data = windows.drive().join("ProgramData/m2d");
    let told = windows.run("m2d", &["service", "run"]).await.unwrap();
    assert_ne!(told.code, Some(0), "there is no service yet: {told:?}");
    let told = windows.run("m2d", &["service", "install"]).await.unwrap();
    assert_eq!(told.code, Some(0), "{told:?}");
    let log = || fs::read_to_string(data.join("m2d.log")).unwrap_or_default();
    let wait_for = async |words: &str| {
        let found = eventually(words, async || Ok(log().contains(words).then_some(())));
        found
            .await
            .unwrap_or_else(|error| panic!("{error:#}\n{}", log()));
    };
    wait_for(" ready").await;
    // wine runs services as its only user, whose pipe is not the one of the service's account.
    let told = windows.run("m2", &["status"]).await.unwrap();
    assert!(
        told.stderr.contains("A program of another user"),
        "{told:?}"
    );
    let told = windows.system(&["net", "stop", "m2d"]).await.unwrap();
    assert_eq!(told.code, Some(0), "{told:?}");
    wait_for(" stopped").await;
    let told = windows.run("m2d", &["service", "remove"]).await.unwrap();
    assert_eq!(told.code, Some(0), "{told:?}");
    assert!(data.join("identity.pem").is_file(), "the data stays");
}

async fn install() -> Prefix {
    let programs = Programs::build().unwrap();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    Prefix::install(place, programs).await.unwrap()
}

fn bens_daemon() -> Vec<&'static str> {
    let places = ["--config", r"C:\ben.toml", "--data-dir", r"C:\ben"];
    [&["run"], &places[..], &["--socket", BENS_PIPE]].concat()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
