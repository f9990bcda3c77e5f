//! Notifies streams of committed changes.

use m2_store::{EventRow, MessageState};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{broadcast, watch};

/// State changes that a slow watcher may lag behind before it must read the state again.
const STATE_BACKLOG: usize = 4_096;

/// A message's new delivery state.
#[derive(Debug, Clone, Copy)]
pub struct StateChange {
    /// The message's id.
    pub id: [u8; 16],
    /// The new state.
    pub state: MessageState,
    /// The number of the failure, or 0.
    pub failure: i64,
}

/// Events kept in memory for streams, and the bytes of their messages. Older ones are read from the
/// store.
const LIVE_EVENTS: usize = 1_024;
const LIVE_BYTES: usize = 4 << 20;
/// The bytes of messages after which no more events are returned at once.
const PAGE_BYTES: usize = 1 << 20;
/// The size of an event in bytes, not counting its message.
const EVENT_BYTES: usize = 256;

/// A committed entry of the event log, for streams that have read up to it.
#[derive(Debug, Clone)]
pub(super) enum LiveEvent {
    /// An event that is complete without the store.
    Whole(Box<EventRow>),
    /// The number of an event that must be read from the store.
    Stored(i64),
}

impl LiveEvent {
    fn seq(&self) -> i64 {
        match self {
            Self::Whole(row) => row.seq,
            Self::Stored(seq) => *seq,
        }
    }

    /// Returns the bytes that the event takes in memory.
    fn bytes(&self) -> usize {
        let message = match self {
            Self::Whole(row) => row.message.as_ref(),
            Self::Stored(_) => None,
        };
        let content = message.and_then(|message| message.content.as_ref());
        EVENT_BYTES + content.map_or(0, Vec::len)
    }

    /// Removes an event's message, which is read from the store from now on.
    pub(super) fn forget_content(&mut self) {
        if let Self::Whole(row) = self
            && row.message.is_some()
        {
            *self = Self::Stored(row.seq);
        }
    }
}

/// The newest events, oldest first.
#[derive(Debug, Default)]
struct Live {
    events: VecDeque<LiveEvent>,
    bytes: usize,
}

impl Live {
    fn push(&mut self, event: LiveEvent) {
        self.bytes += event.bytes();
        self.events.push_back(event);
        while self.events.len() > LIVE_EVENTS || self.bytes > LIVE_BYTES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= oldest.bytes();
        }
    }

    fn forget_content(&mut self) {
        self.events.iter_mut().for_each(LiveEvent::forget_content);
        self.bytes = self.events.len() * EVENT_BYTES;
    }
}

/// Announces committed changes. It holds the newest messages for as long as a stream follows them;
/// whatever is older, or may have been erased since, is read from the store.
#[derive(Debug)]
pub struct Bus {
    newest_event: watch::Sender<i64>,
    live: Mutex<Live>,
    states: broadcast::Sender<StateChange>,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            newest_event: watch::Sender::new(0),
            live: Mutex::default(),
            states: broadcast::Sender::new(STATE_BACKLOG),
        }
    }
}

impl Bus {
    /// Follows the number of the newest committed event. While at least one stream follows, the
    /// newest messages are kept in memory.
    pub fn follow(self: &Arc<Self>) -> Follower {
        Follower {
            newest: Some(self.newest_event()),
            bus: Arc::clone(self),
        }
    }

    /// Subscribes to the number of the newest committed event.
    pub fn newest_event(&self) -> watch::Receiver<i64> {
        self.newest_event.subscribe()
    }

    /// Returns the events that directly follow number `after`, up to the first that is not in
    /// memory.
    pub fn live_after(&self, after: i64) -> Vec<EventRow> {
        let live = self.live();
        let first = live.events.partition_point(|event| event.seq() <= after);
        let (mut next, mut room) = (after, PAGE_BYTES);
        let follow = live.events.iter().skip(first);
        let follow = follow.map_while(|event| match event {
            LiveEvent::Whole(row) if row.seq == next + 1 && room > 0 => {
                next = row.seq;
                room = room.saturating_sub(event.bytes());
                Some(EventRow::clone(row))
            }
            _ => None,
        });
        follow.collect()
    }

    /// Subscribes to committed state changes.
    pub fn states(&self) -> broadcast::Receiver<StateChange> {
        self.states.subscribe()
    }

    pub(super) fn set_newest_event(&self, seq: i64) {
        self.newest_event.send_replace(seq);
    }

    /// Announces committed events, in order.
    pub(super) fn publish(&self, mut events: Vec<LiveEvent>) {
        if !self.has_streams() {
            events.iter_mut().for_each(LiveEvent::forget_content);
        }
        let Some(newest) = events.last().map(LiveEvent::seq) else {
            return;
        };
        let mut live = self.live();
        events.into_iter().for_each(|event| live.push(event));
        drop(live);
        self.set_newest_event(newest);
    }

