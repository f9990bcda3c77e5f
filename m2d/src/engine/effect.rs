//! The effects of a batch, performed once it is on disk.

use super::Engine;
use super::bus::{LiveEvent, StateChange};
use super::frames::kind_of;
use crate::network::Link;
use crate::reach::PunchRequest;
use crate::refusal::Refusal;
use m2_core::dial::Order;
use m2_crypto::PeerId;
use m2_delivery::Action;
use m2_net::session::CloseCode;
use m2_net::wire::Message;
use std::sync::Arc;

/// A job for the engine's thread.
pub(super) enum Job {
    /// A job that writes, run in a batch.
    Write(Write),
    /// A query.
    Read(Read),
}

/// A job for a batch. It is called without an engine if the store cannot be written; it then does
/// nothing except return its caller's reply.
pub(super) type Write = Box<dyn FnOnce(Option<&mut Engine>) -> Option<Reply> + Send>;

/// Reports the result to a caller: `Ok` once its batch is on disk.
pub(super) type Reply = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

/// Answers a query. It changes nothing, and runs after the batch whether or not that was committed,
/// so a failed write of another caller does not affect it.
pub(super) type Read = Box<dyn FnOnce(Result<&mut Engine, Refusal>) + Send>;

/// An effect to perform once its batch is on disk. Of a failed batch only replies, closes and what a
/// peer did wrong are performed.
pub(super) enum Effect {
    /// Answer a caller.
    Reply(Reply),
    /// Perform an action of the conversation with this contact row.
    Act(i64, Action),
    /// Send a frame on a session.
    Frame(Arc<Link>, Box<Message>),
    /// Close a session.
    Close(Arc<Link>, CloseCode),
    /// Count a misdeed of a session's peer.
    Misdeed(Arc<Link>, &'static str),
    /// Close a session whose peer broke the protocol.
    Violation(Arc<Link>, &'static str),
    /// Send an empty frame on a session, whose answer shows that the path works.
    Probe(Arc<Link>),
    /// Allow or forbid the search for a direct path next to a session.
    AllowPunch(Arc<Link>, bool),
    /// Give the dialer an order for a peer.
    Dial(PeerId, Order),
    /// Notify watchers of a message's state.
    State(StateChange),
    /// Wake the task that keeps sessions with providers.
    WakeCollectors,
    /// Wake the task that deposits letters.
    WakeDepositor,
    /// Wake the task that keeps sessions with relays, and the look-up tasks.
    WakeLines,
    /// Wake the look-up tasks.
    WakeLookup,
    /// Pass a request to the task that looks for direct paths.
    Meet(PunchRequest),
    /// Notify event streams of an entry of the log.
    Event(LiveEvent),
}

impl Engine {
    /// Counts a misdeed of a session's peer once the batch ends.
    pub(super) fn misdeed(&mut self, link: &Arc<Link>, reason: &'static str) {
        self.effects.push(Effect::Misdeed(link.clone(), reason));
    }

    /// Closes a session whose peer broke the protocol once the batch ends.
    pub(super) fn violation(&mut self, link: &Arc<Link>, reason: &'static str) {
        self.effects.push(Effect::Violation(link.clone(), reason));
    }

    pub(super) fn perform_effects(&mut self) {
        let has_erased = self.maintenance.take_changed();
        if has_erased {
            self.bus.forget_content();
        }
        let mut events = Vec::new();
        // Actions may add new effects. These belong to no batch and are performed after the next
        // one.
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Reply(reply) => reply(Ok(())),
                Effect::Act(row, action) => self.act(row, action),
                Effect::Frame(link, frame) => {
                    if let Message::Places(places) = frame.as_ref() {
                        link.note_stated(places.incarnation);
                    }
                    // Offers are sent again once the places are stated.
                    if link.stated() != 0 || !kind_of(&frame).is_talk() {
                        link.send(*frame);
                    }
                }
                Effect::Close(link, code) => link.close(code),
                Effect::Misdeed(link, reason) => link.count_misdeed(reason),
                Effect::Violation(link, reason) => link.close_for_violation(reason),
                Effect::Probe(link) => link.probe_path(),
                Effect::AllowPunch(link, true) => link.punch_state().allow(),
                Effect::AllowPunch(link, false) => link.punch_state().forbid(),
                Effect::Dial(peer, order) => self.dialer.tell(peer, order),
                Effect::State(change) => self.bus.state_changed(change),
                Effect::WakeCollectors => {
                    self.mail.wake.boxes.send_replace(());
                }
                Effect::WakeDepositor => self.mail.wake.letters.notify_one(),
                Effect::Meet(request) => self.hole_puncher.tell(request),
                Effect::WakeLookup => {
                    self.lookup_wake.send_replace(());
                }
                Effect::WakeLines => {
                    self.lines.wake.send_replace(());
                    // The set of allowed callers determines which presence records are published.
                    self.lookup_wake.send_replace(());
                }
                Effect::Event(mut event) => {
                    if has_erased {
                        event.forget_content();
                    }
                    events.push(event);
                }
            }
        }
        if !events.is_empty() {
            self.bus.publish(events);
        }
    }
}
