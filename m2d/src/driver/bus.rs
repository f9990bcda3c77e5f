//! Notifies streams of committed changes.

use m2_engine::{ContactNotice, LiveEvent};
use m2_store::{EventKind, EventRow};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{broadcast, watch};

/// Events kept in memory for streams, and the bytes of their messages. Older ones are read from the
/// store.
const LIVE_EVENTS: usize = 1_024;
const LIVE_BYTES: usize = 4 << 20;
/// The bytes of messages after which no more events are returned at once.
const PAGE_BYTES: usize = 1 << 20;
/// The number of notices that wait for a stream. A stream that is slower misses the oldest.
const NOTICES: usize = 64;
/// The size of an event in bytes, not counting its message.
const EVENT_BYTES: usize = 256;

/// Returns the bytes that an event takes in memory.
fn bytes(event: &LiveEvent) -> usize {
    let message = match event {
        LiveEvent::Whole(row) => row.message.as_ref(),
        LiveEvent::Stored(_) => None,
    };
    let content = message.and_then(|message| message.content.as_ref());
    EVENT_BYTES + content.map_or(0, Vec::len)
}

/// A contact's notice.
#[derive(Debug, Clone)]
pub struct LiveNotice {
    /// The notice.
    pub notice: ContactNotice,
    /// When it arrived.
    pub at: Instant,
    /// The number of the newest event before it.
    pub after: i64,
}

/// The newest events, oldest first.
#[derive(Debug, Default)]
struct Live {
    events: VecDeque<LiveEvent>,
    bytes: usize,
}

impl Live {
    fn push(&mut self, event: LiveEvent) {
        self.bytes += bytes(&event);
        self.events.push_back(event);
        while self.events.len() > LIVE_EVENTS || self.bytes > LIVE_BYTES {
            let Some(oldest) = self.events.pop_front() else {
                break;
            };
            self.bytes -= bytes(&oldest);
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
    notices: broadcast::Sender<LiveNotice>,
    /// Changes when the events of a shared client name do.
    shared: watch::Sender<()>,
    /// The number of streams that follow events.
    streams: AtomicUsize,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            newest_event: watch::Sender::new(0),
            live: Mutex::default(),
            notices: broadcast::Sender::new(NOTICES),
            shared: watch::Sender::new(()),
            streams: AtomicUsize::new(0),
        }
    }
}

impl Bus {
    /// Follows the number of the newest committed event. While at least one stream follows, the
    /// newest messages are kept in memory.
    pub fn follow(self: &Arc<Self>) -> Follower {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Follower {
            newest: self.newest_event(),
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
                room = room.saturating_sub(bytes(event));
                Some(EventRow::clone(row))
            }
            _ => None,
        });
        follow.collect()
    }

    /// Returns the states of a message, as details of its events, in the committed events after
    /// number `after`, and the number of the newest of these events. `None` if some of them are not
    /// in memory any more: the message must be read from the store.
    pub fn states_after(&self, after: i64, id: &[u8; 16]) -> Option<(Vec<i64>, i64)> {
        let live = self.live();
        let first = live.events.partition_point(|event| event.seq() <= after);
        let follow = live.events.iter().skip(first);
        let oldest = follow.clone().next().map_or(after + 1, LiveEvent::seq);
        if oldest != after + 1 {
            return None;
        }
        let newest = live.events.back().map_or(after, LiveEvent::seq);
        let states = follow.filter_map(|event| match event {
            LiveEvent::Whole(row)
                if row.kind == EventKind::MessageState && row.message_id.as_ref() == Some(id) =>
            {
                Some(row.detail)
            }
            _ => None,
        });
        Some((states.collect(), newest.max(after)))
    }

    /// Sets the number of the newest committed event.
    pub fn set_newest_event(&self, seq: i64) {
        self.newest_event.send_replace(seq);
    }

    /// Subscribes to the notices of contacts.
    pub fn notices(&self) -> broadcast::Receiver<LiveNotice> {
        self.notices.subscribe()
    }

    /// Subscribes to changes of the events of shared client names.
    pub fn shared(&self) -> watch::Receiver<()> {
        self.shared.subscribe()
    }

    /// Wakes the workers that share client names.
    pub(crate) fn shared_changed(&self) {
        self.shared.send_replace(());
    }

    /// Passes a contact's notice to the streams that are subscribed to notices. `unpublished` are the events
    /// before it that were not published yet.
    pub(crate) fn notify(&self, notice: ContactNotice, unpublished: &[LiveEvent]) {
        let newest = unpublished.last().map(LiveEvent::seq);
        // Without a subscriber it is dropped.
        let _ = self.notices.send(LiveNotice {
            notice,
            at: Instant::now(),
            after: newest.unwrap_or_else(|| *self.newest_event.borrow()),
        });
    }

    /// Announces committed events, in order.
    pub(crate) fn publish(&self, mut events: Vec<LiveEvent>) {
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
    pub(crate) fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    /// Forgets the messages in memory, because one of them may have been erased or replaced.
    pub(crate) fn forget_content(&self) {
        self.live().forget_content();
    }

    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that follows events. When the last one ends, the messages in memory are forgotten.
#[derive(Debug)]
pub struct Follower {
    newest: watch::Receiver<i64>,
    bus: Arc<Bus>,
}

impl Follower {
    /// Marks the newest number as seen.
    pub fn mark_seen(&mut self) {
        self.newest.mark_unchanged();
    }

    /// Waits until there are newer events than those seen. Returns false when the daemon ends.
    pub async fn changed(&mut self) -> bool {
        self.newest.changed().await.is_ok()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        if self.bus.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.bus.forget_content();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::PeerId;
    use m2_store::{EventKind, Gone, MessageRowId, MessageState, ShownMessage};

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
                row: MessageRowId::new(seq),
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
                reply_to: None,
                thread: None,
                reactions: Default::default(),
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
        let total: usize = live.events.iter().map(bytes).sum();
        assert_eq!(live.bytes, total);
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

    fn state(seq: i64, id: u8, detail: i64) -> LiveEvent {
        let LiveEvent::Whole(mut row) = message(seq, 0) else {
            panic!("it is whole");
        };
        row.kind = EventKind::MessageState;
        row.message_id = Some([id; 16]);
        row.message = None;
        row.detail = detail;
        LiveEvent::Whole(row)
    }

    #[test]
    fn a_watcher_learns_each_state_of_its_message_without_a_stream() {
        let bus = Bus::default();
        assert_eq!(bus.states_after(0, &[7; 16]), Some((vec![], 0)));
        bus.publish(vec![
            state(1, 7, 2),
            message(2, 10),
            state(3, 8, 2),
            state(4, 7, 3),
        ]);
        assert_eq!(bus.states_after(0, &[7; 16]), Some((vec![2, 3], 4)));
        assert_eq!(bus.states_after(1, &[7; 16]), Some((vec![3], 4)));
        assert_eq!(bus.states_after(4, &[7; 16]), Some((vec![], 4)));
        // What has left the memory must be read.
        for seq in 5..=5 + i64::try_from(LIVE_EVENTS).unwrap() {
            bus.publish(vec![state(seq, 9, 2)]);
        }
        assert_eq!(bus.states_after(4, &[7; 16]), None);
    }
}
