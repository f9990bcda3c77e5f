//! A session: an authenticated connection between two daemons after both said Hello
//! (docs/spec/wire.md).

use crate::clock::Clock;
use crate::counters::Counters;
use crate::ending::on_wire;
pub use crate::ending::{CloseCode, Ended, SessionError};
use crate::frame::{self, FrameReceiver, FrameSender};
use crate::line_address::is_on_line;
use crate::quic_crypto::{Negotiated, SharedExporter};
use crate::suites::LeastSuites;
use crate::transport;
use crate::wire::{Hello, MAX_VERSION, Malformed, Message, Purpose};
use m2_crypto::Secret;
use m2_crypto::handshake::{Peer, Suite};
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

/// The age from which on a session must be replaced by a new one (docs/spec/wire.md#the-end).
pub const RENEW_AFTER: Duration = Duration::from_secs(86_400);

/// The priority of the frame stream, above that of bulk streams.
const FRAME_PRIORITY: i32 = 16;

/// The shared state of a session. Cheap to clone.
#[derive(Clone)]
pub struct SessionHandle(Arc<Inner>);

struct Inner {
    connection: Connection,
    peer: Peer,
    suite: Suite,
    exporter: SharedExporter,
    peer_version: String,
    clock: Option<PeerClock>,
    dialled: bool,
    purpose: Purpose,
    since: Instant,
    /// The channel of a line that the session uses. It is left when this guard is dropped, at the
    /// end of the session.
    channel: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// A reference to a session that does not keep it alive.
pub(crate) struct WeakSession(Weak<Inner>);

impl WeakSession {
    /// Returns the session if it still exists.
    pub(crate) fn upgrade(&self) -> Option<SessionHandle> {
        self.0.upgrade().map(SessionHandle)
    }
}

impl SessionHandle {
    /// Returns the suite of the handshake.
    pub fn suite(&self) -> Suite {
        self.0.suite
    }

    /// Returns the identity of the peer, or that it is anonymous.
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// Returns the software version that the peer reported, at most 32 bytes of unchecked text.
    pub fn peer_version(&self) -> &str {
        &self.0.peer_version
    }

    /// Returns the peer's current address. It can change during the session.
    pub fn remote_address(&self) -> SocketAddr {
        self.0.connection.remote_address()
    }

    /// Returns how far the peer's clock is ahead of the local one, in milliseconds, with an error
    /// of up to half a round trip. Takes into account that the local clock may have been set since
    /// the session came up. `None` if the peer reported no time.
    pub fn clock_skew_ms(&self) -> Option<i64> {
        Some(self.0.clock.as_ref()?.skew_ms())
    }

    /// Returns whether this side dialled.
    pub fn dialled(&self) -> bool {
        self.0.dialled
    }

    /// Returns the purpose of the session, chosen by the side that dialled.
    pub fn purpose(&self) -> Purpose {
        self.0.purpose
    }

    /// Returns the age of the session. After [`RENEW_AFTER`] it must be dialled again.
    pub fn age(&self) -> Duration {
        self.0.since.elapsed()
    }

    /// Returns the current estimate of the round-trip time.
    pub fn rtt(&self) -> Duration {
        self.0.connection.rtt()
    }

    /// Returns the number of datagrams received so far. It does not change while the peer is
    /// silent.
    pub fn heard(&self) -> u64 {
        self.0.connection.stats().udp_rx.datagrams
    }

    /// Returns the number of ack-eliciting frames sent so far, including retransmissions and
    /// probes. If it grows and [`Self::heard`] does not, the peer is leaving something unanswered.
    pub fn asked(&self) -> u64 {
        let sent = self.0.connection.stats().frame_tx;
        sent.stream + sent.datagram + sent.ping + sent.max_data + sent.max_stream_data
    }

    /// Returns whether the session passes a relay. If so, [`Self::remote_address`] is valid only in
    /// this process.
    pub fn is_on_line(&self) -> bool {
        is_on_line(&self.remote_address())
    }

    /// Makes the session leave a channel when it ends.
    pub(crate) fn is_on(&self, channel: impl Send + Sync + 'static) {
        // A session has one address, and so one channel.
        let _ = self.0.channel.set(Box::new(channel));
    }

