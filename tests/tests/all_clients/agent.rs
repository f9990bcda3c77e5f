//! The server for agents, spoken to as an agent does: in turn it sends, and hears what has arrived.

use crate::scene::{Ended, PAUSE, Phase, Scene};
use anyhow::Context as _;
use m2_tests::harness::Binaries;
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Notify;
use tokio::time::sleep;

const NAME: &str = "mcp";

/// Runs the agent with one server after another.
pub(crate) async fn run(scene: Arc<Scene>, kill: Arc<Notify>, token: String) -> anyhow::Result<()> {
    let mut number = 0;
    while !scene.has_reached(Phase::Over) {
        let mut child = start(&scene, &token)?;
        let session = work(&scene, &mut child, &mut number);
        if let Ended::Done(Err(error)) = scene.until(Phase::Over, &kill, session).await {
            scene.problem(NAME, error);
            sleep(PAUSE).await;
        }
        // It ends by itself if no daemon answers when it starts.
        let _ = child.kill().await;
    }
    Ok(())
}

fn start(scene: &Scene, token: &str) -> anyhow::Result<Child> {
    let child = Command::new(Binaries::beside("m2-mcp")?)
        .arg("--socket")
        .arg(&scene.alice)
        .args(["--client", NAME])
        .env("M2_TOKEN", token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    Ok(child)
}

/// Sends and hears until the server fails. `number` is the next message to send: it is sent again with its key
/// until the server confirms it.
async fn work(scene: &Scene, child: &mut Child, number: &mut u64) -> anyhow::Result<()> {
    let mut session = Session::open(child).await?;
    loop {
        if scene.has_reached(Phase::Drain) {
            scene.complete(NAME);
        } else if scene.has_reached(Phase::Load) {
            let text = format!("{NAME} {number}");
            let key = format!("mcp-{number}");
            let arguments = json!({"contact": "bob", "text": text, "key": key});
            match session.call("send_message", arguments).await? {
                Ok(_) => {
                    *number += 1;
                    scene.sent(NAME, *number);
                }
                Err(told) => refused(scene, "mcp send", &told).await,
            }
        }
        match session.call("receive_messages", json!({})).await? {
            Ok(heard) => hear(scene, &heard)?,
            Err(told) => refused(scene, "mcp receive", &told).await,
        }
    }
}

fn hear(scene: &Scene, heard: &Value) -> anyhow::Result<()> {
    for message in heard["messages"].as_array().context("no messages")? {
        scene.hear(NAME, message["text"].as_str().context("no text")?);
    }
    Ok(())
}

async fn refused(scene: &Scene, what: &'static str, told: &str) {
    scene.problem(what, told);
    sleep(PAUSE).await;
}

/// The conversation with one server.
struct Session {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    id: u64,
}

impl Session {
    async fn open(child: &mut Child) -> anyhow::Result<Self> {
        let mut session = Self {
            input: child.stdin.take().context("no input")?,
            output: BufReader::new(child.stdout.take().context("no output")?).lines(),
            id: 0,
        };
        let hello = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        });
        session.request("initialize", hello).await?;
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        session.write(&ready).await?;
        Ok(session)
    }

    /// Calls a tool. Returns its answer, or the text with which it refuses.
    async fn call(
        &mut self,
        tool: &str,
        arguments: Value,
    ) -> anyhow::Result<Result<Value, String>> {
        let params = json!({"name": tool, "arguments": arguments});
        let answer = self.request("tools/call", params).await?;
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text.with_context(|| answer.to_string())?;
        if result["isError"] == true {
            return Ok(Err(text.to_owned()));
        }
        Ok(Ok(serde_json::from_str(text)?))
    }

    async fn request(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.id += 1;
        let request = json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params});
        self.write(&request).await?;
        loop {
            let line = self.output.next_line().await?;
            let message: Value = serde_json::from_str(&line.context("the server has ended")?)?;
            if message["id"] == self.id {
                return Ok(message);
            }
        }
    }

    async fn write(&mut self, message: &Value) -> anyhow::Result<()> {
        let line = format!("{message}\n");
        Ok(self.input.write_all(line.as_bytes()).await?)
    }
}
