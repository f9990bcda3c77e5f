//! Passphrases that the user supplies: on the terminal, in a file, or on stdin.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use m2_proto::terminal::Silenced;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::failure::Failure;

/// A passphrase.
pub(crate) type Passphrase = Zeroizing<String>;

/// The most that is read in bytes, longer than any passphrase.
const MAX_PASSPHRASE_BYTES: u64 = 64 * 1024;

/// Reads an existing passphrase from `file`, from stdin for `-`, or asks for it on the terminal.
pub(crate) fn read(
    file: Option<&Path>,
    prompt: &str,
    context: &Context,
) -> Result<Passphrase, Failure> {
    match file {
        Some(file) => from_file(file, context),
        None => from_terminal(prompt),
    }
}

/// Reads a new passphrase like [`read`]. On the terminal it is asked for twice. It must not be
/// empty.
pub(crate) fn choose(
    file: Option<&Path>,
    prompt: &str,
    context: &Context,
) -> Result<Passphrase, Failure> {
    let passphrase = read(file, prompt, context)?;
    if passphrase.is_empty() {
        return Err(Failure::Usage(
            "The passphrase is empty, which would protect nothing. Choose another one.".to_owned(),
        ));
    }
    if file.is_none() && *from_terminal("Repeat it: ")? != *passphrase {
        return Err(Failure::Usage(
            "The two entries differ. Run the command again.".to_owned(),
        ));
    }
    Ok(passphrase)
}

fn from_terminal(prompt: &str) -> Result<Passphrase, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::Usage(
            "There is no terminal to ask on. Give --passphrase-file FILE, or `-` for stdin."
                .to_owned(),
        ));
    }
    let _silenced = Silenced::stdin();
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|error| Failure::Local(format!("Can't read the terminal: {error}.")))
}

fn from_file(path: &Path, context: &Context) -> Result<Passphrase, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        let stdin = io::stdin().lock();
        stdin.take(MAX_PASSPHRASE_BYTES).read_to_string(&mut text)
    } else {
        warn_of_readers(path, context);
        std::fs::File::open(path)
            .and_then(|file| file.take(MAX_PASSPHRASE_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| {
        Failure::Local(format!(
            "Can't read the passphrase file {}: {error}. Check its path.",
            path.display()
        ))
    })?;
    let length = without_line_break(&text).len();
    text.truncate(length);
    Ok(text)
}

/// Strips the line break that editors append to a file, as `m2d` does.
fn without_line_break(text: &str) -> &str {
    let line = text.strip_suffix('\n');
    line.map_or(text, |line| line.strip_suffix('\r').unwrap_or(line))
}

#[cfg(unix)]
fn warn_of_readers(path: &Path, context: &Context) {
    use std::os::unix::fs::PermissionsExt;
    let Ok(metadata) = path.metadata() else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o066 != 0 {
        let path = path.display();
        context.out.note(&format!(
            "Other users may read {path} (mode {mode:04o}). Run `chmod 600 {path}`."
        ));
    }
}

#[cfg(not(unix))]
fn warn_of_readers(_: &Path, _: &Context) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_line_break_of_any_system_is_stripped() {
        for (given, left) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
        ] {
            assert_eq!(without_line_break(given), left);
        }
    }
}
