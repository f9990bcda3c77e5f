//! Behaviour that differs on a terminal: colours, QR codes, prompts. `script` of util-linux
//! provides the terminal.
#![cfg(target_os = "linux")]
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod support;

use std::process::Stdio;
use std::time::Duration;

use support::Fake;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// The timeout of a command.
const PATIENCE: Duration = Duration::from_secs(60);

/// The beginning of each line of a QR code: black on white.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";

#[tokio::test]
async fn colours_on_a_terminal_unless_disabled() {
    let fake = Fake::start().await;
    let status = shown(&mut on_terminal(&fake, "status", &[]), "").await;
    assert!(status.contains("\x1b[32mready"), "{status}");
    let no_color = [("NO_COLOR", "1")];
    let status = shown(&mut on_terminal(&fake, "status", &no_color), "").await;
    assert!(status.contains("ready") && !status.contains('\x1b'));
}

#[tokio::test]
async fn a_qr_code_is_black_on_white_with_colours_and_light_on_dark_without() {
    let fake = Fake::start().await;
    let coloured = shown(&mut on_terminal(&fake, "id --qr", &[]), "").await;
    let code: Vec<&str> = coloured
        .lines()
        .filter(|line| line.starts_with(BLACK_ON_WHITE))
        .collect();
    assert!(code.len() > 10, "{coloured}");
    assert!(code.iter().all(|line| line.trim_end().ends_with("\x1b[0m")));
    // The quiet zone is white: without colours it is drawn as characters, with colours it is blank.
    let first = code[0].trim_start_matches(BLACK_ON_WHITE);
    assert!(
        first
            .trim_end()
            .trim_end_matches("\x1b[0m")
            .trim()
            .is_empty()
    );
    let no_color = [("NO_COLOR", "1")];
    let plain = shown(&mut on_terminal(&fake, "id --qr", &no_color), "").await;
    assert!(!plain.contains('\x1b'));
    assert!(plain.lines().any(|line| {
        let line = line.trim_end();
        line.chars().count() > 20 && line.chars().all(|c| c == '\u{2588}')
    }));
}

#[tokio::test]
async fn a_passphrase_is_prompted_for_and_not_echoed() {
    let fake = Fake::start().await;
    let mut child = on_terminal(&fake, "unlock", &[]);
    let shown = shown(&mut child, "correct horse\n").await;
    assert!(shown.contains("Unlocked."), "{shown}");
    assert!(!shown.contains("horse"), "{shown}");
    assert_eq!(fake.state().passphrase.as_deref(), Some("correct horse"));
}

/// Runs `m2 …` on a terminal.
fn on_terminal(fake: &Fake, arguments: &str, environment: &[(&str, &str)]) -> Child {
    let socket = fake.socket();
    let m2 = env!("CARGO_BIN_EXE_m2");
    let line = format!("{m2} --socket {} {arguments}", socket.display());
    Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env_remove("NO_COLOR")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Returns everything that is printed to the screen; `typed` is entered at the first prompt.
async fn shown(child: &mut Child, typed: &str) -> String {
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    let read = async {
        let mut waiting = !typed.is_empty();
        while screen.read_buf(&mut shown).await.unwrap() > 0 {
            if waiting && shown.ends_with(b": ") {
                waiting = false;
                keys.write_all(typed.as_bytes()).await.unwrap();
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    assert!(child.wait().await.unwrap().success());
    String::from_utf8(shown).unwrap()
}
