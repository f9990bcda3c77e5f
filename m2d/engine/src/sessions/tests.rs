use super::*;

use crate::effect::NoticeKind;
use crate::testing::engine;
use crate::{Engine, Input};
use crate::{contacts, relations};
use m2_crypto::PeerId;
use m2_crypto::envelope::EpochSecret;
use m2_crypto::letter::LetterSecret;
use m2_crypto::{Circle, Identity, Secret, provider};
use m2_proto::reason::Reason;
use m2_wire::ContactRequest;

/// Returns the session with this number, of a peer that has Bob's certificate and an id of its own.
fn session(number: u8) -> Session {
    let pem = include_str!("../../../../tests/vectors/identities/bob.pem");
    let bob = Identity::from_pem(pem, None, provider::default()).unwrap();
    Session {
        id: SessionId(number.into()),
        peer_id: match number {
            0 => bob.peer_id(Circle::public().id()),
            number => PeerId::from_bytes([number; 32]),
        },
        certificate: Arc::new(bob.certificate().clone()),
        suite: 2,
        dialled: false,
        remote: ([192, 0, 2, number], 7_000).into(),
        path: Path::Direct,
        proof_key: Secret::new([1; 32]),
        name_in_grants: [number; 8],
        lookup_secrets: (Secret::new([2; 32]), Secret::new([3; 32])),
    }
}

fn up(engine: &mut Engine, number: u8) {
    let (reply, _) = Reply::channel();
    let clock_skew_ms = None;
    engine.handle(Into::into(SessionInput::Up {
        session: session(number),
        secrets: SessionSecrets {
            epochs: EpochSecret::new([number; 8], Secret::new([4; 32])),
            letters: LetterSecret::new([number; 8], Secret::new([5; 32])),
        },
        clock_skew_ms,
        reply,
    }));
}

fn closed(engine: &mut Engine) -> Vec<SessionId> {
    let effects = std::iter::from_fn(|| engine.poll_effect());
    let closed = effects.filter_map(|effect| match effect {
        Effect::Close(id, _) => Some(id),
        _ => None,
    });
    closed.collect()
}

/// The session of a stranger may be crowded out while its request waits in the queue.
#[test]
fn a_request_on_a_session_that_is_crowded_out_makes_no_contact_without_a_certificate() {
    let (_dir, mut engine) = engine();
    engine.begin_batch();
    (0..65).for_each(|number| up(&mut engine, number));
    engine.end_batch().unwrap();
    let crowded_out = closed(&mut engine);
    assert!(!crowded_out.is_empty());
    let request = Message::ContactRequest(ContactRequest {
        invite: None,
        name: "bob".to_owned(),
    });
    engine.begin_batch();
    let input = SessionInput::Frame(crowded_out[0], request, None);
    engine.handle(input.into());
    engine.end_batch().unwrap();
    let peer = session(u8::try_from(crowded_out[0].0).unwrap()).peer_id;
    if let Some(row) = engine.state.peers.row_of(&peer) {
        let peer_state = engine.state.peers.get(&row).unwrap();
        assert!(peer_state.contact.certificate.is_some());
        assert_eq!(peer_state.links.len(), 1);
        engine.begin_batch();
        let name = peer.to_string();
        contacts::accept(&mut engine.state, &name, "").unwrap();
        engine.end_batch().unwrap();
    }
}

/// What the task of a session reports while the store can't be written must not be forgotten.
#[test]
fn doubt_and_age_are_kept_although_no_batch_can_be_written() {
    let (_dir, mut engine) = engine();
    engine.begin_batch();
    up(&mut engine, 1);
    engine.end_batch().unwrap();
    let id = SessionId(1);
    engine.refuse(SessionInput::Silent(id).into());
    assert!(engine.state.sessions.is_in_doubt(id));
    engine.refuse(SessionInput::Heard(id).into());
    assert!(!engine.state.sessions.wants_successor(id));
    engine.refuse(SessionInput::Old(id).into());
    assert!(engine.state.sessions.wants_successor(id));
}

