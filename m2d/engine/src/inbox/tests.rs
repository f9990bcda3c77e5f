use super::*;
use crate::testing::engine;
use crate::{Engine, relations};
use m2_core::ContactState;
use m2_delivery::Time;
use m2_store::{ContactRowId, MessageRowId};

const BOB: PeerId = PeerId::from_bytes([1; 32]);
const CAROL: PeerId = PeerId::from_bytes([2; 32]);
const FIRST: MessageId = MessageId([1; 16]);
const HASH: ContentHash = ContentHash([9; 32]);

/// An engine with two contacts.
struct Scene {
    _dir: tempfile::TempDir,
    engine: Engine,
    bob: ContactRowId,
    carol: ContactRowId,
}

impl Scene {
    fn new() -> Self {
        let (dir, mut engine) = engine();
        let [bob, carol] = [BOB, CAROL].map(|peer| {
            relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap()
        });
        Self {
            _dir: dir,
            engine,
            bob,
            carol,
        }
    }

    /// Takes a message with this body from a contact.
    fn take(&mut self, from: ContactRowId, id: MessageId, body: Body) {
        self.take_with(from, id, body, self.engine.state.batch.now_ms(), 0);
    }

    fn take_with(
        &mut self,
        from: ContactRowId,
        id: MessageId,
        body: Body,
        sent_ms: u64,
        ttl_s: u32,
    ) {
        let payload = Payload {
            sequence: 1,
            sent: Time(sent_ms),
            ttl_s,
            body,
            as_sent: None,
        };
        let arrival = Arrival::new(from, id, 7, HASH);
        on_message(&mut self.engine.state, arrival, payload).unwrap();
    }

    fn head(&self, id: MessageId) -> MessageHead {
        self.engine
            .state
            .batch
            .store
            .message_head(&id.0)
            .unwrap()
            .unwrap()
    }

    fn strangers_to(&self) -> u64 {
        let counts = self.engine.state.batch.counters.snapshot();
        counts.get("MESSAGE_NOT_THEIRS").copied().unwrap_or(0)
    }

    /// Returns the kinds of the events since the last call.
    fn events(&mut self) -> Vec<EventKind> {
        let steps = std::mem::take(&mut self.engine.state.batch.steps).into_iter();
        let newest = steps.filter_map(|step| match step {
            crate::effect::Step::Effect(Effect::Event(event)) => Some(event.seq()),
            _ => None,
        });
        let numbers: Vec<i64> = newest.collect();
        let file = m2_store::StoreFile::new(self._dir.path(), m2_crypto::Secret::new([7; 32]));
        let reader = file.open_reader().unwrap();
        let all = m2_store::PageSize {
            rows: 100,
            bytes: u64::MAX,
        };
        let events = reader.events(0, all).unwrap().into_iter();
        let wanted = events.filter(|event| numbers.contains(&event.seq));
        wanted.map(|event| event.kind).collect()
    }
}

fn text(text: &str) -> Content {
    Content::new("", text.as_bytes().to_vec()).unwrap()
}

#[test]
fn a_message_is_shown_and_told() {
    let mut scene = Scene::new();
    scene.take(scene.bob, FIRST, Body::Content(text("hello")));
    let head = scene.head(FIRST);
    assert!(!head.own && !head.gone && head.contact == scene.bob);
    assert_eq!(scene.events(), [EventKind::MessageReceived]);
}

