//! The relay's side of lines (`docs/spec/line.md`): sessions of parties, and the channels between
//! them.
//!
//! Everything is in memory and forgotten with its session. A relay knows addresses and tokens; it
//! writes neither to any log.

mod extension;

use crate::limits::RelayLimits;
use crate::locks::{lock, now_ms};
use crate::meter::{CommonMeter, Meter};
use crate::party::{Party, Route};
use crate::pipe;
use crate::table::{Ended, Lost, PartyId, ProtocolViolation, Table};
use crate::totals::{Counts, Refused, RelayTotals};
use bytes::Bytes;
use extension::Extension;
use m2_crypto::address::NamedAddress;
use m2_crypto::line::{JoinToken, LineSecret};
use m2_limits::prefix::Prefix;
use m2_limits::prefix_limit::PrefixLimiter;
use m2_net::endpoint::Endpoint;
use m2_net::frame::FrameReceiver;
use m2_net::line::path;
use m2_net::session::{CloseCode, Session};
use m2_net::wire::Message;
use m2_net::wire::line::{Channel, JoinOutcome, Line, RelayMessage, Request};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// The interval of the sweep for idle sessions and channels, and for sessions with a path that is
/// too small.
const SWEEP: Duration = path::LOOK;
/// Joins of lines that do not exist after which a party's session is closed: it is guessing tokens.
const MISSES: u32 = 64;

/// A relay.
pub struct Relay {
    pub(super) limits: RelayLimits,
    /// The endpoint that dials other relays.
    pub(super) endpoint: Weak<Endpoint>,
    table: Mutex<Table>,
    parties: Mutex<HashMap<PartyId, Arc<Party>>>,
    /// The rate limit of all lines together.
    meter: CommonMeter,
    pub(super) targets: Mutex<PrefixLimiter>,
    counts: Counts,
    since: Instant,
}

/// The outcome of a party's frame loop.
enum Talk {
    /// The session has ended.
    Over,
    /// The session must be forwarded to another relay.
    Extended(Box<Session>),
}

impl Relay {
    /// Creates a relay that dials other relays from `endpoint`.
    pub fn new(limits: RelayLimits, endpoint: &Arc<Endpoint>) -> Arc<Self> {
        let since = Instant::now();
        Arc::new(Self {
            table: Mutex::new(Table::new(&limits)),
            parties: Mutex::default(),
            meter: CommonMeter::new(limits.bytes_per_second, 0),
            targets: Mutex::new(PrefixLimiter::new(1, 1, 0)),
            counts: Counts::default(),
            endpoint: Arc::downgrade(endpoint),
            since,
            limits,
        })
    }

    /// Serves a party's session until it ends.
    pub async fn serve(self: &Arc<Self>, session: Session) {
        let (handle, sender, mut receiver) = session.split();
        let prefix = Prefix::of(handle.remote_address().ip());
        let admitted = lock(&self.table).admit(prefix);
        let Some((id, lost)) = admitted else {
            self.counts.refused(Refused::Sessions);
            handle.close(CloseCode::Unavailable);
            return;
        };
        let party = Arc::new(Party::new(id, handle, sender, self.now_ms()));
        lock(&self.parties).insert(id, Arc::clone(&party));
        self.tell_lost(&lost);
        let talk = tokio::select! {
            talk = self.talk(&party, &mut receiver) => talk,
            () = self.pass_datagrams(&party) => Talk::Over,
        };
        if let Talk::Extended(next) = talk {
            self.counts.extended();
            party.is_passed_on();
            let passing = pipe::Passing {
                all: &self.meter,
                counts: &self.counts,
                per_second: self.limits.splice_bytes_per_second,
                since: self.since,
            };
            passing.run(&party, receiver, *next).await;
            self.counts.extension_ended();
        }
        party.session.close(CloseCode::Done);
        lock(&self.parties).remove(&id);
        let ended = lock(&self.table).remove(id);
        self.tell_ended(&ended);
    }

