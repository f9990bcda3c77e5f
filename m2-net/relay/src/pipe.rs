//! Forwards a session to another relay: frames and datagrams pass through unchanged.

use crate::locks::now_ms;
use crate::meter::{CommonMeter, Meter};
use crate::party::Party;
use crate::totals::Counts;
use m2_net::frame::{FrameReceiver, FrameSender};
use m2_net::line::path;
use m2_net::session::{CloseCode, Session};
use m2_net::wire::Message;
use m2_net::wire::line::{Line, MAX_HOPS, Request};
use quinn::Connection;
use std::time::Instant;

/// The limits and counters of a forwarded session.
pub(super) struct Passing<'a> {
    pub(super) all: &'a CommonMeter,
    pub(super) counts: &'a Counts,
    /// Bytes per second of this session.
    pub(super) per_second: u64,
    /// When the relay started.
    pub(super) since: Instant,
}

impl Passing<'_> {
    /// Forwards everything until one end is gone, or until packets do not fit through the path
    /// between the relays.
    pub(super) async fn run(self, party: &Party, mut from_party: FrameReceiver, next: Session) {
        let (onward, to_next, mut from_next) = next.split();
        let meter = Meter::new(self.per_second, now_ms(self.since));
        let (near, far) = (party.session.connection(), onward.connection());
        tokio::select! {
            () = pass_requests(&mut from_party, &to_next) => {}
            () = pass_answers(&mut from_next, party) => {}
            () = self.pass_datagrams(near, far, party, &meter) => {}
            () = self.pass_datagrams(far, near, party, &meter) => {}
            () = path::too_small(far, path::RELAY_LOOKS) => {}
        }
        onward.close(CloseCode::Done);
    }

    /// Forwards datagrams in one direction. Both directions count towards the party's limits.
    async fn pass_datagrams(
        &self,
        from: &Connection,
        to: &Connection,
        party: &Party,
        meter: &Meter,
    ) {
        while let Ok(datagram) = from.read_datagram().await {
            let (now_ms, length) = (now_ms(self.since), datagram.len() as u64);
            // A packet that can't be forwarded is lost, as on any path.
            let passed = meter.allow(length, now_ms)
                && self.all.allow(party.prefix, length, now_ms)
                && path::send(to, datagram).is_ok();
            self.counts.passed(passed, length);
            tokio::task::consume_budget().await;
        }
    }
}

async fn pass_requests(from: &mut FrameReceiver, to: &FrameSender) {
    while let Ok(Message::Line(line)) = from.recv().await {
        let line = match *line {
            Line::Request(Request::Extend(mut extend)) => {
                extend.hops = extend.hops.saturating_add(1);
                if extend.hops > MAX_HOPS {
                    return;
                }
                Line::Request(Request::Extend(extend))
            }
            line @ (Line::Request(_) | Line::Leave(_)) => line,
            Line::RelayMessage(_) | Line::Offer(_) => return,
        };
        if to.send(Message::Line(Box::new(line))).await.is_err() {
            return;
        }
    }
}

async fn pass_answers(from: &mut FrameReceiver, party: &Party) {
    while let Ok(Message::Line(line)) = from.recv().await {
        let passes = matches!(*line, Line::RelayMessage(_) | Line::Leave(_));
        if !passes || !party.tell(*line) {
            return;
        }
    }
}
