//! What happens after a batch is on disk.

use super::Engine;
use super::bus::{LiveEvent, StateChange};
use super::sessions::is_talk;
use crate::network::{Link, Order};
use crate::reach::Meeting;
use crate::refusal::Refusal;
use m2_crypto::PeerId;
use m2_net::delivery::Action;
use m2_net::session::CloseCode;
use m2_net::wire::Message;
use std::sync::Arc;

/// One thing to do on the engine's thread.
pub(super) enum Job {
    /// Something that is written in a batch.
    Write(Write),
    /// A question.
    Read(Read),
}

/// One thing to do in a batch. Without an engine the store can't be written: the job does nothing
/// but name the caller that must be told.
pub(super) type Write = Box<dyn FnOnce(Option<&mut Engine>) -> Option<Reply> + Send>;

/// Tells a caller how it went: `Ok` once its batch is on disk.
pub(super) type Reply = Box<dyn FnOnce(Result<(), Refusal>) + Send>;

/// Tells a caller what it asked for. It changes nothing, and runs when the batch is over, however
/// that ended: who only asks does not suffer from what others could not write.
pub(super) type Read = Box<dyn FnOnce(Result<&mut Engine, Refusal>) + Send>;

/// What a batch leaves to do once it is on disk. On a failed batch only replies are run.
pub(super) enum Effect {
    /// Answer a caller.
    Reply(Reply),
    /// Do what a conversation wants, for the contact with this row.
    Act(i64, Action),
    /// Send a frame on a session.
    Frame(Arc<Link>, Box<Message>),
    /// End a session.
    Close(Arc<Link>, CloseCode),
    /// Tell the dialer what is wanted of a peer.
    Dial(PeerId, Order),
    /// Tell watchers.
    State(StateChange),
    /// Tell the task that keeps sessions with our providers.
    WakeCollectors,
    /// Tell the task that deposits letters.
    WakeDepositor,
    /// Tell the task that keeps sessions with our relays.
    WakeLines,
    /// Tell the tasks of look-up.
    WakeLookup,
    /// Have the task that looks for direct paths do something.
    Meet(Meeting),
    /// Tell event streams of an entry of the log.
    Event(LiveEvent),
}

impl Engine {
    pub(super) fn perform_effects(&mut self) {
        let mut events = Vec::new();
        // Acting may leave new effects; they are of no batch and wait for the next one.
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::Reply(reply) => reply(Ok(())),
                Effect::Act(row, action) => self.act(row, action),
                Effect::Frame(link, frame) => {
                    if let Message::Places(places) = frame.as_ref() {
                        link.note_stated(places.incarnation);
                    }
                    // Offers are made again once the places are stated.
                    if link.stated() != 0 || !is_talk(&frame) {
                        link.send(*frame);
                    }
                }
                Effect::Close(link, code) => link.close(code),
                Effect::Dial(peer, order) => self.dialer.tell(peer, order),
                Effect::State(change) => self.bus.state_changed(change),
                Effect::WakeCollectors => {
                    self.mail.wake.boxes.send_replace(());
                }
                Effect::WakeDepositor => self.mail.wake.letters.notify_one(),
                Effect::Meet(meeting) => self.meetings.tell(meeting),
                Effect::WakeLookup => {
                    self.lookup_wake.send_replace(());
                }
                Effect::WakeLines => {
                    self.lines.wake.send_replace(());
                    // Who may call is who is published for.
                    self.lookup_wake.send_replace(());
                }
                Effect::Event(event) => events.push(event),
            }
        }
        if !events.is_empty() {
            self.bus.publish(events);
        }
    }
}
