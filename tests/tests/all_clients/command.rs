//! `m2 send --lines` and `m2 listen`.

use crate::scene::{Ended, PAUSE, Phase, Scene};
use m2_tests::harness::Binaries;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::sleep;

const STREAM: &str = "lines";
const NAME: &str = "cli";
/// The number of lines of one command.
const LINES: u64 = 50;
const INTERVAL: Duration = Duration::from_millis(10);

fn m2(scene: &Scene, arguments: &[&str]) -> Command {
    let mut command = Command::new(&Binaries::get().unwrap().m2);
    command.arg("--json").arg("--socket").arg(&scene.alice);
    command.args(arguments).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null());
    command
}

/// Sends lines, command after command. A command that was killed or has failed is repeated with its input and key.
pub(crate) async fn send_lines(scene: Arc<Scene>, kill: Arc<Notify>) -> anyhow::Result<()> {
    scene.reached(Phase::Load).await;
    let mut first = 0;
    while !scene.has_reached(Phase::Drain) {
        if send_some(&scene, &kill, first).await? {
            first += LINES;
            scene.sent(STREAM, first);
        } else {
            sleep(PAUSE).await;
        }
    }
    scene.complete(STREAM);
    Ok(())
}

/// Runs one command. Returns whether it has confirmed all lines.
async fn send_some(scene: &Scene, kill: &Notify, first: u64) -> anyhow::Result<bool> {
    let key = format!("lines-{first}");
    let arguments = ["send", "bob", "--lines", "--stop-on-error", "--key", &key];
    let mut child = m2(scene, &arguments).stdin(Stdio::piped()).spawn()?;
    let ended = scene
        .until(Phase::Over, kill, write(&mut child, first))
        .await;
    match ended {
        Ended::Done(confirmed) => return Ok(confirmed.unwrap_or(false)),
        Ended::Killed | Ended::Over => child.kill().await?,
    }
    Ok(false)
}

async fn write(child: &mut Child, first: u64) -> anyhow::Result<bool> {
    if let Some(mut stdin) = child.stdin.take() {
        for number in first..first + LINES {
            let line = format!("{STREAM} {number}\n");
            // A command whose daemon was killed reads no more.
            if stdin.write_all(line.as_bytes()).await.is_err() {
                break;
            }
            sleep(INTERVAL).await;
        }
    }
    Ok(child.wait().await?.success())
}

/// Listens as a named client, in one process after another.
pub(crate) async fn listen(scene: Arc<Scene>, kill: Arc<Notify>) -> anyhow::Result<()> {
    let arguments = [
        "listen",
        "--client",
        NAME,
        "--kind",
        "messageReceived",
        "--reconnect",
    ];
    while !scene.has_reached(Phase::Over) {
        let mut child = m2(&scene, &arguments).stdout(Stdio::piped()).spawn()?;
        let reading = read(&scene, &mut child);
        if let Ended::Done(Err(error)) = scene.until(Phase::Over, &kill, reading).await {
            scene.problem(NAME, error);
            sleep(PAUSE).await;
        }
        // It may have ended by itself.
        let _ = child.kill().await;
    }
    Ok(())
}

async fn read(scene: &Scene, child: &mut Child) -> anyhow::Result<()> {
    let Some(stdout) = child.stdout.take() else {
        anyhow::bail!("no output");
    };
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        // The last line of a process that was killed may be cut off.
        let Ok(event) = serde_json::from_str::<serde_json::Value>(&line) else {
            continue;
        };
        if let Some(text) = event["messageReceived"]["text"].as_str() {
            scene.hear(NAME, text);
        }
    }
    anyhow::bail!("m2 listen has ended: {}", child.wait().await?)
}