#[test]
fn only_its_author_edits_and_retracts_a_message() {
    let mut scene = Scene::new();
    scene.take(scene.bob, FIRST, Body::Content(text("hello")));
    scene.events();
    let edit = || Body::Edit {
        target: FIRST,
        content: text("changed"),
    };
    scene.take(scene.carol, MessageId([2; 16]), edit());
    scene.take(
        scene.carol,
        MessageId([3; 16]),
        Body::Retract { target: FIRST },
    );
    assert_eq!((scene.strangers_to(), scene.events().len()), (2, 0));
    assert!(!scene.head(FIRST).gone);
    scene.take(scene.bob, MessageId([4; 16]), edit());
    assert_eq!(scene.events(), [EventKind::MessageEdited]);
    scene.take(
        scene.bob,
        MessageId([5; 16]),
        Body::Retract { target: FIRST },
    );
    assert_eq!(scene.events(), [EventKind::MessageRetracted]);
    assert!(scene.head(FIRST).gone);
    // What is gone is not edited again.
    scene.take(scene.bob, MessageId([6; 16]), edit());
    assert_eq!(scene.events(), []);
}

#[test]
fn a_message_that_was_retracted_before_it_arrived_is_not_shown() {
    let mut scene = Scene::new();
    scene.take(
        scene.bob,
        MessageId([2; 16]),
        Body::Retract { target: FIRST },
    );
    scene.take(scene.bob, FIRST, Body::Content(text("oops")));
    assert!(scene.head(FIRST).gone);
    assert_eq!(scene.events(), []);
    // Only the author's own retraction counts.
    let other = MessageId([8; 16]);
    scene.take(
        scene.carol,
        MessageId([3; 16]),
        Body::Retract { target: other },
    );
    scene.take(scene.bob, other, Body::Content(text("hello")));
    assert!(!scene.head(other).gone);
}

#[test]
fn a_message_that_arrives_after_its_end_is_not_shown() {
    let mut scene = Scene::new();
    let hour_ago = scene.engine.state.batch.now_ms() - 3_600_000;
    let body = || Body::Content(text("brief"));
    scene.take_with(scene.bob, FIRST, body(), hour_ago, 60);
    assert!(scene.head(FIRST).gone);
    assert_eq!(scene.events(), []);
    let other = MessageId([2; 16]);
    scene.take_with(scene.bob, other, body(), hour_ago, 7_200);
    assert!(!scene.head(other).gone);
}

#[test]
fn a_message_from_the_future_lives_no_longer_than_its_time_to_live() {
    let mut scene = Scene::new();
    let now = scene.engine.state.batch.now_ms();
    let ahead = Body::Content(text("brief"));
    scene.take_with(scene.bob, FIRST, ahead, now + 86_400_000, 60);
    let next = scene
        .engine
        .state
        .batch
        .store
        .next_expiry()
        .unwrap()
        .unwrap();
    assert!(next <= scene.engine.state.batch.now_ms() + 60_000);
}

#[test]
fn a_receipt_counts_for_own_messages_that_were_delivered() {
    let mut scene = Scene::new();
    let mine = |state, id: u8, contact| MessageRow {
        row: MessageRowId::default(),
        id: [id; 16],
        contact,
        kind: MessageKind::Content,
        own: true,
        incarnation: 0,
        state,
        author_ms: 1,
        stored_ms: 1,
        hash: HASH.0,
        media_type: String::new(),
        content: Some(b"hello".to_vec()),
        gone: Gone::No,
        expires_ms: None,
        reply_to: None,
        thread: None,
    };
    let rows = [
        mine(MessageState::Delivered, 1, scene.bob),
        mine(MessageState::Sent, 2, scene.bob),
        mine(MessageState::Delivered, 3, scene.carol),
    ];
    for row in &rows {
        scene.engine.state.batch.store.insert_message(row).unwrap();
    }
    let targets = [1, 2, 3, 4].map(|id| MessageId([id; 16])).to_vec();
    scene.take(scene.bob, MessageId([9; 16]), Body::Read { targets });
    let states = [1, 2, 3].map(|id| scene.head(MessageId([id; 16])).state);
    let [read, sent, of_other] = states;
    assert_eq!(read, MessageState::Read);
    assert_eq!(
        (sent, of_other),
        (MessageState::Sent, MessageState::Delivered)
    );
    assert_eq!(scene.strangers_to(), 1);
}

