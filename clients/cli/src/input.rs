//! Content from the command line or from stdin, bounded.

use std::io::{self, IsTerminal, Read};

use m2_proto::limits::MAX_CONTENT_BYTES;
use m2_proto::reason::Reason;

use crate::failure::Failure;

/// The argument that selects stdin.
const STDIN: &str = "-";

/// The length of the longest line break in bytes.
const LINE_BREAK: usize = 2;

/// Returns the bytes of a TEXT argument: the argument itself, or stdin if it is `-` or missing.
///
/// # Errors
/// Usage if there is nothing to read, or stdin is empty; `MESSAGE_TOO_LARGE` above 48 KiB.
pub(crate) fn content(argument: Option<String>) -> Result<Vec<u8>, Failure> {
    let content = read(argument)?;
    check(content.len())?;
    Ok(content)
}

/// Returns an INVITE argument: the text itself, or stdin if it is `-` or missing. Other users of
/// the computer can read the arguments of a running command, but not its stdin.
///
/// # Errors
/// Usage if there is nothing to read, or the input is not text.
pub(crate) fn invitation(argument: Option<String>) -> Result<String, Failure> {
    let invitation = match argument {
        Some(text) if text != STDIN => return Ok(text),
        None if io::stdin().is_terminal() => {
            return Err(Failure::Usage(
                "No invitation. Give it as an argument, or on stdin.".to_owned(),
            ));
        }
        _ => stdin()?,
    };
    String::from_utf8(invitation).map_err(|_| {
        Failure::Usage("The invitation on stdin is not text. It begins with m2://.".to_owned())
    })
}

/// Returns a TEXT argument as text. One line break at its end is dropped, as a shell does with
/// `$(…)`, and does not count for the limit.
pub(crate) fn text(argument: Option<String>) -> Result<String, Failure> {
    let content = read(argument)?;
    check(without_line_break(&content).len())?;
    let mut text = String::from_utf8(content).map_err(|_| {
        Failure::Usage(
            "The input is not UTF-8 text. Name its type with --type, such as \
             --type application/octet-stream."
                .to_owned(),
        )
    })?;
    text.truncate(without_line_break(text.as_bytes()).len());
    Ok(text)
}

fn without_line_break(content: &[u8]) -> &[u8] {
    let line = content.strip_suffix(b"\n");
    line.map_or(content, |line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn check(length: usize) -> Result<(), Failure> {
    if length > MAX_CONTENT_BYTES {
        return Err(Failure::refused(Reason::MessageTooLarge));
    }
    Ok(())
}

fn read(argument: Option<String>) -> Result<Vec<u8>, Failure> {
    match argument {
        Some(text) if text != STDIN => Ok(text.into_bytes()),
        None if io::stdin().is_terminal() => Err(Failure::Usage(
            "No text. Give it as an argument, or on stdin.".to_owned(),
        )),
        // The command before the pipe may have failed, so an empty message is only sent if it is
        // given explicitly.
        Some(_) | None => match stdin()? {
            content if content.is_empty() => Err(Failure::Usage(
                "Nothing came on stdin, so nothing was sent. To send an empty message, give \"\" \
                 as the text."
                    .to_owned(),
            )),
            content => Ok(content),
        },
    }
}

fn stdin() -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    // Reading one byte more than allowed shows that there is too much.
    let bound = (MAX_CONTENT_BYTES + LINE_BREAK) as u64 + 1;
    io::stdin()
        .lock()
        .take(bound)
        .read_to_end(&mut content)
        .map_err(|error| Failure::Local(format!("Can't read stdin: {error}.")))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_line_break_is_dropped() {
        for (given, left) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r", "a\r"),
            ("\n", ""),
        ] {
            assert_eq!(text(Some(given.to_owned())).unwrap(), left);
        }
    }

    #[test]
    fn a_line_break_does_not_count_for_the_limit() {
        let longest = "x".repeat(MAX_CONTENT_BYTES);
        for end in ["", "\n", "\r\n"] {
            assert_eq!(text(Some(format!("{longest}{end}"))).unwrap(), longest);
        }
        for end in ["x", "x\n", "\n\n"] {
            assert!(text(Some(format!("{longest}{end}"))).is_err());
        }
        assert!(content(Some(format!("{longest}\n"))).is_err());
    }
}
