//! A broker that lies: it accepts every connection, and then does what the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a broker does after it accepted a connection.
#[derive(Clone, Debug)]
pub(crate) enum Lie {
    /// It reads everything and acknowledges nothing.
    Silence,
    /// It sends bytes that are no packets.
    Garbage,
    /// It acknowledges what was never published.
    FalseAcknowledgements,
    /// It sends these packets without end.
    Flood(Vec<u8>),
}

/// The liar.
pub(crate) struct Liar {
    port: u16,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Liar {
    /// Listens on a port; 0 for any.
    pub(crate) async fn start(port: u16, lie: Lie) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = connections.clone();
        let task = tokio::spawn(async move {
            // Connections end with the listener.
            let mut all = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::Relaxed);
                all.spawn(converse(stream, lie.clone()));
            }
        });
        Self {
            port,
            connections,
            task,
        }
    }

    /// Ends the liar, so that its port is free.
    pub(crate) async fn end(mut self) -> u16 {
        self.task.abort();
        let _ = (&mut self.task).await;
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn converse(mut stream: TcpStream, lie: Lie) {
    let mut buffer = vec![0; 64 * 1024];
    if stream.read(&mut buffer).await.is_err() {
        return;
    }
    // CONNACK: success, no session, no properties.
    if stream.write_all(&[0x20, 3, 0, 0, 0]).await.is_err() {
        return;
    }
    let (mut from, mut to) = stream.into_split();
    let reads =
        async move { while matches!(from.read(&mut buffer).await, Ok(length) if length > 0) {} };
    let writes = async move {
        let packets = match lie {
            Lie::Silence => return std::future::pending::<()>().await,
            Lie::Garbage => vec![0xff; 4_096],
            Lie::FalseAcknowledgements => vec![0x40, 2, 0x27, 0x10],
            Lie::Flood(packets) => packets,
        };
        while to.write_all(&packets).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = reads => {}
        () = writes => {}
    }
}

/// Returns a PUBLISH packet: with QoS 1 and DUP if it has a packet identifier, otherwise with QoS 0.
pub(crate) fn publish(topic: &str, payload: &[u8], packet: Option<u16>) -> Vec<u8> {
    let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    body.extend(packet.map(u16::to_be_bytes).into_iter().flatten());
    body.push(0);
    body.extend(payload);
    let mut bytes = vec![if packet.is_some() { 0x3a } else { 0x30 }];
    let mut length = body.len();
    loop {
        let more = length >= 128;
        bytes.push(u8::try_from(length % 128).unwrap() | if more { 0x80 } else { 0 });
        length /= 128;
        if !more {
            break;
        }
    }
    bytes.extend(body);
    bytes
}
