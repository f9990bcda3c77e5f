//! A DHT node that records all packets, and that lies on request (BEP 5, BEP 44). A daemon that knows
//! no other node sends it everything.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// How a node answers a request for an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temper {
    /// With the newest item stored under the key.
    Honest,
    /// With the oldest item stored under the key.
    Replays,
    /// With the newest item, one bit of which is flipped.
    Forges,
    /// With the newest item of another key.
    Confuses,
    /// With the newest item, made longer than an item may be.
    Swells,
    /// With an item that cannot be parsed.
    Babbles,
}

/// An item that a daemon stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Put {
    /// The address of the writer.
    pub(super) from: SocketAddr,
    /// The public key of the item.
    pub(super) key: Vec<u8>,
    /// The salt of the item; empty for none.
    pub(super) salt: Vec<u8>,
    /// The item's sequence number: the time at which it was made, in Unix seconds.
    pub(super) seq: i64,
    /// The content.
    pub(super) value: Vec<u8>,
    signature: Vec<u8>,
    target: Vec<u8>,
}

/// The node. It stops when this is dropped.
pub(super) struct Node {
    /// The address of the node.
    pub(super) address: SocketAddr,
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

struct Heard {
    temper: Temper,
    packets: Vec<Vec<u8>>,
    puts: Vec<Put>,
    /// Requests that were answered with an item since the temper was set.
    lies: usize,
}

impl Node {
    pub(super) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Heard {
            temper: Temper::Honest,
            packets: Vec::new(),
            puts: Vec::new(),
            lies: 0,
        }));
        let shared = heard.clone();
        let task = tokio::spawn(async move {
            let mut buffer = [0; 4_096];
            loop {
                let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
                    continue;
                };
                let answer = shared.lock().unwrap().answer(&buffer[..length], from);
                if let Some(answer) = answer {
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Self {
            address,
            heard,
            task,
        }
    }

    /// Sets the temper of all further answers.
    pub(super) fn set(&self, temper: Temper) {
        let mut heard = self.heard.lock().unwrap();
        (heard.temper, heard.lies) = (temper, 0);
    }

    /// The number of answers with an item since the temper was set.
    pub(super) fn answered(&self) -> usize {
        self.heard.lock().unwrap().lies
    }

    /// All items stored so far.
    pub(super) fn puts(&self) -> Vec<Put> {
        self.heard.lock().unwrap().puts.clone()
    }

    /// All packets received so far.
    pub(super) fn packets(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().packets.clone()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Heard {
    fn answer(&mut self, packet: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
        self.packets.push(packet.to_vec());
        let Value::Dict(message) = read(&mut &*packet)? else {
            return None;
        };
        let Value::Dict(arguments) = message.get(&b"a"[..])? else {
            return None;
        };
        let mut answer = BTreeMap::from([(b"id".to_vec(), Value::Bytes(vec![3; 20]))]);
        match message.get(&b"q"[..])?.bytes() {
            b"find_node" => {
                answer.insert(b"nodes".to_vec(), Value::Bytes(Vec::new()));
            }
            b"get" | b"get_peers" => {
                let target = arguments.get(&b"target"[..]).map(Value::bytes);
                let target = target.unwrap_or_default().to_vec();
                answer.insert(b"nodes".to_vec(), Value::Bytes(Vec::new()));
                if let Some(put) = self.item(&target) {
                    self.lies += 1;
                    answer.insert(b"k".to_vec(), Value::Bytes(put.key));
                    answer.insert(b"seq".to_vec(), Value::Int(put.seq));
                    answer.insert(b"sig".to_vec(), Value::Bytes(put.signature));
                    answer.insert(b"v".to_vec(), Value::Bytes(put.value));
                }
                // The writer returns the token, which identifies the target of its item.
                answer.insert(b"token".to_vec(), Value::Bytes(target));
            }
            b"put" => self.puts.push(put(arguments, from)?),
            _ => {}
        }
        let whole = BTreeMap::from([
            (b"r".to_vec(), Value::Dict(answer)),
            (b"t".to_vec(), message.get(&b"t"[..])?.clone()),
            (b"y".to_vec(), Value::Bytes(b"r".to_vec())),
        ]);
        let mut bytes = Vec::new();
        write(&Value::Dict(whole), &mut bytes);
        Some(bytes)
    }

    fn item(&self, target: &[u8]) -> Option<Put> {
        let of_target = |put: &&Put| put.target == target;
        let newest = self.puts.iter().rfind(of_target).cloned();
        match self.temper {
            Temper::Honest => newest,
            Temper::Replays => self.puts.iter().find(of_target).cloned(),
            Temper::Forges => newest.map(|mut put| {
                put.value[500] ^= 1;
                put
            }),
            Temper::Confuses => self.puts.iter().rfind(|put| put.target != target).cloned(),
            Temper::Swells => newest.map(|mut put| {
                put.value.resize(3_000, 7);
                put
            }),
            Temper::Babbles => newest.map(|mut put| {
                put.key.truncate(3);
                put.signature.clear();
                put.seq = i64::MAX;
                put
            }),
        }
    }
}

fn put(arguments: &BTreeMap<Vec<u8>, Value>, from: SocketAddr) -> Option<Put> {
    let bytes = |name: &[u8]| arguments.get(name).map(|value| value.bytes().to_vec());
    let Value::Int(seq) = arguments.get(&b"seq"[..])? else {
        return None;
    };
    Some(Put {
        from,
        key: bytes(b"k")?,
        salt: bytes(b"salt").unwrap_or_default(),
        seq: *seq,
        value: bytes(b"v")?,
        signature: bytes(b"sig")?,
        target: bytes(b"token")?,
    })
}

/// Bencode (BEP 3).
#[derive(Debug, Clone)]
enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
    Dict(BTreeMap<Vec<u8>, Value>),
}

impl Value {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            _ => &[],
        }
    }
}

