//! `m2 send --lines`: a message for every line, over one stream.

use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::stream;
use m2_proto::api::v1::send_message_request::Content;
use m2_proto::api::v1::send_messages_response::Result as Outcome;
use m2_proto::api::v1::{
    SendMessageRequest, SendMessageResponse, SendMessagesRequest, SendMessagesResponse,
};
use m2_proto::client::Client;
use m2_proto::limits::{MAX_CONTENT_BYTES, MAX_IDEMPOTENCY_KEY_BYTES};
use m2_proto::reason::Reason;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::SendArgs;
use super::splitter::{Line, Splitter};
use super::window::{MAX_LINES, Window};
use crate::context::{ANSWER_TIMEOUT, Context, call};
use crate::failure::Failure;
use crate::{message, signals};

/// The number of lines that are read ahead.
const READ_AHEAD: usize = 64;
/// The size of one read, in bytes.
const READ: usize = 64 * 1024;
/// How long after a signal the answers are awaited that are on their way.
const GRACE: Duration = Duration::from_secs(2);
/// The length that the number of a line adds to a key at most: a colon and 20 digits.
const NUMBER: usize = 21;

/// The state of one run.
struct Lines<'a> {
    context: &'a Context,
    /// The message without content and key.
    template: SendMessageRequest,
    is_data: bool,
    stop_on_error: bool,
    key: String,
    requests: mpsc::Sender<SendMessagesRequest>,
    window: Window,
    /// The number of lines read so far.
    read: u64,
    queued: u64,
    failed: u64,
    skipped: u64,
}

/// Sends every line of stdin, and reports each in order.
pub(super) async fn run(args: SendArgs, context: &Context) -> Result<(), Failure> {
    let client = context.client().await?;
    let (requests, stream) = mpsc::channel(MAX_LINES);
    let mut lines = Lines::new(args, &client, context, requests).await?;
    let mut answers = call(client.messages().send_messages(receiver(stream))).await?;
    let (sender, input) = mpsc::channel(READ_AHEAD);
    tokio::spawn(read_lines(sender));
    let ended = lines.work(input, &mut answers).await;
    lines.report(ended)
}

/// Returns a stream of what a channel receives.
fn receiver<T>(channel: mpsc::Receiver<T>) -> impl futures::Stream<Item = T> {
    stream::unfold(channel, async |mut channel| {
        let next = channel.recv().await?;
        Some((next, channel))
    })
}

/// Reads stdin to its end, and waits while lines are not taken.
async fn read_lines(sender: mpsc::Sender<io::Result<Line>>) {
    let mut input = BufReader::with_capacity(READ, tokio::io::stdin());
    let mut splitter = Splitter::default();
    loop {
        let bytes = match input.fill_buf().await {
            Ok([]) => break,
            Ok(bytes) => bytes,
            Err(error) => {
                // Nothing is left to do if the command has ended.
                let _ = sender.send(Err(error)).await;
                return;
            }
        };
        let (taken, line) = splitter.take(bytes);
        input.consume(taken);
        if let Some(line) = line
            && sender.send(Ok(line)).await.is_err()
        {
            return;
        }
    }
    if let Some(line) = splitter.end() {
        // As above.
        let _ = sender.send(Ok(line)).await;
    }
}

impl<'a> Lines<'a> {
    async fn new(
        args: SendArgs,
        client: &Client,
        context: &'a Context,
        requests: mpsc::Sender<SendMessagesRequest>,
    ) -> Result<Self, Failure> {
        let mut key = args.message.key.clone();
        if key.is_empty() {
            key = message::random_key()?;
        } else if key.len() + NUMBER > MAX_IDEMPOTENCY_KEY_BYTES {
            return Err(Failure::Usage(format!(
                "--key has {} bytes; with --lines at most {} are possible, because the number of \
                 the line is appended.",
                key.len(),
                MAX_IDEMPOTENCY_KEY_BYTES - NUMBER
            )));
        }
        // An unknown contact is one error, not one for each line.
        let contact = message::peer_id(client, &args.contact).await?;
        let is_data = args.message.is_data();
        let mut template = args.message.request(contact, None);
        template.reply_to = args.reply_to;
        template.thread = args.thread;
        Ok(Self {
            context,
            template,
            is_data,
            stop_on_error: args.stop_on_error,
            key,
            requests,
            window: Window::new(args.stop_on_error),
            read: 0,
            queued: 0,
            failed: 0,
            skipped: 0,
        })
    }

    /// Sends the lines until the input ends, a line fails and stops the others, or a signal arrives.
    async fn work(
        &mut self,
        mut input: mpsc::Receiver<io::Result<Line>>,
        answers: &mut Streaming<SendMessagesResponse>,
    ) -> Result<(), Failure> {
        let mut stop = pin!(signals::stop());
        let mut ended = false;
        loop {
            self.report_refused()?;
            ended |= self.stop_on_error && self.failed > 0;
            if ended && self.window.is_empty() {
                return Ok(());
            }
            tokio::select! {
                line = input.recv(), if !ended && self.window.has_room() => match line {
                    Some(line) => self.take(line.map_err(unreadable)?)?,
                    None => ended = true,
                },
                // Also while no answer is due: the end of the stream is not kept from the user.
                answer = answers.message() => self.answered(answer)?,
                () = tokio::time::sleep(ANSWER_TIMEOUT), if self.window.waits() => {
                    return Err(silent());
                }
                () = stop.as_mut() => return self.interrupted(answers).await,
            }
        }
    }

