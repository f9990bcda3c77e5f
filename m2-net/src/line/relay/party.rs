//! One party of a relay: its session, and where its channels lead.

use super::meter::Meter;
use super::table::PartyId;
use crate::frame::FrameSender;
use crate::line::{HEADER_BYTES, path};
use crate::prefix::Prefix;
use crate::session::SessionHandle;
use crate::token_bucket::{Rate, TokenBucket};
use crate::wire::Message;
use crate::wire::line::{Channel, Line};
use bytes::{Bytes, BytesMut};
use quinn::Connection;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

/// Calls on lines that a session may make in a second.
const CALLS_A_SECOND: u64 = 32;

/// A party.
pub(super) struct Party {
    pub(super) id: PartyId,
    /// From where it comes: its packets count for this prefix.
    pub(super) prefix: Prefix,
    pub(super) session: SessionHandle,
    sender: FrameSender,
    routes: RwLock<HashMap<Channel, Route>>,
    asked: AtomicBool,
    passed_on: AtomicBool,
    /// The second at which it was last seen to listen or to talk.
    used_s: AtomicU64,
    calls: Mutex<TokenBucket>,
    /// Looks in a row at which whole packets did not fit through its path.
    too_small: AtomicU32,
}

/// Where a channel leads.
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

    /// Whether it asked for something already: then its session can't be extended any more.
    pub(super) fn has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn asks(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Its session is one with another relay now, which knows what it is used for.
    pub(super) fn is_passed_on(&self) {
        self.passed_on.store(true, Ordering::Relaxed);
    }

    /// Whether it may call on a line now. A party that joins and leaves without end would drown the
    /// listener in news.
    pub(super) fn may_call(&self, now_ms: u64) -> bool {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.take(1, now_ms)
    }

    /// Tells the party something. Fails if it does not read what it is told.
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

    /// Where a datagram goes, and as what.
    pub(super) fn route(&self, datagram: &Bytes) -> Option<(Route, Bytes)> {
        let (channel, packet) = crate::line::parse(datagram)?;
        let route = self.read().get(&channel)?.clone();
        let onward = relabelled(route.channel, packet);
        Some((route, onward))
    }

    /// Channels that nobody used for `idle_s` seconds.
    pub(super) fn idle_channels(&self, now_s: u64, idle_s: u64) -> Vec<Channel> {
        let routes = self.read();
        let idle = routes
            .iter()
            .filter(|(_, route)| route.meter.idle_s(now_s) > idle_s);
        idle.map(|(channel, _)| *channel).collect()
    }

    /// Whether it did nothing for `idle_s` seconds and holds nothing.
    pub(super) fn is_forgotten(&self, in_use: bool, now_s: u64, idle_s: u64) -> bool {
        if in_use || self.passed_on.load(Ordering::Relaxed) {
            self.used_s.store(now_s, Ordering::Relaxed);
        }
        now_s.saturating_sub(self.used_s.load(Ordering::Relaxed)) > idle_s
    }

    /// Looks at its path. At how many looks in a row whole packets did not fit.
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

/// The packet for the other end: the one copy that a relay makes.
fn relabelled(channel: Channel, packet: &[u8]) -> Bytes {
    let mut onward = BytesMut::with_capacity(HEADER_BYTES + packet.len());
    onward.extend_from_slice(&channel.0.to_be_bytes());
    onward.extend_from_slice(packet);
    onward.freeze()
}