    /// Ends idle sessions and channels, and sessions whose path is too small. Runs until the relay
    /// is dropped.
    pub async fn run_maintenance(self: Arc<Self>) {
        let relay = Arc::downgrade(&self);
        drop(self);
        let mut tick = tokio::time::interval(SWEEP);
        loop {
            tick.tick().await;
            match relay.upgrade() {
                Some(relay) => relay.sweep(),
                None => return,
            }
        }
    }

    /// Returns the relay's activity, in totals without names or addresses.
    pub fn totals(&self) -> RelayTotals {
        self.counts.totals(&lock(&self.table))
    }

    /// Handles a party's frames until its session ends or must be forwarded.
    async fn talk(self: &Arc<Self>, party: &Arc<Party>, frames: &mut FrameReceiver) -> Talk {
        let mut misses = 0;
        loop {
            let line = match frames.recv().await {
                Ok(Message::Line(line)) => *line,
                Ok(_) => return self.send_away(party),
                Err(_) => return Talk::Over,
            };
            let taken = match line {
                Line::Request(Request::Extend(extend)) if !party.has_asked() => {
                    match self.extend(&extend).await {
                        Extension::Reached(session) => {
                            if party.tell(Line::RelayMessage(RelayMessage::Extended(true))) {
                                return Talk::Extended(session);
                            }
                            return Talk::Over;
                        }
                        Extension::Failed => {
                            self.counts.refused(Refused::NotExtended);
                            Ok(party.tell(Line::RelayMessage(RelayMessage::Extended(false))))
                        }
                    }
                }
                Line::Request(request) => {
                    party.asks();
                    self.take(party, request, &mut misses)
                }
                Line::Leave(channel) => {
                    let ended = lock(&self.table).leave(party.id, channel);
                    self.tell_ended(ended.as_slice());
                    party.drop_route(channel);
                    Ok(true)
                }
                Line::RelayMessage(_) | Line::Offer(_) => Err(ProtocolViolation),
            };
            match taken {
                Ok(true) if misses <= MISSES => {}
                Ok(true) | Err(ProtocolViolation) => return self.send_away(party),
                // The party does not read its frames.
                Ok(false) => return Talk::Over,
            }
        }
    }

    /// Handles a request. Returns whether the answer could be queued.
    fn take(
        self: &Arc<Self>,
        party: &Arc<Party>,
        request: Request,
        misses: &mut u32,
    ) -> Result<bool, ProtocolViolation> {
        match request {
            Request::Open(secrets) => {
                let tokens = secrets.iter().map(LineSecret::join_token);
                let (count, lost) = lock(&self.table).open(party.id, tokens);
                self.tell_lost(&lost);
                let refused = secrets.len().saturating_sub(count as usize);
                self.counts.refused_times(Refused::Lines, refused);
                Ok(party.tell(Line::RelayMessage(RelayMessage::Opened(count))))
            }
            Request::Observe => {
                let address = NamedAddress::new(party.session.remote_address());
                Ok(party.tell(Line::RelayMessage(RelayMessage::Observed(address))))
            }
            Request::Close(tokens) => {
                lock(&self.table).close(party.id, &tokens);
                Ok(true)
            }
            Request::Join(channel, token) => {
                let outcome = if party.may_call(self.now_ms()) {
                    self.join(party, channel, token)?
                } else {
                    JoinOutcome::Full
                };
                if outcome == JoinOutcome::NoLine {
                    *misses += 1;
                }
                self.counts.joined(outcome);
                Ok(party.tell(Line::RelayMessage(RelayMessage::Joined(channel, outcome))))
            }
            Request::Extend(_) => Err(ProtocolViolation),
        }
    }

    fn join(
        &self,
        party: &Arc<Party>,
        channel: Channel,
        token: JoinToken,
    ) -> Result<JoinOutcome, ProtocolViolation> {
        let joined = lock(&self.table).join(party.id, channel, &token)?;
        Ok(match joined {
            Ok((listener, theirs, lost)) => {
                self.tell_lost(&lost);
                self.splice(party, channel, (listener, theirs), token);
                JoinOutcome::Joined
            }
            Err(outcome) => outcome,
        })
    }

