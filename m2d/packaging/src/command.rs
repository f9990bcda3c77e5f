//! Runs other programs.

use anyhow::{Context as _, bail};
use std::process::{Command, Stdio};

/// Runs `command` with its output on this program's output.
///
/// Errors: the program is not installed, for which `advice` says what to do, or it fails.
pub(crate) fn run(command: &mut Command, advice: &str) -> anyhow::Result<()> {
    let name = name(command);
    let status = command
        .status()
        .with_context(|| format!("`{name}` can't be started ({advice})"))?;
    if !status.success() {
        bail!("`{name}` failed ({status})");
    }
    Ok(())
}

/// Runs `command` and returns its standard output.
///
/// Errors: as for [`run`].
pub(crate) fn output(command: &mut Command, advice: &str) -> anyhow::Result<String> {
    let name = name(command);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("`{name}` can't be started ({advice})"))?;
    if !output.status.success() {
        bail!("`{name}` failed ({})", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("the output of `{name}` is not UTF-8"))
}

/// Returns a command for the cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn name(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(2));
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
