//! Content from the command line or from stdin, bounded.

use std::io::{self, IsTerminal, Read};

use m2_proto::limits::MAX_CONTENT_BYTES;
use m2_proto::reason::Reason;

use crate::failure::Failure;

/// Stands for stdin.
const STDIN: &str = "-";

/// The bytes that a TEXT argument stands for: itself, or stdin for `-` or nothing.
///
/// # Errors
/// Usage when there is nothing to read from; `MESSAGE_TOO_LARGE` above 48 KiB.
pub(crate) fn content(argument: Option<String>) -> Result<Vec<u8>, Failure> {
    let content = match argument {
        Some(text) if text != STDIN => text.into_bytes(),
        Some(_) => stdin()?,
        None if io::stdin().is_terminal() => {
            return Err(Failure::Usage(
                "There is no text. Give it as an argument, or pipe it in.".to_owned(),
            ));
        }
        None => stdin()?,
    };
    if content.len() > MAX_CONTENT_BYTES {
        return Err(Failure::refused(Reason::MessageTooLarge));
    }
    Ok(content)
}

/// The same as text. One line break at its end is dropped, as a shell does with `$(…)`.
pub(crate) fn text(argument: Option<String>) -> Result<String, Failure> {
    let mut text = String::from_utf8(content(argument)?).map_err(|_| {
        Failure::Usage(
            "The input is not UTF-8 text. Name its type with --type, such as \
             --type application/octet-stream."
                .to_owned(),
        )
    })?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn stdin() -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    // One byte more than is allowed tells that there is too much.
    let bound = MAX_CONTENT_BYTES as u64 + 1;
    io::stdin()
        .lock()
        .take(bound)
        .read_to_end(&mut content)
        .map_err(|error| Failure::Local(format!("Can't read stdin: {error}.")))?;
    Ok(content)
}