    fn splice(
        &self,
        caller: &Arc<Party>,
        channel: Channel,
        (listener, theirs): (PartyId, Channel),
        token: JoinToken,
    ) {
        let Some(listener) = lock(&self.parties).get(&listener).cloned() else {
            return;
        };
        let meter = Meter::new(self.limits.splice_bytes_per_second, self.now_ms());
        let meter = Arc::new(meter);
        meter.used(self.now_s());
        caller.add_route(channel, Route::new(&listener, theirs, &meter));
        listener.add_route(theirs, Route::new(caller, channel, &meter));
        if !listener.tell(Line::RelayMessage(RelayMessage::Called(theirs, token))) {
            listener.session.close(CloseCode::Misbehaved);
        }
    }

    async fn pass_datagrams(&self, party: &Arc<Party>) {
        let connection = party.session.connection().clone();
        while let Ok(datagram) = connection.read_datagram().await {
            self.pass(party, &datagram);
            // A party that sends without pause must not starve the others.
            tokio::task::consume_budget().await;
        }
    }

    /// Forwards one packet. A packet that can't be forwarded is lost, as on any path.
    fn pass(&self, party: &Party, datagram: &Bytes) {
        let now_ms = self.now_ms();
        let length = datagram.len() as u64;
        let passed = party.route(datagram).is_some_and(|(route, onward)| {
            route.meter.used(now_ms / 1_000);
            route.meter.allow(length, now_ms)
                && self.meter.allow(party.prefix, length, now_ms)
                && path::send(&route.to, onward).is_ok()
        });
        self.counts.passed(passed, length);
    }

    fn send_away(&self, party: &Party) -> Talk {
        self.counts.refused(Refused::ProtocolViolation);
        party.session.close(CloseCode::Misbehaved);
        Talk::Over
    }

    /// Ends the sessions and channels that were evicted.
    fn tell_lost(&self, lost: &Lost) {
        for id in &lost.parties {
            self.counts.refused(Refused::SessionTaken);
            let party = lock(&self.parties).get(id).cloned();
            if let Some(party) = party {
                party.session.close(CloseCode::Unavailable);
            }
        }
        let cut = lost.channels.len().div_ceil(2);
        if lost.parties.is_empty() {
            self.counts.refused_times(Refused::ChannelTaken, cut);
        }
        self.tell_ended(&lost.channels);
    }

    fn tell_ended(&self, ended: &[Ended]) {
        for Ended { party, channel } in ended {
            let other = lock(&self.parties).get(party).cloned();
            if let Some(other) = other {
                other.drop_route(*channel);
                if !other.tell(Line::Leave(*channel)) {
                    other.session.close(CloseCode::Misbehaved);
                }
            }
        }
    }

    fn sweep(&self) {
        let now_s = self.now_s();
        let idle_s = self.limits.idle.as_secs();
        let parties: Vec<_> = lock(&self.parties).values().cloned().collect();
        for party in parties {
            for channel in party.idle_channels(now_s, idle_s) {
                let ended = lock(&self.table).leave(party.id, channel);
                party.drop_route(channel);
                party.tell(Line::Leave(channel));
                self.tell_ended(ended.as_slice());
            }
            let in_use = lock(&self.table).is_in_use(party.id);
            let unusable = party.looks_too_small() >= path::RELAY_LOOKS;
            if unusable || party.is_forgotten(in_use, now_s, idle_s) {
                party.session.close(CloseCode::Done);
            }
        }
    }

    /// Milliseconds since the relay started.
    pub(super) fn now_ms(&self) -> u64 {
        now_ms(self.since)
    }

    fn now_s(&self) -> u64 {
        self.since.elapsed().as_secs()
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay(..)")
    }
}