    /// Returns whether a stream follows events. Without one no message is kept in memory.
    pub(super) fn has_streams(&self) -> bool {
        self.newest_event.receiver_count() > 0
    }

    /// Forgets the messages in memory, because one of them may have been erased or replaced.
    pub(super) fn forget_content(&self) {
        self.live().forget_content();
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state_changed(&self, change: StateChange) {
        // The channel has no receiver while no stream watches.
        let _ = self.states.send(change);
    }
}

/// A stream that follows events. When the last one ends, the messages in memory are forgotten.
#[derive(Debug)]
pub struct Follower {
    /// Present until the follower is dropped.
    newest: Option<watch::Receiver<i64>>,
    bus: Arc<Bus>,
}

impl Follower {
    /// Marks the newest number as seen.
    pub fn mark_seen(&mut self) {
        if let Some(newest) = &mut self.newest {
            newest.mark_unchanged();
        }
    }

    /// Waits until there are newer events than those seen. Returns false when the daemon ends.
    pub async fn changed(&mut self) -> bool {
        match &mut self.newest {
            Some(newest) => newest.changed().await.is_ok(),
            None => false,
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.newest = None;
        if !self.bus.has_streams() {
            self.bus.forget_content();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::PeerId;
    use m2_store::{EventKind, Gone, ShownMessage};

    const PEER: PeerId = PeerId::from_bytes([1; 32]);

    fn message(seq: i64, length: usize) -> LiveEvent {
        LiveEvent::Whole(Box::new(EventRow {
            seq,
            time_ms: 0,
            kind: EventKind::MessageReceived,
            peer_id: PEER,
            name: String::new(),
            suggested_name: String::new(),
            detail: 0,
            message_id: Some([2; 16]),
            message: Some(ShownMessage {
                row: seq,
                id: [2; 16],
                peer_id: PEER,
                own: false,
                state: MessageState::Delivered,
                failure: 0,
                author_ms: 0,
                stored_ms: 0,
                media_type: String::new(),
                content: Some(vec![7; length]),
                edited: false,
                gone: Gone::No,
                expires_ms: None,
            }),
        }))
    }

    fn followed() -> (Arc<Bus>, Follower) {
        let bus = Arc::new(Bus::default());
        let stream = bus.follow();
        (bus, stream)
    }

    fn numbers(bus: &Bus, after: i64) -> Vec<i64> {
        bus.live_after(after).iter().map(|row| row.seq).collect()
    }

    #[test]
    fn events_follow_from_memory_up_to_the_first_that_is_not_there() {
        let (bus, _stream) = followed();
        bus.publish(vec![message(1, 10), LiveEvent::Stored(2), message(3, 10)]);
        assert_eq!(numbers(&bus, 0), [1]);
        assert!(numbers(&bus, 1).is_empty());
        assert_eq!(numbers(&bus, 2), [3]);
        assert_eq!(*bus.newest_event().borrow(), 3);
    }

    #[test]
    fn memory_and_pages_are_bounded_in_bytes() {
        let (bus, _stream) = followed();
        for seq in 1..=500 {
            bus.publish(vec![message(seq, 48 << 10)]);
        }
        let live = bus.live();
        assert!(live.bytes <= LIVE_BYTES);
        let bytes: usize = live.events.iter().map(LiveEvent::bytes).sum();
        assert_eq!(live.bytes, bytes);
        let first = live.events[0].seq();
        drop(live);
        assert!((400..500).contains(&first), "{first}");
        let page = numbers(&bus, first);
        assert!(page.len() * (48 << 10) <= PAGE_BYTES + (48 << 10));
        assert!(numbers(&bus, 0).is_empty(), "the first is not in memory");
    }

    #[test]
    fn an_erased_message_is_in_no_memory() {
        let (bus, _stream) = followed();
        bus.publish(vec![message(1, 10), message(2, 10)]);
        bus.forget_content();
        assert!(numbers(&bus, 0).is_empty());
        bus.publish(vec![message(3, 10)]);
        assert_eq!(numbers(&bus, 2), [3]);
    }

    #[test]
    fn messages_are_kept_only_for_streams() {
        let bus = Arc::new(Bus::default());
        assert!(!bus.has_streams());
        let streams = [bus.follow(), bus.follow()];
        bus.publish(vec![message(1, 10)]);
        let [one, other] = streams;
        drop(one);
        assert_eq!(numbers(&bus, 0), [1]);
        drop(other);
        assert!(numbers(&bus, 0).is_empty());
    }
}