    /// Returns a handle that does not keep the session alive.
    pub(crate) fn downgrade(&self) -> WeakSession {
        WeakSession(Arc::downgrade(&self.0))
    }

    /// Returns the QUIC connection: for datagrams, and for tests that break the protocol.
    #[doc(hidden)]
    pub fn connection(&self) -> &Connection {
        &self.0.connection
    }

    /// Derives a secret that only the two ends of this session can derive
    /// (docs/spec/wire.md#secrets-of-a-session).
    ///
    /// Errors: [`SessionError::Erased`].
    pub fn exporter(&self, label: &[u8], context: &[u8]) -> Result<Secret<32>, SessionError> {
        let mut exported = Ok(());
        let secret = Secret::filled(|secret| {
            exported = self.0.exporter.export(secret, label, context);
        });
        exported.map(|()| secret).map_err(|_| SessionError::Erased)
    }

    /// Erases the exporter: no further secret can be derived in this session.
    pub fn erase_exporter(&self) {
        self.0.exporter.erase();
    }

    /// Closes the session at once. Data that has not arrived yet is lost; to avoid that, call
    /// [`FrameSender::finish`] before.
    pub fn close(&self, code: CloseCode) {
        self.0.connection.close(on_wire(code), &[]);
    }

    /// Waits until the session has ended.
    pub async fn closed(&self) -> Ended {
        ended(&self.0.connection.closed().await)
    }

    /// Returns how the session ended, or `None` if it is still open.
    pub fn close_reason(&self) -> Option<Ended> {
        self.0.connection.close_reason().as_ref().map(ended)
    }

    /// Opens a stream of raw bytes to the peer, in addition to the frames. Waits until the peer
    /// accepts bulk streams, see [`Self::accept_bulk`].
    ///
    /// Errors: [`SessionError::Closed`].
    pub async fn open_bulk(&self) -> Result<SendStream, SessionError> {
        let opened = self.0.connection.open_uni().await;
        opened.map_err(|_| SessionError::Closed)
    }

    /// Returns the peer's next stream of raw bytes. Until the first call of this function the peer
    /// can open no such stream and has only the small window of the frame stream.
    ///
    /// Errors: [`SessionError::Closed`].
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

/// A session with its two frame streams. It ends when this and all handles and senders are dropped.
#[derive(Debug)]
pub struct Session {
    handle: SessionHandle,
    sender: FrameSender,
    receiver: FrameReceiver,
}

impl Session {
    /// Sends a message; waits while the queue is full.
    ///
    /// Errors: see [`FrameSender::send`].
    pub async fn send_frame(&self, message: Message) -> Result<(), SessionError> {
        self.sender.send(message).await
    }

    /// Receives the next message.
    ///
    /// Errors: see [`FrameReceiver::recv`].
    pub async fn recv_frame(&mut self) -> Result<Message, SessionError> {
        self.receiver.recv().await
    }

    /// Splits the session into its parts, for one task each.
    pub fn split(self) -> (SessionHandle, FrameSender, FrameReceiver) {
        (self.handle, self.sender, self.receiver)
    }

    /// Sends `first` and waits for the peer's Hello. Only then is the session established: an
    /// initiator is connected before the responder has verified its proof
    /// (docs/spec/handshake.md#4-and-5-proof).
    pub(crate) async fn open(
        connection: Connection,
        first: Hello,
        greeting: &HelloTemplate,
        counters: Arc<Counters>,
    ) -> Result<Self, SessionError> {
        let purpose = first.purpose;
        let stream = say(&connection, first).await?;
        let (receiver, hello) = listen(&connection, counters).await?;
        if hello.purpose != purpose {
            return Err(receiver.violation(Malformed::Purpose));
        }
        Self::new(connection, true, greeting, hello, (stream, receiver))
    }

    /// Waits for the initiator's Hello, and answers with one that repeats the session's purpose.
    pub(crate) async fn answer(
        connection: Connection,
        greeting: &HelloTemplate,
        counters: Arc<Counters>,
    ) -> Result<Self, SessionError> {
        let (receiver, hello) = listen(&connection, counters).await?;
        let stream = say(&connection, greeting.hello(hello.purpose)).await?;
        Self::new(connection, false, greeting, hello, (stream, receiver))
    }

