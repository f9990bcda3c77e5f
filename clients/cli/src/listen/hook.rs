//! A command that is run for every event.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use m2_proto::api::v1::Event;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Output, json_line};

/// The maximum number of runs for one event.
const TRIES: u32 = 5;

/// A command, and the socket of its daemon.
pub(super) struct Hook {
    command: String,
    first_delay: Duration,
    socket: OsString,
}

impl Hook {
    /// Returns a hook whose command gets the socket to which `context` is connected.
    pub(super) fn new(command: &str, first_delay: Duration, context: &Context) -> Self {
        let socket = context.socket().map(|path| path.as_os_str().to_owned());
        Self {
            command: command.to_owned(),
            first_delay,
            socket: socket.unwrap_or_default(),
        }
    }

    /// Runs the command until it exits with code 0, at most five times; then prints a dead letter.
    pub(super) async fn handle(&self, event: &Event, out: &Output) -> Result<(), Failure> {
        let line = json_line(event)?;
        let value: Value = serde_json::from_str(&line)
            .map_err(|error| Failure::Local(format!("The event is not valid JSON: {error}.")))?;
        let mut delay = self.first_delay;
        let mut trouble = String::new();
        for attempt in 1..=TRIES {
            match self.run(&value, &line).await {
                Ok(status) if status.success() => return Ok(()),
                Ok(status) => trouble = status.to_string(),
                Err(error) => trouble = error.to_string(),
            }
            if attempt < TRIES {
                out.note(&format!("The command failed ({trouble}); trying again."));
                tokio::time::sleep(delay).await;
                delay = delay.saturating_mul(2);
            }
        }
        out.json(&dead_letter(&value, &trouble))
    }

    async fn run(&self, event: &Value, line: &str) -> io::Result<ExitStatus> {
        let (kind, body) = kind_of(event);
        let mut child = shell(&self.command)
            .env("M2_EVENT", kind)
            .env("M2_CURSOR", text(event, "cursor"))
            .env("M2_PEER_ID", text(body, "peerId"))
            .env("M2_MESSAGE_ID", text(body, "messageId"))
            .env("M2_SOCKET", &self.socket)
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A command may ignore its input: only its exit code counts.
                let _ = stdin.write_all(line.as_bytes()).await;
                let _ = stdin.write_all(b"\n").await;
            }
        };
        let ((), status) = tokio::join!(feed, child.wait());
        status
    }
}

/// Returns the dead letter of an event whose command never succeeded.
fn dead_letter(event: &Value, trouble: &str) -> Value {
    json!({
        "cursor": event.get("cursor"),
        "time": event.get("time"),
        "deadLetter": { "attempts": TRIES, "lastError": trouble, "event": event },
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

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}
