//! The frame stream of a session: a varint length, then a `Frame` message
//! (`docs/spec/wire.md#frames`). The codec is sans-IO; [`FrameSender`] and [`FrameReceiver`] drive
//! it over a QUIC stream.

mod cover;

use crate::counters::{Counter, Counters};
use crate::ending::{CloseCode, SessionError, on_wire};
use crate::wire::{Malformed, Message};
use bytes::{Buf, Bytes, BytesMut};
use prost::Message as _;
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream};
use std::num::NonZeroU32;
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

/// The longest frame, without its length, in bytes.
pub const MAX_FRAME: usize = 128 * 1024;

/// The longest varint of a length up to [`MAX_FRAME`], in bytes.
const MAX_LENGTH_BYTES: usize = 3;
/// The number of bytes read from a stream at once.
const READ_BYTES: usize = 64 * 1024;
/// Encoded frames are written once they exceed this many bytes.
const WRITE_BYTES: usize = 32 * 1024;
/// The number of messages of [`FrameSender::send`] that wait for the stream. A sender waits while
/// they are that many.
const QUEUE: usize = 64;

/// Encodes a message as a frame, with its length.
///
/// Errors: [`Malformed::Length`] if it is longer than [`MAX_FRAME`].
pub fn encode(message: Message) -> Result<Bytes, Malformed> {
    let frame = message.into_proto();
    if frame.encoded_len() > MAX_FRAME {
        return Err(Malformed::Length);
    }
    Ok(frame.encode_length_delimited_to_vec().into())
}

/// Splits a byte stream into messages and enforces the order: Hello first, and only first.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: BytesMut,
    greeted: bool,
}

impl FrameDecoder {
    /// Adds received bytes. The caller takes out all messages before it adds more, so the buffer
    /// never holds more than one frame and one read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next complete message, if there is one.
    ///
    /// Errors: [`Malformed`] if the peer broke the frame format.
    pub fn next_message(&mut self) -> Result<Option<Message>, Malformed> {
        let Some(length) = self.frame_length()? else {
            return Ok(None);
        };
        let frame = self.buffer.split_to(length).freeze();
        let message = Message::decode(strip_length(frame))?;
        self.check_place(&message)?;
        Ok(Some(message))
    }

    /// Returns the size of the first frame with its length, once it is complete.
    fn frame_length(&self) -> Result<Option<usize>, Malformed> {
        let mut length = 0;
        for (place, byte) in self.buffer.iter().take(MAX_LENGTH_BYTES).enumerate() {
            length |= usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                if length == 0 || length > MAX_FRAME {
                    return Err(Malformed::Length);
                }
                let whole = place + 1 + length;
                return Ok((self.buffer.len() >= whole).then_some(whole));
            }
        }
        if self.buffer.len() >= MAX_LENGTH_BYTES {
            return Err(Malformed::Length);
        }
        Ok(None)
    }

    fn check_place(&mut self, message: &Message) -> Result<(), Malformed> {
        let is_hello = matches!(message, Message::Hello(_));
        if is_hello == self.greeted {
            return Err(Malformed::OutOfPlace);
        }
        self.greeted = true;
        Ok(())
    }
}

/// Removes the length, which [`FrameDecoder::frame_length`] has read.
fn strip_length(mut frame: Bytes) -> Bytes {
    let bytes = frame.iter().take_while(|byte| **byte & 0x80 != 0).count();
    frame.advance((bytes + 1).min(frame.len()));
    frame
}

/// Sends messages. Clones share one queue, which one task writes to the stream, several frames at a
/// time. Each queued frame holds a permit, which bounds the queue.
#[derive(Debug, Clone)]
pub struct FrameSender {
    queue: mpsc::UnboundedSender<Item>,
    /// The permits of [`Self::send`] and [`Self::try_send`].
    places: Arc<Semaphore>,
}

#[derive(Debug)]
enum Item {
    /// A frame with its length.
    Frame(Bytes, OwnedSemaphorePermit),
    /// A message that the writer encodes.
    Message(Message, OwnedSemaphorePermit),
    /// Ends the stream; answered when the peer has received everything.
    Finish(oneshot::Sender<()>),
}

/// Why a message was not queued at once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TrySendError {
    /// The queue is full. Returns the message.
    #[error("the session's queue is full")]
    Full(Box<Message>),
    /// The message can never be queued: it is malformed, or the session has ended.
    #[error(transparent)]
    Failed(#[from] SessionError),
}

