//! A session: an authenticated connection between two daemons after both said Hello (spec §3).

use crate::clock::Clock;
use crate::counters::Counters;
use crate::frame::{self, FrameReceiver, FrameSender};
use crate::line::{self, Occupied};
use crate::transport;
use crate::wire::{Hello, MAX_VERSION, Malformed, Message, Purpose};
use m2_crypto::Secret;
use m2_crypto::handshake::Peer;
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};
use thiserror::Error;

/// A session older than this is to be renewed from scratch (spec §3).
pub const RENEW_AFTER: Duration = Duration::from_secs(86_400);

/// The frame stream goes before bulk streams.
const FRAME_PRIORITY: i32 = 16;

/// Why a side ends a session, as the other side is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum CloseCode {
    /// It is no longer needed.
    Done = 0,
    /// The daemon stops.
    ShuttingDown = 1,
    /// Another session between the same peers takes its place.
    Replaced = 2,
    /// The other side broke the protocol.
    Misbehaved = 3,
    /// The other side may not talk to this one.
    Refused = 4,
    /// No Hello came in time.
    NoHello = 5,
    /// What the session is for can't be done at present: worth another try later.
    Unavailable = 6,
    /// The other side talks as a contact does, and is not a contact of this side.
    NotAContact = 7,
}

impl From<CloseCode> for VarInt {
    fn from(code: CloseCode) -> Self {
        Self::from_u32(code as u32)
    }
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// This side closed it.
    Here,
    /// The peer closed it, with this code ([`CloseCode`], if known to this version).
    ByPeer(u64),
    /// The path is gone: nothing was heard for the idle time.
    Silence,
    /// The transport gave it up.
    Transport,
}

/// Sending or receiving failed: the session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SessionError {
    /// The session ended.
    #[error("the session ended")]
    Closed,
    /// The peer broke the frame format, and the session was closed for it; or a message to be
    /// sent is too long.
    #[error("a frame is not one that may be sent")]
    Malformed(#[from] Malformed),
}

/// What belongs to a session as long as it stands. Cheap to clone.
#[derive(Clone)]
pub struct SessionHandle(Arc<Inner>);

struct Inner {
    connection: Connection,
    peer: Peer,
    peer_version: String,
    clock: Option<PeerClock>,
    dialled: bool,
    purpose: Purpose,
    since: Instant,
    /// The channel of a line, given up with the session.
    occupied: OnceLock<Occupied>,
}

/// A session that is not kept alive.
pub(crate) struct WeakSession(Weak<Inner>);

impl WeakSession {
    /// The session, if it is still there.
    pub(crate) fn upgrade(&self) -> Option<SessionHandle> {
        self.0.upgrade().map(SessionHandle)
    }
}

impl SessionHandle {
    /// Who is at the other end.
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// The software version that the peer told, at most 32 bytes of unchecked text.
    pub fn peer_version(&self) -> &str {
        &self.0.peer_version
    }

    /// Where the peer is now. It may move.
    pub fn remote_address(&self) -> SocketAddr {
        self.0.connection.remote_address()
    }

    /// How far the peer's clock is ahead of ours, in milliseconds, give or take half a round trip,
    /// as our clock is now: it may have been set since the session came up. None for a peer that
    /// told no time.
    pub fn clock_skew_ms(&self) -> Option<i64> {
        Some(self.0.clock.as_ref()?.skew_ms())
    }

    /// Whether this side dialled.
    pub fn dialled(&self) -> bool {
        self.0.dialled
    }

    /// What the side that dialled wants the session for.
    pub fn purpose(&self) -> Purpose {
        self.0.purpose
    }

    /// How long the session stands. After [`RENEW_AFTER`] it is to be dialled anew.
    pub fn age(&self) -> Duration {
        self.0.since.elapsed()
    }

    /// The present estimate of the round trip time.
    pub fn rtt(&self) -> Duration {
        self.0.connection.rtt()
    }

    /// Datagrams that came from the peer so far. As long as it does not grow, nothing was heard.
    pub fn heard(&self) -> u64 {
        self.0.connection.stats().udp_rx.datagrams
    }

    /// Frames that were sent so far and that QUIC acknowledges, repetitions and probes included.
    /// When it grows and [`Self::heard`] does not, the peer leaves something unanswered.
    pub fn asked(&self) -> u64 {
        let sent = self.0.connection.stats().frame_tx;
        sent.stream + sent.datagram + sent.ping + sent.max_data + sent.max_stream_data
    }

