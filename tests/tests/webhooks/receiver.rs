//! A receiver of webhooks that accepts, refuses, hangs or lies.

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use m2_tests::scenario::eventually;
use serde_json::Value;
use sha2::Sha256;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// 24 bytes in Base64.
pub(crate) const SECRET: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// An empty response with this status.
    Status(u16),
    /// Nothing.
    Hang,
    /// A status of success, and a body without an end.
    EndlessBody,
    /// Headers without an end.
    EndlessHead,
    /// A redirect to this URL.
    Redirect(String),
}

/// A post that a receiver got, whatever it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) id: String,
    timestamp: String,
    signature: String,
    body: String,
}

/// A running receiver. It is dead once this is dropped.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    posts: Vec<Post>,
}

impl Post {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn text(&self) -> String {
        let json = self.json();
        json["messageReceived"]["text"].as_str().unwrap().to_owned()
    }

    /// Checks the signature as Standard Webhooks says.
    pub(crate) fn is_signed(&self) -> bool {
        let secret = BASE64.decode(SECRET.as_bytes()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
        mac.update(format!("{}.{}.{}", self.id, self.timestamp, self.body).as_bytes());
        let sum = BASE64.encode(&mac.finalize().into_bytes());
        self.signature == format!("v1,{sum}")
    }
}

impl Receiver {
    /// Starts a receiver at an address of its own.
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), behaviour).await
    }

    pub(crate) async fn start_at(address: SocketAddr, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let posts = Vec::new();
        let state = Arc::new(Mutex::new(State { behaviour, posts }));
        let task = tokio::spawn(serve(listener, state.clone()));
        Self {
            address,
            state,
            task,
        }
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.state.lock().unwrap().behaviour = behaviour;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.state.lock().unwrap().posts.clone()
    }

    /// Waits until there are `count` different posts. Returns them without repetitions.
    pub(crate) async fn await_posts(&self, count: usize) -> Vec<Post> {
        let found = eventually("posts", async || {
            let mut posts: Vec<Post> = Vec::new();
            for post in self.posts() {
                if posts.iter().all(|other| other.id != post.id) {
                    posts.push(post);
                }
            }
            Ok((posts.len() >= count).then_some(posts))
        });
        found.await.unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(converse(stream, state.clone()));
    }
}

/// Serves a connection until it is closed.
async fn converse(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(post) = read(&mut stream).await {
        let behaviour = {
            let mut state = state.lock().unwrap();
            state.posts.push(post);
            state.behaviour.clone()
        };
        if answer(&mut stream, behaviour).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Post> {
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None if line.trim_end().is_empty() => break,
            None => assert!(line.starts_with("POST /hook HTTP/1.1"), "{line}"),
        }
    }
    let header = |name: &str| {
        let found = headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let mut body = vec![0; header("content-length").parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(Post {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp"),
        signature: header("webhook-signature"),
        body: String::from_utf8(body).ok()?,
    })
}

async fn answer(stream: &mut BufReader<TcpStream>, behaviour: Behaviour) -> std::io::Result<()> {
    let head = match behaviour {
        Behaviour::Status(status) => {
            format!("HTTP/1.1 {status} Told\r\nContent-Length: 0\r\n\r\n")
        }
        Behaviour::Redirect(url) => {
            format!("HTTP/1.1 307 Told\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n")
        }
        Behaviour::Hang => return std::future::pending().await,
        Behaviour::EndlessBody => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await?;
            return repeat(stream, b"4\r\nmore\r\n").await;
        }
        Behaviour::EndlessHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            return repeat(stream, b"X-More: more\r\n").await;
        }
    };
    stream.write_all(head.as_bytes()).await
}

async fn repeat(stream: &mut BufReader<TcpStream>, bytes: &[u8]) -> std::io::Result<()> {
    let many = bytes.repeat(4_096);
    loop {
        stream.write_all(&many).await?;
    }
}
