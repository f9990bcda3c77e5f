//! A party's session with a relay, which carries its sessions with other parties.

use super::socket::LineSocket;
use super::{LineError, path};
use crate::frame::{FrameReceiver, FrameSender};
use crate::line_address as address;
use crate::session::{CloseCode, Session, SessionHandle, WeakSession};
use crate::socket::Medium;
use crate::wire::Message;
use crate::wire::line::{
    Channel, Extend, JoinOutcome, Line, MAX_ADDRESSES, MAX_OPENED, RelayMessage, Request,
};
use m2_crypto::PeerId;
use m2_crypto::address::NamedAddress;
use m2_crypto::line::{JoinToken, LineSecret};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Mutex as AsyncMutex, oneshot, watch};
use tokio::time::timeout;

/// The number of channels that a relay may open towards this side at once.
const MAX_CHANNELS: usize = 1_024;
/// How long a channel stays after its session has ended. The close needs a moment to leave, and is sent again if the
/// other side goes on sending.
const LINGER: Duration = Duration::from_secs(1);
/// The timeout of a relay's answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A relay of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// The relay's peer id.
    pub relay: PeerId,
    /// The relay's addresses, the best first.
    pub addresses: Vec<SocketAddr>,
}

/// A session with a relay, over which sessions with other parties travel. Cheap to clone; it lasts
/// until it is closed or the relay ends it.
#[derive(Clone)]
pub struct Carrier(Arc<Inner>);

struct Inner {
    number: u32,
    session: SessionHandle,
    sender: FrameSender,
    channels: Arc<Channels>,
    /// Pending requests, in the order in which they were sent.
    asked: Mutex<VecDeque<oneshot::Sender<RelayMessage>>>,
    /// Held while a request is queued, so that `asked` has the order of the frames.
    asking: AsyncMutex<()>,
    next_channel: AtomicU32,
    ended: watch::Sender<Option<LineError>>,
}

/// The channels of a carrier, each with the synthetic address of the peer at its other end.
#[derive(Debug, Default)]
pub(super) struct Channels {
    all: RwLock<HashMap<Channel, Entry>>,
    count: watch::Sender<usize>,
}

#[derive(Debug)]
struct Entry {
    source: SocketAddr,
    /// Dropped with the entry, which notifies its subscribers.
    gone: watch::Sender<()>,
}

impl Channels {
    /// Returns the address of the peer on a channel.
    pub(super) fn source(&self, channel: Channel) -> Option<SocketAddr> {
        self.read().get(&channel).map(|entry| entry.source)
    }

    fn insert(&self, channel: Channel, source: SocketAddr) -> bool {
        let mut all = self.write();
        if all.len() >= MAX_CHANNELS || all.contains_key(&channel) {
            return false;
        }
        let gone = watch::Sender::new(());
        all.insert(channel, Entry { source, gone });
        self.count.send_replace(all.len());
        true
    }

    fn remove(&self, channel: Channel) -> bool {
        let mut all = self.write();
        let was_there = all.remove(&channel).is_some();
        self.count.send_replace(all.len());
        was_there
    }

    fn clear(&self) {
        let mut all = self.write();
        all.clear();
        self.count.send_replace(0);
    }