#[test]
fn contacts_have_priority_before_the_first_batch() {
    let (dir, mut engine) = engine();
    engine.begin_batch();
    let peer = session(1).peer_id;
    let row = relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
    let secrets = m2_store::LookupSecrets {
        ours: Secret::new([2; 32]),
        theirs: Secret::new([3; 32]),
    };
    engine
        .state
        .batch
        .store
        .set_lookup_secrets(row, &secrets)
        .unwrap();
    engine.end_batch().unwrap();
    drop(engine);
    let mut engine = crate::testing::engine_on(dir.path());
    let effects: Vec<Effect> = std::iter::from_fn(|| engine.poll_effect()).collect();
    let is_known =
        |effect: &Effect| matches!(effect, Effect::Prioritise(of, Some(_)) if *of == peer);
    let first_dial = effects
        .iter()
        .position(|effect| matches!(effect, Effect::Dial(..)));
    assert!(effects.iter().position(is_known) < first_dial);
}

/// Returns the suites that the engine requires.
fn required(engine: &mut Engine) -> Vec<(PeerId, u16)> {
    let effects = std::iter::from_fn(|| engine.poll_effect());
    let suites = effects.filter_map(|effect| match effect {
        Effect::RequireSuite(peer, suite) => Some((peer, suite)),
        _ => None,
    });
    suites.collect()
}

#[test]
fn the_suite_of_a_session_with_a_contact_is_required_from_then_on() {
    let (dir, mut engine) = engine();
    engine.begin_batch();
    let peer = session(1).peer_id;
    relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
    engine.end_batch().unwrap();
    engine.begin_batch();
    up(&mut engine, 1);
    up(&mut engine, 2);
    engine.end_batch().unwrap();
    assert_eq!(required(&mut engine), [(peer, 2)], "not of the stranger");
    engine.begin_batch();
    engine.handle(Input::HigherSuite(peer, 1));
    engine.end_batch().unwrap();
    required(&mut engine);
    // A lower suite changes nothing.
    store_suites(&mut engine);
    drop(engine);
    let mut engine = crate::testing::engine_on(dir.path());
    assert_eq!(required(&mut engine), [(peer, 2)]);
}

/// Lets the suites of completed handshakes be stored.
fn store_suites(engine: &mut Engine) {
    crate::testing::pass_ms(engine, 2_000);
    engine.begin_batch();
    engine.end_batch().unwrap();
}

/// A handshake may not lead to a session: its suite is required at once, and stored soon.
#[test]
fn the_suite_of_a_handshake_is_stored_without_a_commit_of_its_own() {
    let (dir, mut engine) = engine();
    let (peer, stranger) = (session(1).peer_id, PeerId::from_bytes([9; 32]));
    engine.begin_batch();
    relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
    engine.end_batch().unwrap();
    let before = engine.state.batch.store.changes();
    handshake(&mut engine, peer, 2);
    handshake(&mut engine, stranger, 2);
    assert_eq!(required(&mut engine), [(peer, 2)]);
    assert_eq!(engine.state.batch.store.changes(), before);
    assert!(engine.next_due_ms() <= engine.state.batch.now_ms() + 2_000);
    store_suites(&mut engine);
    assert_eq!(required(&mut engine), [(peer, 2)]);
    // More than may wait: the oldest is stored at once.
    handshake(&mut engine, peer, 3);
    for _ in 0..64 {
        handshake(&mut engine, peer, 2);
    }
    drop(engine);
    let mut engine = crate::testing::engine_on(dir.path());
    assert_eq!(required(&mut engine), [(peer, 3)]);
}

/// Has a handshake with a peer completed.
fn handshake(engine: &mut Engine, peer: PeerId, suite: u16) {
    engine.begin_batch();
    engine.handle(Input::HigherSuite(peer, suite));
    engine.end_batch().unwrap();
}

