use super::*;
use crate::testing::{engine, pass_ms};
use crate::{Engine, NewMessage};
use crate::{contact_rows, contacts, conversation, loading, relations, sending};
use m2_core::ContactState;
use m2_crypto::{Circle, Identity, PeerId, Secret, provider};
use m2_delivery::Content;
use m2_store::{
    ContactRowId, EventKind, MessageRowId, MessageState, NewEvent, PageSize, Reader, StoreFile,
};

const ALL: PageSize = PageSize {
    rows: 1_000,
    bytes: u64::MAX,
};

/// Alice's engine with the contact Bob, who is offline.
struct Scene {
    dir: tempfile::TempDir,
    engine: Engine,
    bob: PeerId,
    row: ContactRowId,
}

fn scene() -> Scene {
    let (dir, mut engine) = engine();
    let pem = include_str!("../../../../tests/vectors/identities/bob.pem");
    let bob = Identity::from_pem(pem, None, provider::default()).unwrap();
    let id = bob.peer_id(Circle::public().id());
    let row = relations::begin(&mut engine.state, id, ContactState::Contact, "").unwrap();
    let contact = engine.state.peers.contact_mut(row).unwrap();
    contact.certificate = Some(bob.certificate().spki_der().to_vec());
    contact_rows::save(&mut engine.state, row).unwrap();
    // The agenda's initial round is done.
    pass_ms(&mut engine, 1);
    Scene {
        dir,
        engine,
        bob: id,
        row,
    }
}

impl Scene {
    fn send(&mut self, text: &str) -> [u8; 16] {
        let message = NewMessage {
            contact: self.bob.to_string(),
            content: Content::new("", text.as_bytes().to_vec()).unwrap(),
            ttl_s: 0,
            caller: String::new(),
            key: String::new(),
        };
        sending::send(&mut self.engine.state, &message).unwrap().id
    }

    fn remove(&mut self, history: bool) {
        let bob = self.bob.to_string();
        self.engine.state.batch.store.begin().unwrap();
        contacts::remove(&mut self.engine.state, &bob, history).unwrap();
        self.engine.state.flush_and_commit().unwrap();
    }

    fn state(&self, id: &[u8; 16]) -> MessageState {
        self.engine
            .state
            .batch
            .store
            .message_head(id)
            .unwrap()
            .unwrap()
            .state
    }

    fn reader(&self) -> Reader {
        let file = StoreFile::new(self.dir.path(), Secret::new([7; 32]));
        file.open_reader().unwrap()
    }

    /// Runs one batch. Returns how many messages it gave up or erased.
    fn batch(&mut self) -> u64 {
        let before = self.untouched();
        pass_ms(&mut self.engine, 0);
        before - self.untouched()
    }

    /// Returns the number of queued messages plus the bytes of stored content.
    fn untouched(&self) -> u64 {
        let erasure = self.engine.state.batch.store.erasure_of(self.row).unwrap();
        let left = erasure.map_or(0, |it| it.outbox - it.given_up.min(it.outbox));
        let usage = self.engine.state.batch.store.usage_of(self.row).unwrap();
        u64::try_from(left).unwrap() + usage.content_bytes
    }
}

#[test]
fn a_contact_is_erased_in_steps_between_which_others_are_served() {
    let mut scene = scene();
    let ids: Vec<_> = (0..300).map(|_| scene.send("x")).collect();
    scene.remove(true);
    // The contact is hidden at once, although most of its data is still stored.
    let step = u64::from(ERASE_STEP);
    assert!(scene.untouched() > 300);
    let reader = scene.reader();
    assert!(
        reader
            .history(scene.row, MessageRowId::new(i64::MAX), ALL)
            .unwrap()
            .messages
            .is_empty()
    );
    assert!(reader.message(&ids[299]).unwrap().is_none());
    assert!(
        reader
            .search("x", None, MessageRowId::new(i64::MAX), ALL)
            .unwrap()
            .messages
            .is_empty()
    );
    let mut batches = 0;
    while scene
        .engine
        .state
        .batch
        .store
        .erasure_of(scene.row)
        .unwrap()
        .is_some()
    {
        batches += 1;
        assert!(scene.batch() <= 2 * step, "too much in one batch");
        // Another call is served between any two batches.
        let other = PeerId::from_bytes([batches; 32]);
        relations::begin(&mut scene.engine.state, other, ContactState::Removed, "").unwrap();
    }
    assert!(batches >= 6, "{batches} batches");
    assert_eq!(
        scene
            .engine
            .state
            .batch
            .store
            .usage_of(scene.row)
            .unwrap()
            .content_bytes,
        0
    );
    assert!(ids.iter().all(|id| scene.state(id) == MessageState::Failed));
}

