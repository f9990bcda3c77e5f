//! The Python package: one program that sends many messages over one stream, and listens.

use crate::scene::{Ended, PAUSE, Phase, Scene};
use anyhow::{Context as _, bail};
use m2_tests::workspace;
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::sleep;

const NAME: &str = "python";
/// Selects another interpreter than `python3`, such as that of a virtual environment.
const INTERPRETER: &str = "M2_TESTS_PYTHON";
pub(crate) const MISSING: &str = "Python's grpcio, protobuf and googleapis-common-protos are not installed (pip \
                                  install); M2_TESTS_PYTHON names another interpreter. The other clients ran";

/// Returns an interpreter that can import the package.
pub(crate) async fn interpreter() -> Option<OsString> {
    let name = std::env::var_os(INTERPRETER).unwrap_or_else(|| OsString::from("python3"));
    let found = python(&name).args(["-c", "import m2client"]).output().await;
    found.is_ok_and(|run| run.status.success()).then_some(name)
}

fn python(interpreter: &OsString) -> Command {
    let root = workspace::root().unwrap();
    let mut command = Command::new(interpreter);
    command.env("PYTHONPATH", root.join("clients/python/src"));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs the program, one process after another. Each begins with the first message that is not confirmed.
pub(crate) async fn run(
    scene: Arc<Scene>,
    kill: Arc<Notify>,
    interpreter: OsString,
) -> anyhow::Result<()> {
    for (phase, until) in [
        (Phase::Start, Phase::Load),
        (Phase::Load, Phase::Drain),
        (Phase::Drain, Phase::Over),
    ] {
        if phase == Phase::Drain {
            scene.complete(NAME);
        }
        while !scene.has_reached(until) {
            let mut child = start(&scene, &interpreter, phase == Phase::Load)?;
            let reading = read(&scene, &mut child);
            let ended = scene.until(until, &kill, reading).await;
            match ended {
                Ended::Done(failed) => {
                    scene.problem(NAME, failed.err().context("it has ended")?);
                    sleep(PAUSE).await;
                }
                Ended::Killed | Ended::Over => child.kill().await?,
            }
        }
    }
    Ok(())
}

fn start(scene: &Scene, interpreter: &OsString, sends: bool) -> anyhow::Result<Child> {
    let first = scene.confirmed(NAME).to_string();
    let program = workspace::root()?.join("tests/tests/all_clients/client.py");
    let mut command = python(interpreter);
    command.arg(program).arg(&scene.alice);
    command.arg(if sends { &first } else { "-" });
    Ok(command.stdout(Stdio::piped()).spawn()?)
}

async fn read(scene: &Scene, child: &mut Child) -> anyhow::Result<()> {
    let stdout = child.stdout.take().context("no output")?;
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        let Some((what, text)) = line.split_once(' ') else {
            continue;
        };
        // The last line of a process that was killed may be cut off: a whole one ends with a quotation mark.
        let Some(text) = text.strip_prefix('\'').and_then(|it| it.strip_suffix('\'')) else {
            continue;
        };
        match what {
            "sent" => {
                let number = text.strip_prefix("python ").context(line.clone())?;
                scene.sent(NAME, number.parse::<u64>()? + 1);
            }
            _ => scene.hear(NAME, text),
        }
    }
    bail!("the program has ended: {}", child.wait().await?)
}