#[test]
fn a_suite_that_waits_is_stored_when_the_daemon_stops_or_the_clock_is_set() {
    let (dir, mut engine) = engine();
    let peer = session(1).peer_id;
    engine.begin_batch();
    relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
    engine.end_batch().unwrap();
    handshake(&mut engine, peer, 2);
    engine.close().unwrap();
    let mut engine = crate::testing::engine_on(dir.path());
    assert_eq!(required(&mut engine), [(peer, 2)]);

    handshake(&mut engine, peer, 3);
    engine.state.suites.restart();
    assert_eq!(engine.next_due_ms(), 0);
    engine.begin_batch();
    engine.end_batch().unwrap();
    drop(engine);
    let mut engine = crate::testing::engine_on(dir.path());
    assert_eq!(required(&mut engine), [(peer, 3)]);
}

#[test]
fn a_suite_whose_batch_is_rolled_back_is_stored_later() {
    let (dir, mut engine) = engine();
    let peer = session(1).peer_id;
    engine.begin_batch();
    relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
    engine.end_batch().unwrap();
    handshake(&mut engine, peer, 2);
    crate::testing::pass_ms(&mut engine, 2_000);
    engine.begin_batch();
    crate::upkeep::run_timers(&mut engine.state);
    engine.state.batch.fail(Refusal::new(Reason::CursorInvalid));
    engine.end_batch().unwrap_err();
    crate::testing::pass_ms(&mut engine, 60_000);
    engine.begin_batch();
    engine.end_batch().unwrap();
    drop(engine);
    let mut engine = crate::testing::engine_on(dir.path());
    assert_eq!(required(&mut engine), [(peer, 2)]);
}

#[test]
fn the_suite_of_a_relay_is_stored_at_once() {
    let (dir, mut engine) = engine();
    let relay = session(1).peer_id;
    let line = m2_store::LineRow {
        row: m2_store::RelayRowId::default(),
        relay,
        addresses: Vec::new(),
        entry: false,
        created_ms: 0,
    };
    engine.begin_batch();
    engine.state.batch.store.put_line(&line).unwrap();
    engine.end_batch().unwrap();
    handshake(&mut engine, relay, 2);
    assert_eq!(required(&mut engine), [(relay, 2)]);
    drop(engine);
    let mut engine = crate::testing::engine_on(dir.path());
    assert_eq!(required(&mut engine), [(relay, 2)]);
}

#[test]
fn a_relay_that_is_also_a_contact_keeps_its_suite() {
    let (dir, mut engine) = engine();
    engine.begin_batch();
    let peer = session(1).peer_id;
    relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
    engine.end_batch().unwrap();
    engine.begin_batch();
    up(&mut engine, 1);
    let relay = m2_store::LineRow {
        row: m2_store::RelayRowId::default(),
        relay: peer,
        addresses: vec!["11.0.2.9:4433".parse().unwrap()],
        entry: false,
        created_ms: 0,
    };
    engine.state.batch.store.put_line(&relay).unwrap();
    crate::suites::carry_over(&mut engine.state, &peer).unwrap();
    engine.end_batch().unwrap();
    drop(engine);
    let mut engine = crate::testing::engine_on(dir.path());
    assert_eq!(required(&mut engine), [(peer, 2), (peer, 2)]);
}

#[test]
fn the_suite_of_a_peer_that_only_asked_is_not_required() {
    let (_dir, mut engine) = engine();
    engine.begin_batch();
    let peer = session(1).peer_id;
    relations::begin(&mut engine.state, peer, ContactState::Request, "").unwrap();
    engine.end_batch().unwrap();
    engine.begin_batch();
    up(&mut engine, 1);
    engine.end_batch().unwrap();
    assert_eq!(required(&mut engine), []);
}

/// Begins a contact with the peer of session 1, and that session.
fn contact_with_session(engine: &mut Engine) -> ContactRowId {
    engine.begin_batch();
    let peer = session(1).peer_id;
    let row = relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
    engine.end_batch().unwrap();
    engine.begin_batch();
    up(engine, 1);
    engine.end_batch().unwrap();
    row
}

