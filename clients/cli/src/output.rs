//! The output of commands: plain lines for people, one JSON object per line for programs.

use std::ffi::OsString;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;
use crate::{hints, sanitize};

/// The bytes written to standard output so far.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Returns the number of bytes written to standard output so far.
pub(crate) fn written() -> u64 {
    WRITTEN.load(Ordering::Relaxed)
}

/// The choice of when to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The styles of text.
#[derive(Debug, Clone, Copy)]
pub enum Style {
    /// The most important part of the line.
    Strong,
    /// The least important part of the line.
    Faint,
    /// A success.
    Good,
    /// A warning.
    Warning,
    /// A failure.
    Bad,
}

/// The destination and format of results, notes and errors.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
    choice: ColorChoice,
}

impl Output {
    /// Returns an output in human or JSON format, with the choice of colours.
    #[must_use]
    pub fn new(json: bool, choice: ColorChoice) -> Self {
        Self { json, choice }
    }

    /// Returns the output for arguments that are not parsed yet, so that errors about them have the
    /// right format.
    #[must_use]
    pub fn from_raw(arguments: &[OsString]) -> Self {
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let choice = if has("--color=always") {
            ColorChoice::Always
        } else if has("--color=never") {
            ColorChoice::Never
        } else {
            ColorChoice::Auto
        };
        Self::new(has("--json"), choice)
    }

    /// Returns whether the output is JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Returns the choice of colours for clap.
    #[must_use]
    pub fn clap_color(&self) -> clap::ColorChoice {
        match self.choice {
            ColorChoice::Auto => clap::ColorChoice::Auto,
            ColorChoice::Always => clap::ColorChoice::Always,
            ColorChoice::Never => clap::ColorChoice::Never,
        }
    }

    /// Returns whether results have colours.
    #[must_use]
    pub fn has_color(&self) -> bool {
        self.colors(io::stdout().is_terminal())
    }

    /// Returns the width of the terminal in columns, or `None` if standard output is not a
    /// terminal.
    pub(crate) fn width(&self) -> Option<usize> {
        let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
        Some(width.0.into())
    }

    /// Prints a result: the value as JSON, or the text that `human` returns. Flushes.
    pub fn show<T: Serialize>(
        &self,
        value: &T,
        human: impl FnOnce(&Self) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            self.json(value)
        } else {
            self.text(&human(self))
        }
    }

    /// Prints one JSON object on a separate line. Flushes.
    pub fn json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        self.text(&json_line(value)?)
    }

    /// Prints lines for people; nothing if the text is empty. Flushes.
    pub fn text(&self, text: &str) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        let text = text.trim_end_matches('\n');
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .map_err(write_failure)?;
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        WRITTEN.fetch_add(bytes.saturating_add(1), Ordering::Relaxed);
        Ok(())
    }

    /// Prints bytes unchanged. Used for generated files.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(bytes)
            .and_then(|()| stdout.flush())
            .map_err(write_failure)
    }

    /// Prints a hint for people on stderr, so that it does not mix with results.
    pub fn note(&self, text: &str) {
        if !self.json {
            let styled = paint(text, Style::Faint, self.colors(io::stderr().is_terminal()));
            // A hint that can't be written is ignored.
            let _ = writeln!(io::stderr(), "{styled}");
        }
    }

    /// Prints an error after which the command goes on.
    pub(crate) fn problem(&self, text: &str) {
        let color = self.colors(io::stderr().is_terminal());
        let head = paint("error:", Style::Bad, color);
        // If stderr is closed, the error can't be reported.
        let _ = writeln!(io::stderr(), "{head} {}", sanitize::line(text));
    }

    /// Returns the text in a style, if colours are on.
    #[must_use]
    pub fn paint(&self, text: &str, style: Style) -> String {
        paint(text, style, self.has_color())
    }

    /// Prints the reason for which the command failed. Returns its exit code.
    #[must_use]
    pub fn failure(&self, failure: &Failure) -> ExitCode {
        if !matches!(failure, Failure::OutputClosed) {
            // If stderr is closed too, the error can't be reported.
            let _ = writeln!(io::stderr(), "{}", self.failure_text(failure));
        }
        ExitCode::from(failure.exit_code())
    }

    fn failure_text(&self, failure: &Failure) -> String {
        if self.json {
            let mut error = serde_json::Map::new();
            error.insert("reason".to_owned(), failure.reason().into());
            error.insert("message".to_owned(), failure.to_string().into());
            for (key, value) in failure.metadata() {
                error.insert(key.clone(), value.as_str().into());
            }
            return sanitize::json(&json!({ "error": error }).to_string());
        }
        let color = self.colors(io::stderr().is_terminal());
        let text = sanitize::block(&failure.to_string());
        let head = paint("error:", Style::Bad, color);
        match hints::next_command(failure.reason()) {
            Some(hint) => format!("{head} {text}\nNext: {hint}"),
            None => format!("{head} {text}"),
        }
    }

    fn colors(&self, is_terminal: bool) -> bool {
        match self.choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }
}

/// Returns a value as one line of JSON that is safe to print on a terminal.
pub fn json_line<T: Serialize>(value: &T) -> Result<String, Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::Local(format!("The daemon's answer is not valid: {error}.")))?;
    Ok(sanitize::json(&text))
}

fn paint(text: &str, style: Style, color: bool) -> String {
    if !color || text.is_empty() {
        return text.to_owned();
    }
    let code = match style {
        Style::Strong => "1",
        Style::Faint => "2",
        Style::Good => "32",
        Style::Warning => "33",
        Style::Bad => "1;31",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

fn write_failure(error: io::Error) -> Failure {
    if error.kind() == ErrorKind::BrokenPipe {
        Failure::OutputClosed
    } else {
        Failure::Local(format!("Can't write the output: {error}."))
    }
}