    /// Whether it passes a relay: then [`Self::remote_address`] means nothing to anybody else.
    pub fn is_on_line(&self) -> bool {
        line::is_on_line(&self.remote_address())
    }

    /// Has the session give a channel up when it ends.
    pub(crate) fn is_on(&self, channel: Occupied) {
        // A session has one address, and so one channel.
        let _ = self.0.occupied.set(channel);
    }

    /// A handle that does not keep it alive.
    pub(crate) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.0))
    }

    /// For what is sent beside the streams, and for tests that send what nobody should.
    #[doc(hidden)]
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// A secret that both ends of this session can derive, and nobody else.
    pub fn exporter(&self, label: &[u8], context: &[u8]) -> Result<Secret<32>, SessionError> {
        let mut output = [0; 32];
        self.0
            .connection
            .export_keying_material(&mut output, label, context)
            .map_err(|_| SessionError::Closed)?;
        Ok(Secret::new(output))
    }

    /// Ends the session at once. What is not yet received is lost; to keep it, call
    /// [`FrameSender::finish`] before.
    pub fn close(&self, code: CloseCode) {
        self.0.connection.close(code.into(), &[]);
    }

    /// Waits for the session's end.
    pub async fn closed(&self) -> Ended {
        ended(&self.0.connection.closed().await)
    }

    /// How it ended, if it did.
    pub fn close_reason(&self) -> Option<Ended> {
        self.0.connection.close_reason().as_ref().map(ended)
    }

    /// A stream of raw bytes to the peer, beside the frames. Waits until the peer takes in
    /// bulk streams, see [`Self::accept_bulk`].
    pub async fn open_bulk(&self) -> Result<SendStream, SessionError> {
        let opened = self.0.connection.open_uni().await;
        opened.map_err(|_| SessionError::Closed)
    }

    /// The peer's next stream of raw bytes. Until this is called the first time, a peer can
    /// open no such stream and has only the small window of the frame stream.
    pub async fn accept_bulk(&self) -> Result<RecvStream, SessionError> {
        transport::allow_bulk(&self.0.connection);
        let accepted = self.0.connection.accept_uni().await;
        accepted.map_err(|_| SessionError::Closed)
    }
}

impl fmt::Debug for SessionHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionHandle(..)")
    }
}

/// A session with its two frame streams. When it and all handles and senders are dropped, the
/// session ends.
#[derive(Debug)]
pub struct Session {
    handle: SessionHandle,
    sender: FrameSender,
    receiver: FrameReceiver,
}

impl Session {
    /// Sends a message; waits while too much is queued.
    pub async fn send_frame(&self, message: Message) -> Result<(), SessionError> {
        self.sender.send(message).await
    }

    /// Receives the next message.
    pub async fn recv_frame(&mut self) -> Result<Message, SessionError> {
        self.receiver.recv().await
    }

    /// The session's parts, for a task each.
    pub fn split(self) -> (SessionHandle, FrameSender, FrameReceiver) {
        (self.handle, self.sender, self.receiver)
    }

    /// Says `first` and waits for the peer's word. Only then both know that the
    /// session stands: an initiator is connected before the responder has verified its proof
    /// (spec §3).
    pub(crate) async fn open(
        connection: Connection,
        first: Hello,
        greeting: &Greeting,
        counters: Arc<Counters>,
    ) -> Result<Self, SessionError> {
        let purpose = first.purpose;
        let stream = say(&connection, first).await?;
        let (receiver, hello) = listen(&connection, counters).await?;
        if hello.purpose != purpose {
            return Err(receiver.misbehaved(Malformed::Purpose));
        }
        Self::new(connection, true, greeting, hello, (stream, receiver))
    }

    /// Waits for the caller's word, and repeats what the session is for.
    pub(crate) async fn answer(
        connection: Connection,
        greeting: &Greeting,
        counters: Arc<Counters>,
    ) -> Result<Self, SessionError> {
        let (receiver, hello) = listen(&connection, counters).await?;
        let stream = say(&connection, greeting.hello(hello.purpose)).await?;
        Self::new(connection, false, greeting, hello, (stream, receiver))
    }