    fn new(
        connection: Connection,
        dialled: bool,
        greeting: &HelloTemplate,
        hello: Hello,
        (stream, receiver): (SendStream, FrameReceiver),
    ) -> Result<Self, SessionError> {
        let purpose = hello.purpose;
        let (peer, negotiated) = authenticated(&connection)?;
        let Negotiated { suite, exporter } = negotiated;
        if let Some(id) = peer.id() {
            greeting.suites.completed(id, suite);
        }
        let handle = SessionHandle(Arc::new(Inner {
            peer,
            suite,
            exporter,
            clock: PeerClock::told(greeting, &hello, connection.rtt()),
            peer_version: hello.version,
            dialled,
            purpose,
            since: Instant::now(),
            channel: OnceLock::new(),
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

/// The contents of this daemon's Hello.
#[derive(Debug, Clone)]
pub(crate) struct HelloTemplate {
    pub(crate) clock: Clock,
    pub(crate) version: String,
    pub(crate) cover: Option<NonZeroU32>,
    /// Learns the suites of completed sessions.
    pub(crate) suites: Arc<LeastSuites>,
}

impl HelloTemplate {
    pub(crate) const fn new(
        clock: Clock,
        version: String,
        cover: Option<NonZeroU32>,
        suites: Arc<LeastSuites>,
    ) -> Self {
        Self {
            clock,
            version,
            cover,
            suites,
        }
    }

    /// Returns a Hello with the current time.
    pub(crate) fn hello(&self, purpose: Purpose) -> Hello {
        let version = self.version.chars().take(MAX_VERSION);
        Hello {
            unix_ms: self.clock.unix_ms(),
            version: version.filter(char::is_ascii).collect(),
            purpose,
        }
    }

    /// Returns the Hello of an anonymous session. A clock and a version would link the sessions of
    /// one caller.
    pub(crate) const fn anonymous_hello(purpose: Purpose) -> Hello {
        Hello {
            unix_ms: 0,
            version: String::new(),
            purpose,
        }
    }

    /// Returns the cover rate of a session. Only sessions with peers are covered: requests to
    /// relays and mailboxes are not messages of the user.
    fn cover_of(&self, purpose: Purpose) -> Option<NonZeroU32> {
        self.cover.filter(|_| purpose == Purpose::Peer)
    }
}

/// The peer's clock according to its Hello.
#[derive(Debug)]
struct PeerClock {
    unix_ms: u64,
    at: Instant,
    ours: Clock,
}

impl PeerClock {
    fn told(greeting: &HelloTemplate, hello: &Hello, rtt: Duration) -> Option<Self> {
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
    // Fails only for a stream that is already finished.
    let _ = stream.set_priority(FRAME_PRIORITY);
    let hello = frame::encode(Message::Hello(hello))?;
    let said = stream.write_all(&hello).await;
    said.map_err(|_| SessionError::Closed)?;
    Ok(stream)
}

/// Accepts the peer's frame stream and reads its Hello.
async fn listen(
    connection: &Connection,
    counters: Arc<Counters>,
) -> Result<(FrameReceiver, Hello), SessionError> {
    let incoming = connection.accept_uni().await.map_err(lost)?;
    let mut receiver = FrameReceiver::new(connection.clone(), incoming, counters);
    match receiver.recv().await? {
        Message::Hello(hello) => Ok((receiver, hello)),
        // The decoder accepts only a Hello as the first message.
        _ => Err(Malformed::OutOfPlace.into()),
    }
}

/// Returns the peer that the handshake authenticated, and what was negotiated.
fn authenticated(connection: &Connection) -> Result<(Peer, Negotiated), SessionError> {
    let peer = connection.peer_identity();
    let peer = peer.and_then(|peer| peer.downcast::<Peer>().ok());
    let negotiated = connection.handshake_data();
    let negotiated = negotiated.and_then(|data| data.downcast::<Negotiated>().ok());
    match (peer, negotiated) {
        (Some(peer), Some(negotiated)) => Ok((*peer, *negotiated)),
        _ => Err(SessionError::Closed),
    }
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