impl FrameSender {
    /// Starts to write to `stream`: as soon as there is something or, with `cover`, in that number
    /// of pieces per second, whether or not there is data.
    pub(crate) fn start(stream: SendStream, cover: Option<NonZeroU32>) -> Self {
        let (queue, items) = mpsc::unbounded_channel();
        match cover {
            None => tokio::spawn(write(stream, items)),
            Some(per_second) => tokio::spawn(write_covered(stream, items, per_second)),
        };
        let places = Arc::new(Semaphore::new(QUEUE));
        Self { queue, places }
    }

    /// Queues a message; waits while the queue is full. A queued message may still be lost with the
    /// session.
    ///
    /// Errors: [`SessionError::Malformed`] if it is too long for a frame, after which the session
    /// continues; [`SessionError::Closed`].
    pub async fn send(&self, message: Message) -> Result<(), SessionError> {
        let frame = encode(message)?;
        let place = tokio::select! {
            place = Arc::clone(&self.places).acquire_owned() => place,
            () = self.queue.closed() => return Err(SessionError::Closed),
        };
        let place = place.map_err(|_| SessionError::Closed)?;
        let queued = self.queue.send(Item::Frame(frame, place));
        queued.map_err(|_| SessionError::Closed)
    }

    /// Queues a message if there is room.
    ///
    /// Errors: [`TrySendError`].
    pub fn try_send(&self, message: Message) -> Result<(), TrySendError> {
        if self.queue.is_closed() {
            return Err(SessionError::Closed.into());
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(TrySendError::Full(message.into()));
        };
        let frame = encode(message).map_err(SessionError::from)?;
        let queued = self.queue.send(Item::Frame(frame, place));
        queued.map_err(|_| SessionError::Closed.into())
    }

    /// Queues a message at once. `room` is released when the message leaves the queue, so that the
    /// caller can bound it by its own measure. The message must fit into a frame.
    ///
    /// Errors: [`SessionError::Closed`].
    pub fn queue(&self, message: Message, room: OwnedSemaphorePermit) -> Result<(), SessionError> {
        let queued = self.queue.send(Item::Message(message, room));
        queued.map_err(|_| SessionError::Closed)
    }

    /// Ends the stream after the queued messages, and waits until the peer has received all of them
    /// or the session has ended.
    pub async fn finish(&self) {
        let (done, received) = oneshot::channel();
        if self.queue.send(Item::Finish(done)).is_ok() {
            // An error means that the writer ended with the session.
            let _ = received.await;
        }
    }
}

/// The task that owns the stream. Ends with the session, or with its last sender.
async fn write(mut stream: SendStream, mut items: mpsc::UnboundedReceiver<Item>) {
    let mut batch = BytesMut::with_capacity(2 * WRITE_BYTES);
    while let Some(first) = items.recv().await {
        let mut next = Some(first);
        while let Some(item) = next.take() {
            match add(item, &mut batch) {
                Ok(None) => {}
                Ok(Some(done)) => return finish(stream, batch, done).await,
                Err(error) => return tracing::error!(%error, "a frame can't be encoded"),
            }
            if batch.len() < WRITE_BYTES {
                next = items.try_recv().ok();
            }
        }
        if stream.write_all(&batch).await.is_err() {
            return;
        }
        batch.clear();
    }
}

/// Adds the frame of an item to the bytes to be written, or returns the receiver of the end.
fn add(item: Item, batch: &mut BytesMut) -> Result<Option<oneshot::Sender<()>>, Malformed> {
    match item {
        Item::Frame(frame, _place) => batch.extend_from_slice(&frame),
        Item::Message(message, _room) => batch.extend_from_slice(&encode(message)?),
        Item::Finish(done) => return Ok(Some(done)),
    }
    Ok(None)
}

/// The task that owns the stream of a session with cover traffic, and writes at a fixed rate: see
/// [`cover`].
async fn write_covered(
    mut stream: SendStream,
    mut items: mpsc::UnboundedReceiver<Item>,
    per_second: NonZeroU32,
) {
    let mut tick = interval(cover::pause(per_second));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting = BytesMut::new();
    loop {
        tick.tick().await;
        while waiting.len() < cover::PIECE_BYTES {
            match items.try_recv() {
                Ok(item) => match add(item, &mut waiting) {
                    Ok(None) => {}
                    // The end of the stream does not wait for the fixed rate.
                    Ok(Some(done)) => return finish(stream, waiting, done).await,
                    Err(error) => return tracing::error!(%error, "a frame can't be encoded"),
                },
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    // If this fails, the session has ended.
                    let _ = stream.write_all(&waiting).await;
                    return;
                }
            }
        }
        let piece = cover::next_piece(&mut waiting);
        if stream.write_all(&piece).await.is_err() {
            return;
        }
    }
}

async fn finish(mut stream: SendStream, batch: BytesMut, done: oneshot::Sender<()>) {
    if stream.write_all(&batch).await.is_ok() && stream.finish().is_ok() {
        // Returns when everything was acknowledged, or the peer stopped the stream or left.
        let _ = stream.stopped().await;
    }
    let _ = done.send(());
}