fn read(from: &mut &[u8]) -> Option<Value> {
    match from.first()? {
        b'i' => Some(Value::Int(number(from, b'e', 1)?)),
        b'l' => Some(Value::List(items(from)?)),
        b'd' => {
            let mut all = items(from)?.into_iter();
            let mut dict = BTreeMap::new();
            while let Some(key) = all.next() {
                dict.insert(key.bytes().to_vec(), all.next()?);
            }
            Some(Value::Dict(dict))
        }
        _ => {
            let length = usize::try_from(number(from, b':', 0)?).ok()?;
            let (bytes, rest) = from.split_at_checked(length)?;
            *from = rest;
            Some(Value::Bytes(bytes.to_vec()))
        }
    }
}

fn items(from: &mut &[u8]) -> Option<Vec<Value>> {
    *from = &from[1..];
    let mut all = Vec::new();
    while *from.first()? != b'e' {
        all.push(read(from)?);
    }
    *from = &from[1..];
    Some(all)
}

fn number(from: &mut &[u8], end: u8, skip: usize) -> Option<i64> {
    let at = from.iter().position(|byte| *byte == end)?;
    let text = std::str::from_utf8(from.get(skip..at)?).ok()?;
    *from = &from[at + 1..];
    text.parse().ok()
}

fn write(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Int(number) => to.extend(format!("i{number}e").bytes()),
        Value::Bytes(bytes) => {
            to.extend(format!("{}:", bytes.len()).bytes());
            to.extend(bytes);
        }
        Value::List(all) => {
            to.push(b'l');
            all.iter().for_each(|one| write(one, to));
            to.push(b'e');
        }
        Value::Dict(all) => {
            to.push(b'd');
            for (key, value) in all {
                write(&Value::Bytes(key.clone()), to);
                write(value, to);
            }
            to.push(b'e');
        }
    }
}
