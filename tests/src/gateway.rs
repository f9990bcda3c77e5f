//! The HTTP gateway of a daemon, for tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "a test helper: a failure ends the test"
)]

use crate::harness::{Binaries, Daemon};
use crate::scenario::{Api, PATIENCE};
use m2_proto::api::v1::{AccessScope, CreateTokenRequest};
use serde_json::Value;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    process: Child,
    /// Read, so that the gateway is not stopped by a full pipe.
    _log: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
}

/// A response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The status line and the headers in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// Returns the body, which is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Returns the status and the reason of an error.
    pub fn error(&self) -> (u16, String) {
        let json = self.json();
        let reason = json.get("reason").and_then(Value::as_str).unwrap();
        (self.status, reason.to_owned())
    }
}

impl Gateway {
    /// Starts a gateway of a daemon.
    pub async fn start(daemon: &Daemon, arguments: &[&str]) -> Self {
        Self::start_in(daemon, arguments, &[]).await
    }

    /// Starts a gateway with variables of its environment.
    pub async fn start_in(
        daemon: &Daemon,
        arguments: &[&str],
        variables: &[(&str, &OsStr)],
    ) -> Self {
        let program = Binaries::beside("m2-http").unwrap();
        // The port is free for a moment at least; the gateway reports the one that it was given.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let mut process = Command::new(program)
            .args(["--listen", &address.to_string()])
            .arg("--socket")
            .arg(daemon.socket())
            .args(arguments)
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = timeout(PATIENCE, log.next_line()).await.unwrap().unwrap();
        assert!(line.unwrap().contains("serving on"));
        Self {
            process,
            _log: log,
            address,
        }
    }

    /// Ends the gateway at once.
    pub async fn kill9(mut self) {
        self.process.kill().await.unwrap();
    }

    /// Returns the memory that the gateway occupies, in KiB.
    pub fn rss_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.process.id().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.unwrap().split_whitespace().nth(1);
        number.unwrap().parse().unwrap()
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Makes a request. `headers`: whole lines.
    pub async fn request(&self, line: &str, headers: &[&str], body: &str) -> Answer {
        let mut stream = self.begin(line, headers, body).await;
        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, stream.read_to_end(&mut bytes));
        read.await.unwrap().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    /// Sends a request. Returns the connection, from which the response is read.
    pub async fn begin(&self, line: &str, headers: &[&str], body: &str) -> TcpStream {
        let mut request = format!("{line} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            request.push_str("Host: localhost\r\n");
        }
        for header in headers {
            request.push_str(header);
            request.push_str("\r\n");
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

/// Creates a token. Returns the header that shows it.
pub async fn bearer(api: &Api, name: &str, scopes: &[AccessScope]) -> String {
    let request = CreateTokenRequest {
        name: name.to_owned(),
        scopes: scopes.iter().map(|&scope| scope.into()).collect(),
        contacts: vec!["bob".to_owned()],
        valid_for: None,
    };
    let answer = api.client().access().create_token(request).await.unwrap();
    format!("Authorization: Bearer {}", answer.into_inner().token)
}