#[test]
fn erasure_resumes_after_a_restart_and_spares_newer_messages() {
    let mut scene = scene();
    let old: Vec<_> = (0..200).map(|_| scene.send("old")).collect();
    scene.remove(true);
    assert!(conversation::is_giving_up(&scene.engine.state, scene.row).unwrap());
    // The daemon is killed and restarted, and the user adds Bob again before the erasure has ended.
    loading::reload(&mut scene.engine.state).unwrap();
    scene.engine.state.maintenance = Default::default();
    scene
        .engine
        .state
        .peers
        .contact_mut(scene.row)
        .unwrap()
        .state = ContactState::Contact;
    contact_rows::save(&mut scene.engine.state, scene.row).unwrap();
    let new = scene.send("new");
    // Nothing is offered before all earlier messages are given up.
    assert!(conversation::is_giving_up(&scene.engine.state, scene.row).unwrap());
    for _ in 0..40 {
        scene.batch();
    }
    assert!(
        scene
            .engine
            .state
            .batch
            .store
            .erasure_of(scene.row)
            .unwrap()
            .is_none()
    );
    assert!(old.iter().all(|id| scene.state(id) == MessageState::Failed));
    assert_eq!(scene.state(&new), MessageState::Queued);
    let shown = scene
        .reader()
        .history(scene.row, MessageRowId::new(i64::MAX), ALL)
        .unwrap()
        .messages;
    let shown: Vec<_> = shown.iter().map(|shown| shown.id).collect();
    assert_eq!(shown, [new]);
}

#[test]
fn messages_stay_when_only_the_contact_is_removed() {
    let mut scene = scene();
    let ids: Vec<_> = (0..100).map(|_| scene.send("kept")).collect();
    scene.remove(false);
    while scene
        .engine
        .state
        .batch
        .store
        .erasure_of(scene.row)
        .unwrap()
        .is_some()
    {
        scene.batch();
    }
    let shown = scene
        .reader()
        .history(scene.row, MessageRowId::new(i64::MAX), ALL)
        .unwrap()
        .messages;
    assert_eq!(shown.len(), ids.len());
    assert!(shown.iter().all(|shown| shown.content.is_some()));
}

#[test]
fn the_index_keeps_up_with_steady_traffic() {
    let mut scene = scene();
    // One message every two seconds, and no other activity.
    for number in 0..30 {
        scene.send(&format!("message {number}"));
        pass_ms(&mut scene.engine, 2_000);
        let found = scene.reader().search(
            &format!("message {number}"),
            None,
            MessageRowId::new(i64::MAX),
            ALL,
        );
        assert_eq!(found.unwrap().messages.len(), 1, "message {number}");
    }
}

#[test]
fn old_events_are_pruned_in_steps() {
    let mut scene = scene();
    scene.engine.state.batch.store.begin().unwrap();
    for _ in 0..9_000 {
        let event = NewEvent {
            kind: EventKind::ContactAdded,
            contact: scene.row,
            message: None,
            detail: 0,
        };
        scene
            .engine
            .state
            .batch
            .store
            .append_event(&event, 1)
            .unwrap();
    }
    scene.engine.state.batch.store.commit().unwrap();
    let first = |scene: &Scene| scene.reader().oldest_event().unwrap().unwrap();
    let newest = scene.engine.state.batch.store.newest_event().unwrap();
    scene.engine.state.maintenance = Default::default();
    let mut before = first(&scene);
    let mut batches = 0;
    while first(&scene) < newest {
        pass_ms(&mut scene.engine, 0);
        let now = first(&scene);
        assert!(
            now - before <= 2_000,
            "{} events in one batch",
            now - before
        );
        before = now;
        batches += 1;
    }
    assert!(batches >= 5);
}
