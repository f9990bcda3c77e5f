//! A command that is run for every event.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use m2_proto::api::v1::Event;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::shell;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::json_line;

/// The longest pause before a command is run again.
const LONGEST_DELAY: Duration = Duration::from_secs(3_600);
/// The maximum number of runs for one event.
const TRIES: u32 = 5;

/// A command, and the socket of its daemon.
pub(super) struct Hook {
    command: String,
    /// The program with its arguments, if no shell is needed to run it.
    words: Option<Vec<String>>,
    first_delay: Duration,
    socket: OsString,
}

/// An event as a command gets it.
#[derive(Debug)]
pub(super) struct Task {
    line: String,
    peer_id: String,
    /// The variables that describe the event.
    environment: Vec<(&'static str, String)>,
    /// The number of runs that failed.
    failures: u32,
}

/// What follows a run that failed.
pub(super) enum Next {
    /// Another run, after this pause.
    Retry(Duration),
    /// The command is given up. This is printed.
    DeadLetter(Value),
}

impl Task {
    pub(super) fn new(event: &Event) -> Result<Self, Failure> {
        Self::delivered(event, 1)
    }

    /// Returns the task of an event of a shared name. `number`: how often the event has been given to workers.
    pub(super) fn delivered(event: &Event, number: u32) -> Result<Self, Failure> {
        let line = json_line(event)?;
        let value = parse(&line)?;
        let (kind, body) = kind_of(&value);
        let environment = vec![
            ("M2_EVENT", kind.to_owned()),
            ("M2_CURSOR", event.cursor.clone()),
            ("M2_PEER_ID", text(body, "peerId").to_owned()),
            ("M2_CONTACT_NAME", text(&value, "contactName").to_owned()),
            ("M2_MESSAGE_ID", text(body, "messageId").to_owned()),
            ("M2_TEXT", without_nul(text(body, "text"))),
            ("M2_MEDIA_TYPE", text(body, "mediaType").to_owned()),
            ("M2_REPLY_TO", text(body, "replyTo").to_owned()),
            ("M2_THREAD", text(body, "thread").to_owned()),
        ];
        Ok(Self {
            peer_id: text(body, "peerId").to_owned(),
            environment,
            failures: number.saturating_sub(1),
            line,
        })
    }

    /// Returns the contact of the event, or an empty text.
    pub(super) fn peer_id(&self) -> &str {
        &self.peer_id
    }

    /// Returns the size of the event in bytes.
    pub(super) fn size(&self) -> usize {
        let values = self.environment.iter().map(|(_, value)| value.len());
        self.line.len().saturating_add(values.sum())
    }

    /// Returns the number of the next run.
    pub(super) fn attempt(&self) -> u32 {
        self.failures.saturating_add(1)
    }
}

impl Hook {
    /// Returns a hook whose command gets the socket to which `context` is connected.
    pub(super) fn new(command: &str, first_delay: Duration, context: &Context) -> Self {
        let socket = context.socket().map(|path| path.as_os_str().to_owned());
        Self {
            command: command.to_owned(),
            words: plain_words(command),
            first_delay,
            socket: socket.unwrap_or_default(),
        }
    }

    /// Runs the command once. Returns what went wrong, if anything.
    pub(super) async fn run(&self, task: &Task) -> Result<(), String> {
        match self.status(task).await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(status.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Records that a run failed. Returns what follows.
    pub(super) fn failed(&self, task: &mut Task, trouble: &str) -> Result<Next, Failure> {
        task.failures = task.failures.saturating_add(1);
        if task.failures >= TRIES {
            return Ok(Next::DeadLetter(dead_letter(
                &parse(&task.line)?,
                trouble,
                task.failures,
            )));
        }
        Ok(Next::Retry(self.delay_after(task.failures)))
    }

    /// Returns the pause after an attempt; it doubles with each of them.
    pub(super) fn delay_after(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        let delay = self.first_delay.saturating_mul(1 << doublings);
        delay.min(LONGEST_DELAY)
    }

    async fn status(&self, task: &Task) -> io::Result<ExitStatus> {
        let mut child = self.spawn(task)?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A command may ignore its input: only its exit code counts.
                let _ = stdin.write_all(task.line.as_bytes()).await;
                let _ = stdin.write_all(b"\n").await;
            }
        };
        let ((), status) = tokio::join!(feed, child.wait());
        status
    }

    /// Starts the command, without a shell if it needs none. If the program can't be started like
    /// this, the shell is asked: a script may have no first line that names its interpreter.
    fn spawn(&self, task: &Task) -> io::Result<Child> {
        if let Some((program, arguments)) = self.words.as_deref().and_then(<[_]>::split_first) {
            let mut command = Command::new(program);
            command.args(arguments);
            if let Ok(child) = self.prepared(&mut command, task).spawn() {
                return Ok(child);
            }
        }
        self.prepared(&mut shell::run(&self.command), task).spawn()
    }

    fn prepared<'c>(&self, command: &'c mut Command, task: &Task) -> &'c mut Command {
        let environment = task.environment.iter();
        command
            .envs(environment.map(|(name, value)| (name, value)))
            .env("M2_DELIVERY", task.attempt().to_string())
            .env("M2_SOCKET", &self.socket)
            .stdin(Stdio::piped())
            .kill_on_drop(true)
    }
}

/// Returns the words of a command that is a path and arguments without any character that a shell
/// treats specially.
fn plain_words(command: &str) -> Option<Vec<String>> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@,%= ".contains(c);
    let words: Vec<String> = command
        .split_ascii_whitespace()
        .map(str::to_owned)
        .collect();
    let program = words.first()?;
    let is_path = program.contains('/') && !program.contains('=');
    (is_path && command.chars().all(is_plain)).then_some(words)
}

fn parse(line: &str) -> Result<Value, Failure> {
    serde_json::from_str(line)
        .map_err(|error| Failure::Local(format!("The event is not valid JSON: {error}.")))
}

/// Returns the dead letter of an event whose command never succeeded.
fn dead_letter(event: &Value, trouble: &str, attempts: u32) -> Value {
    json!({
        "cursor": event.get("cursor"),
        "time": event.get("time"),
        "deadLetter": { "attempts": attempts, "lastError": trouble, "event": event },
    })
}

/// Returns the kind of an event and its body, which is the only field with an object.
fn kind_of(event: &Value) -> (&str, &Value) {
    let fields = event.as_object().into_iter().flatten();
    fields
        .filter(|(_, value)| value.is_object())
        .map(|(name, value)| (name.as_str(), value))
        .next()
        .unwrap_or(("unknown", &Value::Null))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Returns a text as it fits into an environment, which no NUL does: otherwise a contact could keep the command from
/// being run.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_with_plain_arguments_needs_no_shell() {
        let words = |command| plain_words(command).map(|words| words.join("|"));
        assert_eq!(words("/bin/true").as_deref(), Some("/bin/true"));
        let with = words(" ./on-message.sh  --to=ann 7 ");
        assert_eq!(with.as_deref(), Some("./on-message.sh|--to=ann|7"));
        for command in [
            "",
            "true",
            "exit 0",
            "A=/b ./c",
            "./a $M2_CURSOR",
            "./a 'b c'",
            "./a > b",
            "./a; ./b",
            "./a &",
            "~/a",
            "./a *",
            "./a\n./b",
            "./ä",
        ] {
            assert_eq!(words(command), None, "{command}");
        }
    }
}