#[test]
fn text_that_is_not_utf_8_is_kept_as_bytes() {
    let broken = Content::new("", vec![0xff, 0xfe]).unwrap();
    let (media_type, bytes) = stored_content(&broken);
    assert_eq!(media_type, "application/octet-stream");
    assert_eq!(bytes, Some(vec![0xff, 0xfe]));
    assert_eq!(stored_content(&text("hello")).0, "");
}

#[test]
fn a_state_is_told_once_and_a_receipt_is_final() {
    let mut scene = Scene::new();
    let sent = |scene: &mut Scene, state| {
        on_state(&mut scene.engine.state, scene.bob, FIRST, state).unwrap();
    };
    let row = MessageRow {
        row: MessageRowId::default(),
        id: FIRST.0,
        contact: scene.bob,
        kind: MessageKind::Content,
        own: true,
        incarnation: 0,
        state: MessageState::Queued,
        author_ms: 1,
        stored_ms: 1,
        hash: HASH.0,
        media_type: String::new(),
        content: None,
        gone: Gone::No,
        expires_ms: None,
        reply_to: None,
        thread: None,
    };
    scene.engine.state.batch.store.insert_message(&row).unwrap();
    for _ in 0..2 {
        sent(&mut scene, Delivery::Deposited);
    }
    assert_eq!(scene.events(), [EventKind::MessageState]);
    for reason in [GiveUp::ContactRemoved, GiveUp::Earlier] {
        sent(&mut scene, Delivery::GivenUp(reason));
        assert_eq!(scene.head(FIRST).state, MessageState::Failed);
        scene.events();
        sent(&mut scene, Delivery::Deposited);
    }
    scene.events();
    let read = scene.head(FIRST).row;
    scene
        .engine
        .state
        .batch
        .store
        .set_message_state(read, MessageState::Read)
        .unwrap();
    sent(&mut scene, Delivery::Delivered);
    assert_eq!(scene.head(FIRST).state, MessageState::Read);
    assert_eq!(scene.events(), []);
}

fn reaction(text: &str) -> Body {
    Body::Reaction {
        target: FIRST,
        text: text.to_owned(),
    }
}

#[test]
fn only_the_other_side_of_a_conversation_reacts_to_its_messages() {
    let mut scene = Scene::new();
    scene.take(scene.bob, FIRST, Body::Content(text("hello")));
    scene.events();
    scene.take(scene.carol, MessageId([2; 16]), reaction("+1"));
    assert_eq!((scene.events(), scene.strangers_to()), (vec![], 1));
    scene.take(scene.bob, MessageId([3; 16]), reaction("+1"));
    assert_eq!(scene.events(), [EventKind::MessageReacted]);
    scene.take(scene.bob, MessageId([4; 16]), reaction("+1"));
    assert_eq!(scene.events(), [], "nothing changed");
    scene.take(scene.bob, MessageId([5; 16]), reaction(""));
    assert_eq!(scene.events(), [EventKind::MessageReacted]);
}

#[test]
fn a_reaction_to_a_message_that_is_gone_is_dropped() {
    let mut scene = Scene::new();
    scene.take(scene.bob, MessageId([2; 16]), reaction("+1"));
    scene.take(scene.bob, FIRST, Body::Content(text("hello")));
    let retraction = Body::Retract { target: FIRST };
    scene.take(scene.bob, MessageId([3; 16]), retraction);
    scene.events();
    scene.take(scene.bob, MessageId([4; 16]), reaction("+1"));
    assert_eq!(scene.events(), []);
}

#[test]
fn a_body_of_a_later_version_is_kept_out_of_the_conversation_and_counted() {
    let mut scene = Scene::new();
    scene.take(scene.bob, FIRST, Body::Unknown);
    assert_eq!(scene.head(FIRST).kind, MessageKind::Unknown as i64);
    assert_eq!(scene.events(), []);
    let counts = scene.engine.state.batch.counters.snapshot();
    assert_eq!(counts.get("BODY_UNKNOWN"), Some(&1));
}
