//! Passphrases that the user supplies to a command: on the terminal, in a file, or on stdin.

use crate::config::private_file::{self, PrivateFileError};
use crate::unlock::{self, Passphrase};
use m2_proto::terminal::Silenced;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;
use zeroize::Zeroizing;

/// The file name that selects stdin.
const STDIN: &str = "-";

/// The most that is read from stdin, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The user supplied no usable passphrase.
#[derive(Debug, Error)]
pub enum AskError {
    /// No option names the source of the passphrase, and there is no terminal.
    #[error(
        "{0} is needed, and there is no terminal to ask on. Give {1} FILE, or `-` instead of FILE \
         for stdin."
    )]
    NoTerminal(&'static str, &'static str),
    /// The terminal or stdin can't be read.
    #[error("Can't read {0}: {1}.")]
    Io(&'static str, io::Error),
    /// The file can't be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The passphrase is not UTF-8 text.
    #[error("{0} is not UTF-8 text.")]
    NotText(&'static str),
    /// The passphrase is empty.
    #[error("{0} is empty, which would protect nothing. Choose another one.")]
    Empty(&'static str),
    /// The two entries of a new passphrase differ.
    #[error("The two entries differ. Nothing was changed; run the command again.")]
    Differ,
}

/// A question for one passphrase.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The name of the passphrase, as the beginning of a sentence.
    pub what: &'static str,
    /// The command line option that names a file.
    pub option: &'static str,
    /// The value of that option, if it was given.
    pub file: Option<&'a PathBuf>,
    /// True if the passphrase is a new one, which is asked for twice.
    pub is_new: bool,
}

/// Asks all questions in order. Questions answered from stdin take one line each; the last one
/// takes everything that remains.
pub fn all<const N: usize>(questions: [Question<'_>; N]) -> Result<[Passphrase; N], AskError> {
    let by_stdin = questions.iter().filter(|question| question.is_stdin());
    let mut stdin = Stdin::read(by_stdin.count())?;
    let mut answers = std::array::from_fn(|_| Passphrase::default());
    for (question, answer) in questions.into_iter().zip(&mut answers) {
        *answer = question.ask(&mut stdin)?;
    }
    Ok(answers)
}

impl Question<'_> {
    fn is_stdin(&self) -> bool {
        self.file.is_some_and(|file| file == Path::new(STDIN))
    }

    fn ask(&self, stdin: &mut Stdin) -> Result<Passphrase, AskError> {
        let answer = match self.file {
            None => self.ask_terminal()?,
            Some(_) if self.is_stdin() => self.parse(&stdin.next())?,
            Some(path) => self.parse(&private_file::read(path)?)?,
        };
        if answer.is_empty() {
            return Err(AskError::Empty(self.what));
        }
        Ok(answer)
    }

    fn ask_terminal(&self) -> Result<Passphrase, AskError> {
        if !io::stdin().is_terminal() {
            return Err(AskError::NoTerminal(self.what, self.option));
        }
        let answer = self.prompt(self.what)?;
        if self.is_new && *self.prompt("Repeat it")? != *answer {
            return Err(AskError::Differ);
        }
        Ok(answer)
    }

    fn prompt(&self, text: &str) -> Result<Passphrase, AskError> {
        let _silenced = Silenced::stdin();
        rpassword::prompt_password(format!("{text}: "))
            .map(Zeroizing::new)
            .map_err(|error| AskError::Io("the terminal", error))
    }

    fn parse(&self, bytes: &[u8]) -> Result<Passphrase, AskError> {
        let text = std::str::from_utf8(unlock::without_line_break(bytes));
        let text = text.map_err(|_| AskError::NotText(self.what))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// The content of stdin, read once.
struct Stdin {
    rest: Zeroizing<Vec<u8>>,
    readers: usize,
}

impl Stdin {
    fn read(readers: usize) -> Result<Self, AskError> {
        let mut rest = Zeroizing::new(Vec::new());
        if readers > 0 {
            let stdin = io::stdin().lock();
            let read = stdin.take(MAX_BYTES).read_to_end(&mut rest);
            read.map_err(|error| AskError::Io("stdin", error))?;
        }
        Ok(Self { rest, readers })
    }

    /// Returns the next line including its line break; the last reader gets everything that
    /// remains.
    fn next(&mut self) -> Zeroizing<Vec<u8>> {
        let line = self.rest.iter().position(|byte| *byte == b'\n');
        let end = match line {
            Some(at) if self.readers > 1 => at + 1,
            _ => self.rest.len(),
        };
        self.readers = self.readers.saturating_sub(1);
        Zeroizing::new(self.rest.drain(..end).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, readers: usize) -> Vec<Vec<u8>> {
        let mut stdin = Stdin {
            rest: Zeroizing::new(text.as_bytes().to_vec()),
            readers,
        };
        (0..readers).map(|_| stdin.next().to_vec()).collect()
    }

    #[test]
    fn two_passphrases_share_the_lines_of_stdin() {
        assert_eq!(
            lines("old\r\nnew\n", 2),
            [b"old\r\n".to_vec(), b"new\n".to_vec()]
        );
        assert_eq!(lines("old\nnew", 2), [b"old\n".to_vec(), b"new".to_vec()]);
        assert_eq!(lines("all\nof it\n", 1), [b"all\nof it\n".to_vec()]);
        assert_eq!(lines("old", 2), [b"old".to_vec(), Vec::new()]);
    }
}