/// The user removes a contact while a session is up, and the session ends for this reason.
#[test]
fn the_conversation_with_a_removed_contact_learns_that_its_session_has_ended() {
    let (_dir, mut engine) = engine();
    let row = contact_with_session(&mut engine);
    engine.begin_batch();
    let name = session(1).peer_id.to_string();
    contacts::remove(&mut engine.state, &name, false).unwrap();
    engine.end_batch().unwrap();
    engine.begin_batch();
    let end = SessionEnd {
        id: SessionId(1),
        age: Duration::ZERO,
        refused: None,
    };
    let (reply, _) = Reply::channel();
    engine.handle(SessionInput::Down(end, reply).into());
    // With a session, a new incarnation is stated on it.
    let stated = conversation::feed_only(&mut engine.state, row, |conversation, cx| {
        conversation.renew(cx);
        while conversation.poll_write().is_some() {}
        conversation.poll_action()
    });
    assert_eq!(stated.unwrap(), None);
}

/// The other end passes over a limited number of shares. So a sender whose disk is full must not use
/// them up.
#[test]
fn a_batch_that_is_rolled_back_uses_no_share_of_its_session() {
    let (_dir, mut engine) = engine();
    contact_with_session(&mut engine);
    let open = |engine: &mut Engine| {
        let epochs = engine.state.sessions.epochs_mut(SessionId(1)).unwrap();
        format!("{:?}", epochs.next_share())
    };
    for _ in 0..3 {
        engine.begin_batch();
        assert_eq!(open(&mut engine), "EpochShare(0, ..)");
        engine.state.batch.fail(Refusal::new(Reason::DiskFull));
        assert!(engine.end_batch().is_err());
    }
    for expected in ["EpochShare(0, ..)", "EpochShare(1, ..)"] {
        engine.begin_batch();
        assert_eq!(open(&mut engine), expected);
        engine.end_batch().unwrap();
    }
}

/// Returns the paths of the notices about presence; `None` for a contact that is offline.
fn presence(engine: &mut Engine) -> Vec<Option<Path>> {
    let effects = std::iter::from_fn(|| engine.poll_effect());
    let paths = effects.filter_map(|effect| match effect {
        Effect::Notice(notice) => match notice.notice {
            NoticeKind::Presence { path, .. } => Some(path),
            NoticeKind::Said(_) => None,
        },
        _ => None,
    });
    paths.collect()
}

/// Runs a batch with one input, which fails if `fails` is true. Returns the presence that it reports.
fn batch(engine: &mut Engine, input: SessionInput, fails: bool) -> Vec<Option<Path>> {
    engine.begin_batch();
    engine.handle(input.into());
    if fails {
        let refusal = Refusal::new(Reason::StoreFailed);
        engine.state.batch.fail(refusal);
    }
    assert_eq!(engine.end_batch().is_err(), fails);
    presence(engine)
}

#[test]
fn presence_follows_the_sessions_of_a_contact() {
    let (_dir, mut engine) = engine();
    engine.begin_batch();
    let peer = session(1).peer_id;
    relations::begin(&mut engine.state, peer, ContactState::Contact, "").unwrap();
    up(&mut engine, 1);
    // A stranger is not online.
    up(&mut engine, 2);
    engine.end_batch().unwrap();
    assert_eq!(presence(&mut engine), [Some(Path::Direct)]);
    let id = SessionId(1);
    let silent = batch(&mut engine, SessionInput::Silent(id), false);
    assert_eq!(silent, [None]);
    let heard = batch(&mut engine, SessionInput::Heard(id), false);
    assert_eq!(heard, [Some(Path::Direct)]);
    assert_eq!(batch(&mut engine, SessionInput::Heard(id), false), []);
    // The batch with its end is rolled back, and the next one reports it.
    let end = SessionEnd {
        id,
        age: Duration::from_secs(60),
        refused: None,
    };
    let down = SessionInput::Down(end, Reply::channel().0);
    assert_eq!(batch(&mut engine, down, true), []);
    assert_eq!(batch(&mut engine, SessionInput::Heard(id), false), [None]);
}