/// Receives messages. Closes the session of a peer that breaks the format.
#[derive(Debug)]
pub struct FrameReceiver {
    connection: Connection,
    stream: RecvStream,
    decoder: FrameDecoder,
    counters: Arc<Counters>,
}

impl FrameReceiver {
    pub(crate) fn new(connection: Connection, stream: RecvStream, counters: Arc<Counters>) -> Self {
        Self {
            connection,
            stream,
            decoder: FrameDecoder::default(),
            counters,
        }
    }

    /// Returns the next message. Cancel-safe: nothing that was received is lost.
    ///
    /// Errors: [`SessionError::Malformed`] after which the session is closed,
    /// [`SessionError::Closed`] when it has ended.
    pub async fn recv(&mut self) -> Result<Message, SessionError> {
        loop {
            match self.decoder.next_message() {
                Ok(Some(Message::Cover(_))) => continue,
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(malformed) => return Err(self.violation(malformed)),
            }
            let chunk = self
                .stream
                .read_chunk(READ_BYTES, true)
                .await
                .map_err(|error| self.lost(&error))?
                .ok_or(SessionError::Closed)?;
            self.decoder.push(&chunk.bytes);
        }
    }

    /// Returns a message that has already been received, if there is one.
    ///
    /// Errors: [`SessionError::Malformed`] after which the session is closed.
    pub fn try_recv(&mut self) -> Result<Option<Message>, SessionError> {
        loop {
            match self.decoder.next_message() {
                Ok(Some(Message::Cover(_))) => {}
                other => return other.map_err(|malformed| self.violation(malformed)),
            }
        }
    }

    fn lost(&self, error: &ReadError) -> SessionError {
        if let ReadError::ConnectionLost(ConnectionError::TransportError(_)) = error {
            self.counters.count(Counter::TransportViolated);
        }
        SessionError::Closed
    }

    /// Counts the violation and closes the session.
    pub(crate) fn violation(&self, malformed: Malformed) -> SessionError {
        self.counters.count(Counter::FrameMalformed);
        // No reason text: docs/spec/wire.md#the-end.
        self.connection.close(on_wire(CloseCode::Misbehaved), &[]);
        SessionError::Malformed(malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Envelope, Hello};
    use proptest::prelude::*;

    fn hello() -> Message {
        Message::Hello(Hello {
            unix_ms: 1,
            version: "v".into(),
            purpose: crate::wire::Purpose::Peer,
        })
    }

    fn envelope(length: usize) -> Message {
        Message::Envelope(Envelope {
            grant: Bytes::new(),
            sealed: vec![7; length].into(),
        })
    }

    fn stream(messages: &[Message]) -> BytesMut {
        let mut bytes = BytesMut::new();
        for message in messages {
            bytes.extend_from_slice(&encode(message.clone()).unwrap());
        }
        bytes
    }

    #[test]
    fn any_cut_gives_the_same_messages() {
        let sent = [hello(), envelope(1), envelope(200), envelope(20_000)];
        let bytes = stream(&sent);
        for cut in [1, 2, 7, 1000, bytes.len()] {
            let mut decoder = FrameDecoder::default();
            let mut received = Vec::new();
            for chunk in bytes.chunks(cut) {
                decoder.push(chunk);
                while let Some(message) = decoder.next_message().unwrap() {
                    received.push(message);
                }
            }
            assert_eq!(received, sent);
        }
    }

    #[test]
    fn hello_is_first_and_only_first() {
        for messages in [vec![envelope(1)], vec![hello(), hello()]] {
            let mut decoder = FrameDecoder::default();
            decoder.push(&stream(&messages));
            let error = loop {
                match decoder.next_message() {
                    Ok(message) => assert!(message.is_some()),
                    Err(error) => break error,
                }
            };
            assert_eq!(error, Malformed::OutOfPlace);
        }
    }

    #[test]
    fn lengths_are_bounded() {
        for bytes in [
            &[0x00][..],
            &[0x81, 0x80, 0x08],
            &[0xff, 0xff, 0xff],
            &[0x80, 0x80, 0x80],
        ] {
            let mut decoder = FrameDecoder::default();
            decoder.push(bytes);
            assert_eq!(decoder.next_message(), Err(Malformed::Length));
        }
        let mut longest = FrameDecoder::default();
        longest.push(&[0x80, 0x80, 0x08]);
        assert_eq!(longest.next_message(), Ok(None));
        assert_eq!(encode(envelope(MAX_FRAME)), Err(Malformed::Length));
    }

    proptest! {
        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = FrameDecoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_message() {}
        }
    }
}
