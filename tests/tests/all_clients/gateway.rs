//! The HTTP gateway: its process, a program that sends through it, and one that polls for events.

use crate::scene::{PAUSE, Phase, Scene};
use anyhow::Context as _;
use m2_tests::harness::Binaries;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

const NAME: &str = "http";
const INTERVAL: Duration = Duration::from_millis(20);
const ANSWER: Duration = Duration::from_secs(20);

/// Where the gateway listens, and the token that its users show.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    address: SocketAddr,
    token: String,
}

impl Gateway {
    pub(crate) async fn new(scene: &Scene) -> Self {
        // The port is free for a moment at least, and then the gateway's.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            address: port.local_addr().unwrap(),
            token: scene.token(NAME).await,
        }
    }

    /// Runs the gateway, one process after another.
    pub(crate) async fn keep(self, scene: Arc<Scene>, kill: Arc<Notify>) -> anyhow::Result<()> {
        let program = Binaries::beside("m2-http")?;
        let gateway = || {
            let mut command = Command::new(&program);
            command.args(["--listen", &self.address.to_string()]);
            command.arg("--socket").arg(&scene.alice);
            Ok(command)
        };
        scene.keep("m2-http", &kill, gateway).await
    }

    /// Sends numbered messages, again with the same key until the gateway confirms each.
    pub(crate) async fn send(self, scene: Arc<Scene>) -> anyhow::Result<()> {
        scene.reached(Phase::Load).await;
        let mut number = 0;
        while !scene.has_reached(Phase::Drain) {
            if let Err(error) = self.send_one(number).await {
                scene.problem(NAME, error);
                sleep(PAUSE).await;
                continue;
            }
            number += 1;
            scene.sent(NAME, number);
            sleep(INTERVAL).await;
        }
        scene.complete(NAME);
        Ok(())
    }

    async fn send_one(&self, number: u64) -> anyhow::Result<()> {
        let key = format!("Idempotency-Key: http-{number}");
        let body = json!({"text": format!("{NAME} {number}")}).to_string();
        let line = "POST /v1/contacts/bob/messages";
        self.request(line, &[&key], &body).await?;
        Ok(())
    }

    /// Polls for events as a named client, and acknowledges what it has heard.
    pub(crate) async fn listen(self, scene: Arc<Scene>) -> anyhow::Result<()> {
        while !scene.has_reached(Phase::Over) {
            if let Err(error) = self.poll(&scene).await {
                scene.problem("http events", error);
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn poll(&self, scene: &Scene) -> anyhow::Result<()> {
        let line = format!("GET /v1/events?client={NAME}&wait=1");
        let page = self.request(&line, &[], "").await?;
        let events = page["events"].as_array().context("no events")?;
        for event in events {
            if let Some(text) = event["messageReceived"]["text"].as_str() {
                scene.hear(NAME, text);
            }
        }
        if !events.is_empty() {
            let body = json!({"client": NAME, "cursor": page["cursor"]}).to_string();
            self.request("POST /v1/events/acknowledge", &[], &body)
                .await?;
        }
        Ok(())
    }

    /// Makes a request. Returns the body of the response, which has to be a success.
    async fn request(&self, line: &str, headers: &[&str], body: &str) -> anyhow::Result<Value> {
        let mut request = format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for header in headers {
            request.push_str(&format!("{header}\r\n"));
        }
        request.push_str(&format!("Authorization: Bearer {}\r\n", self.token));
        request.push_str("Content-Type: application/json\r\n");
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        timeout(ANSWER, stream.read_to_end(&mut bytes)).await??;
        let text = String::from_utf8(bytes)?;
        let (head, body) = text
            .split_once("\r\n\r\n")
            .context("a part of a response")?;
        let status = head.split(' ').nth(1).context("no status")?;
        anyhow::ensure!(status.starts_with('2'), "{status}: {body}");
        Ok(serde_json::from_str(body)?)
    }
}
