//! HTTP/2 by hand: requests that no client library of this repository would send.

use m2_tests::scenario::PATIENCE;
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// `:method POST` and `:scheme http`, as indices into HPACK's static table.
const POST: &[u8] = &[0x83];
const HTTP: &[u8] = &[0x86];

pub(super) struct Connection(UnixStream);

/// A field with the name `:authority` of the static table. `first` selects the representation.
pub(super) fn literal(first: u8, value: &[u8]) -> Vec<u8> {
    [&[first], string(false, value).as_slice()].concat()
}

/// A field with a literal name that enters the dynamic table.
pub(super) fn named(name: &[u8], is_huffman: bool, value: &[u8]) -> Vec<u8> {
    [vec![0x40], string(is_huffman, name), string(false, value)].concat()
}

/// A string of fewer than 127 bytes.
fn string(is_huffman: bool, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 127);
    let huffman = if is_huffman { 0x80 } else { 0 };
    [&[huffman | bytes.len() as u8], bytes].concat()
}

/// The header fields of a GetStatus call, without method, scheme and authority.
fn rest() -> Vec<u8> {
    let path = string(false, b"/m2.api.v1.DaemonService/GetStatus");
    let content = string(false, b"application/grpc");
    let trailers = [string(false, b"te"), string(false, b"trailers")].concat();
    // `:path` and `content-type` as indices into the static table, without indexing.
    [
        &[0x04],
        &path[..],
        &[0x0f, 0x10],
        &content,
        &[0x00],
        &trailers,
    ]
    .concat()
}

impl Connection {
    pub(super) async fn open(socket: &Path) -> Self {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .unwrap();
        let mut connection = Self(stream);
        connection.send(SETTINGS, 0, 0, b"").await;
        connection
    }

    /// Calls GetStatus with this authority. Returns the encoded response, or a description of the
    /// refusal.
    pub(super) async fn call(&mut self, stream: u8, authority: &[u8]) -> Result<Vec<u8>, String> {
        let block = [POST, HTTP, authority, &rest()].concat();
        self.send(HEADERS, END_HEADERS, stream, &block).await;
        self.send(DATA, END_STREAM, stream, &[0; 5]).await;
        self.answer(stream).await
    }

    /// Like `call`, with the header block in up to four frames and a yield after each.
    pub(super) async fn call_in_pieces(
        &mut self,
        stream: u8,
        authority: &[u8],
    ) -> Result<Vec<u8>, String> {
        let block = [POST, HTTP, authority, &rest()].concat();
        // A server need not accept more than a few CONTINUATION frames.
        let pieces: Vec<&[u8]> = block.chunks(block.len().div_ceil(4)).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let kind = if number == 0 { HEADERS } else { CONTINUATION };
            let ends = if number + 1 == pieces.len() {
                END_HEADERS
            } else {
                0
            };
            self.send(kind, ends, stream, piece).await;
            self.0.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        self.send(DATA, END_STREAM, stream, &[0; 5]).await;
        self.answer(stream).await
    }

    pub(super) async fn call_without_method(&mut self, stream: u8) -> Result<Vec<u8>, String> {
        let block = [HTTP, &literal(0x01, b"/x"), &rest()].concat();
        self.send(HEADERS, END_HEADERS, stream, &block).await;
        self.send(DATA, END_STREAM, stream, &[0; 5]).await;
        self.answer(stream).await
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u8, payload: &[u8]) {
        let [.., a, b, c] = payload.len().to_be_bytes();
        let head = [a, b, c, kind, flags, 0, 0, 0, stream];
        let frame = [&head, payload].concat();
        self.0.write_all(&frame).await.unwrap();
    }

    /// Waits for the end of the stream. Returns the message in its data.
    async fn answer(&mut self, stream: u8) -> Result<Vec<u8>, String> {
        let mut data = Vec::new();
        loop {
            let (kind, flags, of, payload) = timeout(PATIENCE, self.frame())
                .await
                .map_err(|_| "no answer".to_owned())?;
            match kind {
                SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, b"").await,
                GOAWAY => return Err(format!("GOAWAY {payload:x?}")),
                RST_STREAM if of == stream => return Err(format!("RST_STREAM {payload:x?}")),
                DATA if of == stream => data.extend_from_slice(&payload),
                HEADERS if of == stream && flags & END_STREAM != 0 => {
                    let message = data.get(5..).filter(|message| !message.is_empty());
                    return message.map(<[u8]>::to_vec).ok_or("no message".to_owned());
                }
                _ => {}
            }
        }
    }

    async fn frame(&mut self) -> (u8, u8, u8, Vec<u8>) {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.unwrap();
        let [a, b, c, kind, flags, _, _, _, stream] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.unwrap();
        (kind, flags, stream, payload)
    }
}
