//! One party of a relay: its session, and the routes of its channels.

use crate::meter::Meter;
use crate::table::PartyId;
use bytes::{Bytes, BytesMut};
use m2_limits::prefix::Prefix;
use m2_limits::token_bucket::{Rate, TokenBucket};
use m2_net::frame::FrameSender;
use m2_net::line::{HEADER_BYTES, path};
use m2_net::session::SessionHandle;
use m2_net::wire::Message;
use m2_net::wire::line::{Channel, Line};
use quinn::Connection;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// The number of joins per second that a session may request.
const CALLS_A_SECOND: u64 = 32;

/// A party and its session with this relay.
pub(super) struct Party {
    pub(super) id: PartyId,
    /// The prefix of its source address: its packets count towards this prefix.
    pub(super) prefix: Prefix,
    pub(super) session: SessionHandle,
    sender: FrameSender,
    routes: RwLock<HashMap<Channel, Route>>,
    asked: AtomicBool,
    passed_on: AtomicBool,
    /// The second at which it was last known to listen or to have a channel.
    used_s: AtomicU64,
    calls: Mutex<TokenBucket>,
    /// The number of consecutive checks in which whole packets did not fit through its path.
    too_small: AtomicU32,
}

/// The other end of a channel.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) to: Connection,
    channel: Channel,
    pub(super) meter: Arc<Meter>,
}

impl Route {
    pub(super) fn new(to: &Party, channel: Channel, meter: &Arc<Meter>) -> Self {
        Self {
            to: to.session.connection().clone(),
            channel,
            meter: Arc::clone(meter),
        }
    }
}

impl Party {
    pub(super) fn new(
        id: PartyId,
        session: SessionHandle,
        sender: FrameSender,
        now_ms: u64,
    ) -> Self {
        let rate = Rate::per_second(CALLS_A_SECOND);
        Self {
            id,
            prefix: Prefix::of(session.remote_address().ip()),
            session,
            sender,
            routes: RwLock::default(),
            asked: AtomicBool::new(false),
            passed_on: AtomicBool::new(false),
            used_s: AtomicU64::new(now_ms / 1_000),
            calls: Mutex::new(TokenBucket::full(CALLS_A_SECOND, rate, now_ms)),
            too_small: AtomicU32::new(0),
        }
    }

    /// Returns whether the party has sent a request: its session can't be extended any more after
    /// that.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Marks the session as forwarded to another relay, which now decides whether it is in use.
    pub(super) fn is_passed_on(&self) {
        self.passed_on.store(true, Ordering::Relaxed);
    }

    /// Returns whether the party may join a line now. A party that joined and left in a loop would
    /// flood the listener with notifications.
    pub(super) fn may_call(&self, now_ms: u64) -> bool {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.take(1, now_ms)
    }

    /// Queues a frame for the party. Returns false if the queue is full because the party does not
    /// read, or if the session has ended.
    pub(super) fn tell(&self, line: Line) -> bool {
        self.sender.try_send(Message::Line(Box::new(line))).is_ok()
    }

    pub(super) fn add_route(&self, channel: Channel, route: Route) {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.insert(channel, route);
    }

    pub(super) fn drop_route(&self, channel: Channel) {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.remove(&channel);
    }

    /// Returns the route of a datagram, and the datagram with the channel of the other end.
    pub(super) fn route(&self, datagram: &Bytes) -> Option<(Route, Bytes)> {
        let (channel, packet) = m2_net::line::parse(datagram)?;
        let route = self.read().get(&channel)?.clone();
        let onward = relabelled(route.channel, packet);
        Some((route, onward))
    }

    /// Returns the channels that were idle for more than `idle_s` seconds.
    pub(super) fn idle_channels(&self, now_s: u64, idle_s: u64) -> Vec<Channel> {
        let routes = self.read();
        let idle = routes
            .iter()
            .filter(|(_, route)| route.meter.idle_s(now_s) > idle_s);
        idle.map(|(channel, _)| *channel).collect()
    }

    /// Returns whether the session was unused for more than `idle_s` seconds. `in_use` is true
    /// while it has lines or channels.
    pub(super) fn is_forgotten(&self, in_use: bool, now_s: u64, idle_s: u64) -> bool {
        if in_use || self.passed_on.load(Ordering::Relaxed) {
            self.used_s.store(now_s, Ordering::Relaxed);
        }
        now_s.saturating_sub(self.used_s.load(Ordering::Relaxed)) > idle_s
    }

    /// Checks the party's path. Returns the number of consecutive checks in which whole packets did
    /// not fit.
    pub(super) fn looks_too_small(&self) -> u32 {
        let before = self.too_small.load(Ordering::Relaxed);
        let looks = path::look(self.session.connection(), before);
        self.too_small.store(looks, Ordering::Relaxed);
        looks
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<Channel, Route>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the packet with the channel of the other end: the only copy that a relay makes.
fn relabelled(channel: Channel, packet: &[u8]) -> Bytes {
    let mut onward = BytesMut::with_capacity(HEADER_BYTES + packet.len());
    onward.extend_from_slice(&channel.0.to_be_bytes());
    onward.extend_from_slice(packet);
    onward.freeze()
}