    /// Waits until the channel has ended.
    async fn gone(&self, channel: Channel) {
        let gone = self
            .read()
            .get(&channel)
            .map(|entry| entry.gone.subscribe());
        if let Some(mut gone) = gone {
            while gone.changed().await.is_ok() {}
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Channel, Entry>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Channel, Entry>> {
        self.all.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Carrier {
    /// Creates a carrier from a session with a relay.
    ///
    /// Errors: [`LineError::Ended`] if the peer accepts no datagrams.
    pub(crate) fn start(number: u32, session: Session) -> Result<Self, LineError> {
        let (session, sender, receiver) = session.split();
        if !path::takes_datagrams(session.connection()) {
            return Err(LineError::Ended);
        }
        let carrier = Self(Arc::new(Inner {
            number,
            session,
            sender,
            channels: Arc::default(),
            asked: Mutex::default(),
            asking: AsyncMutex::default(),
            next_channel: AtomicU32::new(1),
            ended: watch::Sender::new(None),
        }));
        tokio::spawn(carrier.clone().run(receiver));
        Ok(carrier)
    }

    /// Listens on lines. Returns how many of them the relay opened, counted from the first, as soon
    /// as whole packets are known to fit through the path.
    ///
    /// Errors: [`LineError::PathTooSmall`], [`LineError::NoAnswer`], [`LineError::Ended`].
    pub async fn open(&self, secrets: &[LineSecret]) -> Result<usize, LineError> {
        let mut opened = 0;
        for part in secrets.chunks(MAX_OPENED) {
            let RelayMessage::Opened(count) = self.ask(Request::Open(part.to_vec())).await? else {
                return Err(self.violation());
            };
            opened += part.len().min(count as usize);
            if (count as usize) < part.len() {
                break;
            }
        }
        self.fit().await?;
        Ok(opened)
    }

    /// Stops listening on lines. Sessions that came over them continue.
    ///
    /// Errors: [`LineError::Ended`].
    pub async fn close_lines(&self, tokens: &[JoinToken]) -> Result<(), LineError> {
        for part in tokens.chunks(MAX_OPENED) {
            self.send(Line::Request(Request::Close(part.to_vec())))
                .await?;
        }
        Ok(())
    }

    /// Joins a line. Returns the address at which the listener can be dialled once, from the
    /// endpoint to which the carrier is attached.
    ///
    /// Errors: [`LineError::NoLine`], [`LineError::Full`], and those of [`Self::open`].
    pub async fn join(&self, token: JoinToken) -> Result<SocketAddr, LineError> {
        let channel = Channel(self.0.next_channel.fetch_add(2, Ordering::Relaxed));
        let source = address::of(self.0.number, channel, &token);
        if !self.0.channels.insert(channel, source) {
            return Err(LineError::Full);
        }
        let answer = self.ask(Request::Join(channel, token)).await;
        let error = match answer {
            Ok(RelayMessage::Joined(of, JoinOutcome::Joined)) if of == channel => {
                return self.fit().await.map(|()| source);
            }
            Ok(RelayMessage::Joined(of, outcome)) if of == channel => match outcome {
                JoinOutcome::NoLine => LineError::NoLine,
                _ => LineError::Full,
            },
            Ok(_) => self.violation(),
            Err(error) => error,
        };
        self.0.channels.remove(channel);
        Err(error)
    }

    /// Waits until whole packets are known to fit through the path.
    async fn fit(&self) -> Result<(), LineError> {
        tokio::select! {
            () = path::known_to_fit(self.0.session.connection()) => Ok(()),
            reason = self.ended() => Err(reason),
        }
    }

    /// Returns the address from which the last relay sees this session: this side's public address
    /// if there is only one relay.
    ///
    /// Errors: [`LineError::NoAnswer`], [`LineError::Ended`].
    pub async fn observed(&self) -> Result<NamedAddress, LineError> {
        match self.ask(Request::Observe).await? {
            RelayMessage::Observed(address) => Ok(address),
            _ => Err(self.violation()),
        }
    }

    /// Waits until the session with the relay has ended, and returns the reason.
    pub async fn ended(&self) -> LineError {
        let mut ended = self.0.ended.subscribe();
        let reason = ended.wait_for(Option::is_some).await;
        reason.map_or(LineError::Ended, |reason| {
            reason.unwrap_or(LineError::Ended)
        })
    }

    /// Closes the session with the relay, and with it all sessions that travel over it.
    pub fn close(&self) {
        self.0.session.close(CloseCode::Done);
    }

    /// Waits until no channel is left.
    pub async fn unused(&self) {
        let mut count = self.0.channels.count.subscribe();
        // The sender lives as long as the carrier, so there is no error.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    /// Returns the number of open channels.
    pub fn channels(&self) -> usize {
        self.0.channels.read().len()
    }

    /// Returns the session with the first relay.
    pub fn session(&self) -> &SessionHandle {
        &self.0.session
    }

    /// Returns the carrier's number, unique within its endpoint.
    pub fn number(&self) -> u32 {
        self.0.number
    }

    /// Returns the medium of the sessions that travel over the carrier.
    pub(crate) fn medium(&self) -> Medium {
        let connection = self.0.session.connection();
        let channels = Arc::clone(&self.0.channels);
        let socket = LineSocket::new(self.0.number, connection.clone(), channels);
        Medium::line(Arc::new(socket))
    }

    /// Returns a guard that leaves the channel a moment after it is dropped.
    pub(super) fn occupy(&self, channel: Channel) -> Occupied {
        Occupied {
            carrier: self.clone(),
            channel,
        }
    }

    /// Closes a session as soon as its channel has ended.
    pub(super) async fn end_with(self, channel: Channel, session: WeakSession) {
        self.0.channels.gone(channel).await;
        if let Some(session) = session.upgrade() {
            session.close(CloseCode::Done);
        }
    }

    /// Leaves the channel of a session that has ended, after [`LINGER`]: QUIC has not sent the session's close yet,
    /// and the other side would not learn the reason.
    pub(super) fn leave_soon(&self, channel: Channel) {
        let Ok(runtime) = Handle::try_current() else {
            return self.leave(channel);
        };
        let carrier = self.clone();
        runtime.spawn(async move {
            // An end of the carrier clears its channels.
            let _ = timeout(LINGER, carrier.ended()).await;
            carrier.leave(channel);
        });
    }

    /// Leaves a channel at once.
    fn leave(&self, channel: Channel) {
        if self.0.channels.remove(channel) {
            // If the queue is full, the relay drops the channel after its idle timeout.
            let leave = Message::Line(Box::new(Line::Leave(channel)));
            let _ = self.0.sender.try_send(leave);
        }
    }

    async fn run(self, mut frames: FrameReceiver) {
        let mut too_small = pin!(path::too_small(
            self.0.session.connection(),
            path::PARTY_LOOKS,
        ));
        let reason = loop {
            let message = tokio::select! {
                message = frames.recv() => message,
                () = &mut too_small => break LineError::PathTooSmall,
            };
            let Ok(Message::Line(line)) = message else {
                break LineError::Ended;
            };
            if !self.take(*line) {
                self.0.session.close(CloseCode::Misbehaved);
                break LineError::Ended;
            }
        };
        self.0.session.close(CloseCode::Done);
        self.0.channels.clear();
        lock(&self.0.asked).clear();
        // Notified last, so that an observer finds the channels and requests already cleared.
        self.0.ended.send_replace(Some(reason));
    }

    /// Handles a frame of the relay. Returns false if it breaks the protocol.
    fn take(&self, line: Line) -> bool {
        match line {
            Line::RelayMessage(RelayMessage::Called(channel, token)) => {
                if channel.is_of_party() || self.0.channels.source(channel).is_some() {
                    return false;
                }
                let source = address::of(self.0.number, channel, &token);
                if !self.0.channels.insert(channel, source) {
                    let leave = Message::Line(Box::new(Line::Leave(channel)));
                    let _ = self.0.sender.try_send(leave);
                }
                true
            }
            Line::RelayMessage(answer) => match lock(&self.0.asked).pop_front() {
                Some(asked) => {
                    // The requester may have gone.
                    let _ = asked.send(answer);
                    true
                }
                None => false,
            },
            Line::Leave(channel) => {
                self.0.channels.remove(channel);
                true
            }
            Line::Request(_) | Line::Offer(_) => false,
        }
    }

    async fn ask(&self, request: Request) -> Result<RelayMessage, LineError> {
        let (asked, answer) = oneshot::channel();
        {
            let _order = self.0.asking.lock().await;
            lock(&self.0.asked).push_back(asked);
            self.send(Line::Request(request)).await?;
        }
        let answered = tokio::select! {
            answered = timeout(ANSWER_LIMIT, answer) => answered,
            // A request that is queued after the end is not answered, and its entry is not cleared.
            reason = self.ended() => return Err(reason),
        };
        match answered {
            Ok(Ok(told)) => Ok(told),
            Ok(Err(_)) => Err(self.ended().await),
            Err(_) => {
                // Its answers can no longer be matched to requests.
                self.close();
                Err(LineError::NoAnswer)
            }
        }
    }

    async fn send(&self, line: Line) -> Result<(), LineError> {
        let sent = self.0.sender.send(Message::Line(Box::new(line))).await;
        sent.map_err(|_| LineError::Ended)
    }

    fn violation(&self) -> LineError {
        self.0.session.close(CloseCode::Misbehaved);
        LineError::Ended
    }
}

/// A channel in use by a session. Leaves the channel [a moment after](LINGER) it is dropped.
#[derive(Debug)]
pub(crate) struct Occupied {
    carrier: Carrier,
    channel: Channel,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.carrier.leave_soon(self.channel);
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carrier(..)")
    }
}

/// Extends a session with one relay over `hops`, so that it ends at the last of them.
pub(crate) async fn extend(session: &mut Session, hops: &[Hop]) -> Result<(), LineError> {
    for hop in hops {
        let mut reached = false;
        for address in hop.addresses.iter().take(MAX_ADDRESSES) {
            let extend = Extend {
                relay: hop.relay,
                address: NamedAddress::new(*address),
                hops: 0,
            };
            let request = Line::Request(Request::Extend(extend));
            let sent = session.send_frame(Message::Line(Box::new(request)));
            sent.await.map_err(|_| LineError::Ended)?;
            reached = was_extended(session).await?;
            if reached {
                break;
            }
        }
        if !reached {
            return Err(LineError::NotExtended);
        }
    }
    Ok(())
}

async fn was_extended(session: &mut Session) -> Result<bool, LineError> {
    match timeout(ANSWER_LIMIT, session.recv_frame()).await {
        Ok(Ok(Message::Line(line))) => match *line {
            Line::RelayMessage(RelayMessage::Extended(done)) => Ok(done),
            _ => Err(LineError::Ended),
        },
        Ok(_) => Err(LineError::Ended),
        Err(_) => Err(LineError::NoAnswer),
    }
}

/// No update under this lock can be interrupted halfway, so a poisoned lock is still consistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