    fn new(
        connection: Connection,
        dialled: bool,
        greeting: &Greeting,
        hello: Hello,
        (stream, receiver): (SendStream, FrameReceiver),
    ) -> Result<Self, SessionError> {
        let purpose = hello.purpose;
        let handle = SessionHandle(Arc::new(Inner {
            peer: peer(&connection)?,
            clock: PeerClock::told(greeting, &hello, connection.rtt()),
            peer_version: hello.version,
            dialled,
            purpose,
            since: Instant::now(),
            occupied: OnceLock::new(),
            connection,
        }));
        Ok(Self {
            handle,
            sender: FrameSender::start(stream, greeting.cover_of(purpose)),
            receiver,
        })
    }
}

impl Deref for Session {
    type Target = SessionHandle;

    fn deref(&self) -> &SessionHandle {
        &self.handle
    }
}

/// What this daemon says first.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    pub(crate) clock: Clock,
    pub(crate) version: String,
    pub(crate) cover: Option<NonZeroU32>,
}

impl Greeting {
    /// What is said now.
    pub(crate) fn hello(&self, purpose: Purpose) -> Hello {
        let version = self.version.chars().take(MAX_VERSION);
        Hello {
            unix_ms: self.clock.unix_ms(),
            version: version.filter(char::is_ascii).collect(),
            purpose,
        }
    }

    /// What nobody says: a clock and a version would tell which sessions are of one caller.
    pub(crate) const fn hello_of_nobody(purpose: Purpose) -> Hello {
        Hello {
            unix_ms: 0,
            version: String::new(),
            purpose,
        }
    }

    /// Who talks to peers covers when it does. Requests to relays and mailboxes are none of a
    /// user's, and their sessions are not covered.
    fn cover_of(&self, purpose: Purpose) -> Option<NonZeroU32> {
        self.cover.filter(|_| purpose == Purpose::Peer)
    }
}

/// What the peer's Hello said of its clock.
#[derive(Debug)]
struct PeerClock {
    unix_ms: u64,
    at: Instant,
    ours: Clock,
}

impl PeerClock {
    fn told(greeting: &Greeting, hello: &Hello, rtt: Duration) -> Option<Self> {
        let on_the_way = u64::try_from(rtt.as_millis() / 2).unwrap_or(0);
        (hello.unix_ms > 0).then(|| Self {
            unix_ms: hello.unix_ms.saturating_add(on_the_way),
            at: Instant::now(),
            ours: greeting.clock.clone(),
        })
    }

    fn skew_ms(&self) -> i64 {
        let theirs = i128::from(self.unix_ms) + self.at.elapsed().as_millis() as i128;
        let skew = theirs - i128::from(self.ours.unix_ms());
        i64::try_from(skew).unwrap_or(i64::MAX)
    }
}

/// Opens the frame stream with a Hello.
async fn say(connection: &Connection, hello: Hello) -> Result<SendStream, SessionError> {
    let mut stream = connection.open_uni().await.map_err(lost)?;
    // Fails only for a stream that is finished already.
    let _ = stream.set_priority(FRAME_PRIORITY);
    let hello = frame::encode(Message::Hello(hello))?;
    let said = stream.write_all(&hello).await;
    said.map_err(|_| SessionError::Closed)?;
    Ok(stream)
}

/// Takes the peer's frame stream and its Hello.
async fn listen(
    connection: &Connection,
    counters: Arc<Counters>,
) -> Result<(FrameReceiver, Hello), SessionError> {
    let incoming = connection.accept_uni().await.map_err(lost)?;
    let mut receiver = FrameReceiver::new(connection.clone(), incoming, counters);
    match receiver.recv().await? {
        Message::Hello(hello) => Ok((receiver, hello)),
        // The decoder lets nothing but a Hello be first.
        _ => Err(Malformed::OutOfPlace.into()),
    }
}

/// Who the handshake found at the other end.
fn peer(connection: &Connection) -> Result<Peer, SessionError> {
    connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Peer>().ok())
        .map(|peer| *peer)
        .ok_or(SessionError::Closed)
}

fn lost(_: ConnectionError) -> SessionError {
    SessionError::Closed
}

fn ended(error: &ConnectionError) -> Ended {
    match error {
        ConnectionError::LocallyClosed => Ended::Here,
        ConnectionError::ApplicationClosed(close) => Ended::ByPeer(close.error_code.into_inner()),
        ConnectionError::TimedOut => Ended::Silence,
        _ => Ended::Transport,
    }
}
