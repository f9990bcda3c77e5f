use super::*;
use crate::inbox::Arrival;
use crate::testing::{engine, pass_ms};
use crate::{Engine, PolicyChange};
use crate::{contact_view, inbox, policy, relations, summary};
use m2_core::ContactState;
use m2_crypto::{PeerId, Secret};
use m2_delivery::{Body, Content, ContentHash, MessageId, Payload, Time};
use m2_store::{ContactRowId, MessageRowId, PageSize, Reader, StoreFile};

const ALL: PageSize = PageSize {
    rows: 10_000,
    bytes: u64::MAX,
};

struct Scene {
    dir: tempfile::TempDir,
    engine: Engine,
    arrived: u128,
}

impl Scene {
    fn new() -> Self {
        let (dir, engine) = engine();
        Self {
            dir,
            engine,
            arrived: 0,
        }
    }

    fn contact(&mut self, number: u8) -> ContactRowId {
        let peer = PeerId::from_bytes([number; 32]);
        relations::begin(&mut self.engine.state, peer, ContactState::Contact, "").unwrap()
    }

    /// Receives a body from a contact.
    fn arrives(&mut self, row: ContactRowId, body: Body) {
        self.arrived += 1;
        let id = MessageId(self.arrived.to_be_bytes());
        let payload = Payload {
            sequence: 1,
            sent: Time(self.engine.state.batch.now_ms()),
            ttl_s: 0,
            body,
            as_sent: None,
        };
        let from = Arrival {
            row,
            id,
            incarnation: 1,
            hash: ContentHash([0; 32]),
        };
        inbox::on_message(&mut self.engine.state, from, payload).unwrap();
    }

    fn receive(&mut self, row: ContactRowId, count: u32) {
        for _ in 0..count {
            self.arrives(
                row,
                Body::Content(Content::new("", vec![b'x'; 1_000]).unwrap()),
            );
        }
    }

    fn shown(&self, row: ContactRowId) -> usize {
        let reader: Reader = StoreFile::new(self.dir.path(), Secret::new([7; 32]))
            .open_reader()
            .unwrap();
        reader
            .history(row, MessageRowId::new(i64::MAX), ALL)
            .unwrap()
            .messages
            .len()
    }

    /// Advances the clock by hours and runs the due work.
    fn pass_hours(&mut self, hours: u64) {
        pass_ms(&mut self.engine, hours * 3_600_000);
        for _ in 0..200 {
            pass_ms(&mut self.engine, 0);
        }
    }
}

#[test]
fn messages_are_kept_by_default() {
    let mut scene = Scene::new();
    let row = scene.contact(1);
    scene.receive(row, 3);
    scene.pass_hours(24 * 3_650);
    assert_eq!(scene.shown(row), 3);
}

#[test]
fn messages_expire_at_the_shorter_of_profile_and_contact_age() {
    let mut scene = Scene::new();
    scene.engine.state.batch.limits.keep_days = 30;
    let (plain, strict, lax) = (scene.contact(1), scene.contact(2), scene.contact(3));
    for (row, days) in [(strict, 2), (lax, 400)] {
        let change = PolicyChange {
            keep_s: Some(days * 86_400),
            ..PolicyChange::default()
        };
        let peer = scene
            .engine
            .state
            .peers
            .get(&row)
            .unwrap()
            .contact
            .peer_id
            .to_string();
        let view = policy::set(&mut scene.engine.state, &peer, change).unwrap();
        assert_eq!(view.keep_s, Some(days * 86_400));
    }
    for row in [plain, strict, lax] {
        scene.receive(row, 300);
    }
    scene.pass_hours(24);
    let shown = |scene: &Scene| [plain, strict, lax].map(|row| scene.shown(row));
    assert_eq!(shown(&scene), [300, 300, 300]);
    scene.pass_hours(25);
    assert_eq!(shown(&scene), [300, 0, 300]);
    scene.receive(plain, 1);
    scene.pass_hours(24 * 29);
    assert_eq!(shown(&scene), [1, 0, 0]);
    assert_eq!(
        scene.engine.state.batch.store.content_bytes().unwrap(),
        1_000
    );
}

#[test]
fn the_oldest_messages_are_erased_above_the_size_limit() {
    let mut scene = Scene::new();
    let (first, second) = (scene.contact(1), scene.contact(2));
    scene.receive(first, 150);
    scene.receive(second, 150);
    scene.engine.state.batch.limits.keep_bytes = 100_000;
    scene.pass_hours(2);
    assert_eq!([scene.shown(first), scene.shown(second)], [0, 100]);
    scene.receive(first, 30);
    scene.pass_hours(2);
    assert_eq!([scene.shown(first), scene.shown(second)], [30, 70]);
}

#[test]
fn a_step_examines_a_bounded_number_of_messages() {
    let mut scene = Scene::new();
    let row = scene.contact(1);
    scene.receive(row, 500);
    scene.engine.state.batch.limits.keep_days = 1;
    scene.engine.state.batch.clock.pass(3 * DAY_MS);
    let now = scene.engine.state.batch.now_ms();
    let mut before = 500;
    let mut steps = 0;
    while retain(&mut scene.engine.state, now).unwrap() {
        let shown = scene.shown(row);
        assert!(before - shown <= STEP as usize, "{before} became {shown}");
        before = shown;
        steps += 1;
    }
    assert_eq!(before, 0);
    assert!(steps >= 8, "{steps} steps");
}

#[test]
fn a_contact_over_quota_is_reported_and_refused() {
    let mut scene = Scene::new();
    let (loud, quiet) = (scene.contact(1), scene.contact(2));
    scene.engine.state.batch.limits.contact_bytes = 20_000;
    scene.receive(loud, 19);
    assert!(!is_over_quota(&scene.engine.state, loud).unwrap());
    assert!(
        summary::summary(&scene.engine.state)
            .unwrap()
            .warnings
            .is_empty()
    );
    scene.receive(loud, 1);
    assert!(is_over_quota(&scene.engine.state, loud).unwrap());
    assert!(!is_over_quota(&scene.engine.state, quiet).unwrap());
    assert_eq!(
        scene
            .engine
            .state
            .batch
            .counters
            .snapshot()
            .get("CONTACT_QUOTA_REACHED"),
        Some(&1)
    );
    let warnings = summary::summary(&scene.engine.state).unwrap().warnings;
    assert!(
        warnings
            .iter()
            .any(|it| it.text.starts_with("1 contacts have reached")),
        "{warnings:?}"
    );
    assert!(
        contact_view::view(&scene.engine.state, loud)
            .unwrap()
            .is_over_quota
    );
}

#[test]
fn hidden_rows_are_bounded_by_kind() {
    let mut scene = Scene::new();
    let row = scene.contact(1);
    scene.engine.state.batch.store.begin().unwrap();
    for _ in 0..12_000 {
        let target = MessageId([9; 16]);
        let content = Content::new("", b"edited".to_vec()).unwrap();
        scene.arrives(row, Body::Edit { target, content });
        scene.arrives(row, Body::Skip);
    }
    scene.engine.state.flush_and_commit().unwrap();
    let received = scene
        .engine
        .state
        .batch
        .store
        .usage_of(row)
        .unwrap()
        .received;
    assert!(received <= 2 * (10_000 + 512), "{received} rows");
}
