//! The shell of the system, which runs the user's commands.

use tokio::process::Command;

/// Checks a command of the user.
///
/// Errors: on Windows, a command that lets `cmd` expand a variable of an event: it does so before it reads the
/// command, so a contact could add commands to it.
pub(super) fn parse(command: &str) -> Result<String, String> {
    if cfg!(windows) && expands_event(command) {
        return Err(
            "%M2_…% would let a contact run programs on this computer. Read the variable in a script \
             of a language other than cmd's, such as PowerShell's $env:M2_TEXT"
                .to_owned(),
        );
    }
    Ok(command.to_owned())
}

/// Returns whether `cmd` finds a variable of an event in a command.
fn expands_event(command: &str) -> bool {
    command.to_ascii_uppercase().contains("%M2_")
}

/// Returns the shell with a command.
#[cfg(unix)]
pub(super) fn run(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    shell
}

/// Returns the shell with a command, which it gets as the user wrote it.
#[cfg(windows)]
pub(super) fn run(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    // Without the outer quotes, cmd would remove quotes of the command.
    shell
        .args(["/D", "/S", "/C"])
        .raw_arg(format!("\"{command}\""));
    shell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_cmd_expands_is_found() {
        assert!(expands_event("notify %m2_text%"));
        assert!(expands_event("a & echo %M2_CONTACT_NAME:~0,4%"));
        assert!(!expands_event("powershell -File notify.ps1 100%"));
        assert!(cfg!(windows) || parse("notify %M2_TEXT%").is_ok());
    }
}