    /// Passes a line to the daemon, or refuses it.
    fn take(&mut self, line: Line) -> Result<(), Failure> {
        self.read += 1;
        let content = match self.content(line) {
            Ok(None) => {
                self.skipped += 1;
                return Ok(());
            }
            Ok(Some(content)) => content,
            Err(failure) => {
                self.window.refused(self.read, failure);
                return Ok(());
            }
        };
        self.window.sent(self.read, size(&content));
        let message = SendMessageRequest {
            content: Some(content),
            idempotency_key: format!("{}:{}", self.key, self.read),
            ..self.template.clone()
        };
        let request = SendMessagesRequest {
            message: Some(message),
        };
        // The window bounds the number of requests, so there is room for each.
        self.requests.try_send(request).map_err(|_| gone())
    }

    /// Returns the content of a line, or `None` if it is empty.
    fn content(&self, line: Line) -> Result<Option<Content>, Failure> {
        let bytes = match line {
            Line::Fits(bytes) if bytes.is_empty() => return Ok(None),
            Line::Fits(bytes) => bytes,
            Line::TooLong(length) => {
                let message = format!(
                    "The line has {length} bytes; a message has at most {MAX_CONTENT_BYTES}."
                );
                return Err(Failure::because(Reason::MessageTooLarge.as_str(), message));
            }
        };
        if self.is_data {
            return Ok(Some(Content::Data(bytes)));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            Failure::Usage("The line is not UTF-8 text. Name its type with --type.".to_owned())
        })?;
        Ok(Some(Content::Text(text)))
    }

    /// Reports the refused lines before which no line waits for an answer.
    fn report_refused(&mut self) -> Result<(), Failure> {
        while let Some((line, failure)) = self.window.pop_refused() {
            self.line_failed(line, failure.reason(), &failure.to_string())?;
        }
        Ok(())
    }

    fn answered(
        &mut self,
        answer: Result<Option<SendMessagesResponse>, Status>,
    ) -> Result<(), Failure> {
        let answer = answer?.ok_or_else(gone)?;
        let line = self.window.answered().ok_or_else(gone)?;
        match answer.result {
            Some(Outcome::Sent(sent)) => self.line_queued(line, &sent),
            Some(Outcome::Error(error)) => self.line_failed(line, &error.reason, &error.message),
            None => self.line_failed(line, "UNKNOWN", "The daemon's answer is empty. Update m2."),
        }
    }

    fn line_queued(&mut self, line: u64, sent: &SendMessageResponse) -> Result<(), Failure> {
        self.queued += 1;
        if !self.context.out.is_json() {
            return Ok(());
        }
        let state = sent.state().as_str_name();
        let value = json!({ "line": line, "messageId": sent.message_id, "state": state });
        self.context.out.json(&value)
    }

    fn line_failed(&mut self, line: u64, reason: &str, message: &str) -> Result<(), Failure> {
        self.failed += 1;
        if !self.context.out.is_json() {
            self.context.out.problem(&format!("line {line}: {message}"));
            return Ok(());
        }
        let error = json!({ "reason": reason, "message": message });
        self.context
            .out
            .json(&json!({ "line": line, "error": error }))
    }

    /// Reports the answers that are on their way when a signal arrives. Reads no further line.
    async fn interrupted(
        &mut self,
        answers: &mut Streaming<SendMessagesResponse>,
    ) -> Result<(), Failure> {
        let rest = async {
            while !self.window.is_empty() {
                self.report_refused()?;
                if self.window.waits() {
                    self.answered(answers.message().await)?;
                }
            }
            Ok::<_, Failure>(())
        };
        // Answers that take longer are not counted.
        tokio::time::timeout(GRACE, rest).await.unwrap_or(Ok(()))?;
        Err(Failure::because(
            "INTERRUPTED",
            "Interrupted before the end of the input.",
        ))
    }

    /// Prints the totals. Returns a failure if a line was not sent, with what to do next.
    fn report(&self, ended: Result<(), Failure>) -> Result<(), Failure> {
        if let Err(Failure::OutputClosed) = ended {
            return ended;
        }
        let totals = json!({
            "queued": self.queued,
            "failed": self.failed,
            "skipped": self.skipped,
            "key": self.key,
        });
        self.context.out.show(&totals, |_| self.totals())?;
        match ended {
            Ok(()) if self.failed == 0 => Ok(()),
            Ok(()) => Err(Failure::because(
                "LINES_FAILED",
                format!(
                    "{} of {} lines failed.{}",
                    self.failed,
                    self.read,
                    self.next()
                ),
            )),
            Err(failure) => Err(failure.followed_by(&self.next())),
        }
    }

    fn totals(&self) -> String {
        let mut text = format!("{} messages are queued.", self.queued);
        if self.skipped > 0 {
            text.push_str(&format!(" {} empty lines were skipped.", self.skipped));
        }
        text
    }

    fn next(&self) -> String {
        format!(
            " To send the rest, repeat the command with the same input and --key {}: no line is \
             sent twice.",
            self.key
        )
    }
}

fn size(content: &Content) -> usize {
    match content {
        Content::Text(text) => text.len(),
        Content::Data(data) => data.len(),
    }
}

fn unreadable(error: io::Error) -> Failure {
    Failure::Local(format!("Can't read stdin: {error}."))
}

fn gone() -> Failure {
    Failure::NoDaemon("The daemon stopped.".to_owned())
}

fn silent() -> Failure {
    Failure::TimedOut(format!(
        "The daemon did not answer within {} s.",
        ANSWER_TIMEOUT.as_secs()
    ))
}
