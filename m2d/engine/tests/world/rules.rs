//! One test for each rule about contacts, their requests and their sessions, with real engines.

use super::daemon::{End, Flaw};
use super::network::World;
use m2_core::ContactState;
use m2_core::PathFailure;
use m2_delivery::Content;
use m2_engine::{ContactRequest, Effect, MessageRequest, NewMessage};
use m2_proto::reason::Reason;
use m2_store::MessageState;
use m2_wire::Message;

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

fn remove(contact: String, reply: m2_engine::Reply<()>) -> ContactRequest {
    ContactRequest::Remove {
        contact,
        history: false,
        reply,
    }
}

fn world() -> World {
    World::new(1, Flaw::None)
}

#[test]
fn an_invitation_makes_two_peers_contacts_and_is_used_up() {
    let mut world = world();
    let invitation = world.invitation(ALICE, "bob");
    world.add(BOB, invitation.clone(), "alice").unwrap();
    assert_eq!(world.state(BOB, ALICE), Some(ContactState::Asked));
    world.settle();
    assert_eq!(world.states(ALICE, BOB), [ContactState::Contact; 2]);
    let bob = world.id(BOB);
    assert_eq!(world.daemons[ALICE].contact(bob).unwrap().row.name, "bob");
    // A second guest has to wait for the user.
    world.add(CAROL, invitation, "").unwrap();
    world.settle();
    assert_eq!(world.state(ALICE, CAROL), Some(ContactState::Request));
    assert_eq!(world.state(CAROL, ALICE), Some(ContactState::Asked));
}

/// Lets Carol ask Alice with an invitation that is used up.
fn with_request() -> World {
    let mut world = world();
    let invitation = world.invitation(ALICE, "");
    world.add(BOB, invitation.clone(), "").unwrap();
    world.settle();
    world.add(CAROL, invitation, "").unwrap();
    world.settle();
    world
}

#[test]
fn a_request_waits_for_the_user_who_accepts_it() {
    let mut world = with_request();
    let carol = world.id(CAROL).to_string();
    let accepted = world.daemons[ALICE].ask(|reply| ContactRequest::Accept {
        contact: carol,
        name: "carol".to_owned(),
        reply,
    });
    let view = world.answer(ALICE, accepted).unwrap();
    assert_eq!(view.row.state, ContactState::Contact);
    world.settle();
    assert_eq!(world.states(ALICE, CAROL), [ContactState::Contact; 2]);
    world.say(CAROL, ALICE, "hello").unwrap();
    world.settle();
    assert_eq!(world.texts(ALICE, CAROL), ["hello"]);
}

#[test]
fn a_declined_request_is_told_to_the_peer() {
    let mut world = with_request();
    world.change(ALICE, CAROL, ContactRequest::Decline).unwrap();
    world.settle();
    assert_eq!(world.state(CAROL, ALICE), Some(ContactState::Declined));
    let refused = world.change(ALICE, CAROL, ContactRequest::Decline);
    assert_eq!(refused.unwrap_err().reason, Reason::ContactUnknown);
}

#[test]
fn two_that_ask_each_other_become_contacts() {
    let mut world = world();
    let (of_alice, of_bob) = (world.invitation(ALICE, ""), world.invitation(BOB, ""));
    world.add(BOB, of_alice, "").unwrap();
    world.add(ALICE, of_bob, "").unwrap();
    world.settle();
    assert_eq!(world.states(ALICE, BOB), [ContactState::Contact; 2]);
}

#[test]
fn a_blocked_peer_gets_no_session() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    world.change(ALICE, BOB, ContactRequest::Block).unwrap();
    world.settle();
    assert_eq!(world.state(ALICE, BOB), Some(ContactState::Blocked));
    assert!(world.seen.treated.contains("unwanted"));
    let alice = world.id(ALICE);
    let view = world.daemons[BOB].contact(alice).unwrap();
    assert_eq!(view.last_failure, Some(PathFailure::Refused));
    assert!(view.problem.contains("ends sessions"), "{}", view.problem);
    // Nothing of its messages is lost or delivered.
    world.say(BOB, ALICE, "are you there?").unwrap();
    world.settle();
    assert_eq!(world.texts(ALICE, BOB), [""; 0]);
    assert_eq!(world.texts(BOB, ALICE), ["are you there?"]);
}

#[test]
fn a_removed_contact_learns_that_it_is_none_and_may_come_back() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    world.say(ALICE, BOB, "before").unwrap();
    world.settle();
    world.change(ALICE, BOB, remove).unwrap();
    world.settle();
    assert_eq!(world.state(ALICE, BOB), None);
    let alice = world.id(ALICE);
    let problem = world.daemons[BOB].contact(alice).unwrap().problem;
    assert!(problem.contains("m2 invite create"), "{problem}");
    let refused = world.say(ALICE, BOB, "too late").unwrap_err();
    assert_eq!(refused.reason, Reason::ContactUnknown);
    let invitation = world.invitation(ALICE, "");
    world.add(BOB, invitation, "").unwrap();
    world.settle();
    assert_eq!(world.states(ALICE, BOB), [ContactState::Contact; 2]);
    world.say(BOB, ALICE, "again").unwrap();
    world.settle();
    assert!(world.texts(ALICE, BOB).contains(&"again".to_owned()));
}

#[test]
fn messages_to_a_removed_contact_are_given_up() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    let bob = world.id(BOB);
    world.cut(ALICE, BOB);
    world.run(ALICE, End::Whole);
    world.run(BOB, End::Whole);
    world.say(ALICE, BOB, "too late").unwrap();
    world.change(ALICE, BOB, remove).unwrap();
    let invitation = world.invitation(BOB, "");
    world.add(ALICE, invitation, "").unwrap();
    world.settle();
    assert_eq!(world.texts(BOB, ALICE), [""; 0]);
    let states: Vec<_> = world.daemons[ALICE]
        .messages(bob)
        .iter()
        .map(|message| message.state)
        .collect();
    assert_eq!(states, [MessageState::Failed]);
}

#[test]
fn both_sides_show_the_same_verification_code() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    let codes = [(ALICE, BOB), (BOB, ALICE)].map(|(daemon, peer)| {
        let contact = world.id(peer).to_string();
        let asked = world.daemons[daemon].ask(|reply| ContactRequest::Verify {
            contact,
            matched: Some(true),
            reply,
        });
        world.answer(daemon, asked).unwrap()
    });
    assert_eq!(codes[0], codes[1]);
    assert!(codes[0].1, "it is confirmed");
}

#[test]
fn a_name_that_is_taken_or_unfit_is_refused_and_changes_nothing() {
    let mut world = world();
    let invitation = world.invitation(ALICE, "");
    world.add(BOB, invitation, "alice").unwrap();
    let other = world.invitation(CAROL, "");
    for (name, reason) in [
        ("ALICE", Reason::NameTaken),
        ("m21x", Reason::InvalidArgument),
    ] {
        let refused = world.add(BOB, other.clone(), name).unwrap_err();
        assert_eq!(refused.reason, reason, "{name}");
        assert_eq!(world.state(BOB, CAROL), None);
    }
    world.add(BOB, other, "carol").unwrap();
    let renamed = world.daemons[BOB].ask(|reply| ContactRequest::Rename {
        contact: "carol".to_owned(),
        name: "Alice".to_owned(),
        reply,
    });
    let refused = world.answer(BOB, renamed).unwrap_err();
    assert_eq!(refused.reason, Reason::NameTaken);
}

#[test]
fn an_own_invitation_is_refused() {
    let mut world = world();
    let invitation = world.invitation(ALICE, "");
    let refused = world.add(ALICE, invitation, "").unwrap_err();
    assert_eq!(refused.reason, Reason::InvitationOwn);
}

#[test]
fn an_invitation_expires() {
    let mut world = world();
    let invitation = world.invitation(ALICE, "");
    world.pass(86_401_000);
    let refused = world.add(BOB, invitation, "").unwrap_err();
    assert_eq!(refused.reason, Reason::InvitationExpired);
}

#[test]
fn a_contact_is_dialled_again_when_its_session_ends() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    assert!(world.daemons[ALICE].contact(bob).unwrap().online);
    world.cut(ALICE, BOB);
    world.run(ALICE, End::Whole);
    world.run(BOB, End::Whole);
    assert!(!world.daemons[ALICE].contact(bob).unwrap().online);
    assert!(world.daemons[ALICE].wanted.contains(&bob));
    assert!(world.daemons[BOB].wanted.contains(&alice));
}

#[test]
fn of_two_sessions_of_one_dialler_the_newer_one_stays() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    let (before, alice) = (world.daemons[BOB].sessions.clone(), world.id(ALICE));
    world.daemons[BOB].wanted.insert(alice);
    assert!(world.connect(BOB, ALICE));
    world.settle();
    let after = &world.daemons[BOB].sessions;
    assert_eq!(after.len(), 1);
    assert!(after.is_disjoint(&before));
}

#[test]
fn a_killed_daemon_answers_for_nothing_that_it_did_not_commit() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    let contact = world.id(BOB).to_string();
    for (end, remains) in [(End::KilledBefore, true), (End::KilledAfter, false)] {
        let contact = contact.clone();
        let mut asked = world.daemons[ALICE].ask(|reply| remove(contact, reply));
        world.run(ALICE, end);
        assert!(asked.try_recv().is_err(), "no answer left");
        assert_eq!(world.state(ALICE, BOB).is_some(), remains);
    }
}

#[test]
fn edits_retractions_and_receipts_reach_the_other_side() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    let first = world.say(ALICE, BOB, "helo").unwrap();
    let second = world.say(ALICE, BOB, "oops").unwrap();
    world.settle();
    let content = Content::new("", "hello".to_owned()).unwrap();
    let edited = world.daemons[ALICE].ask(|reply| MessageRequest::Edit(first, content, reply));
    world.answer(ALICE, edited).unwrap();
    let retracted = world.daemons[ALICE].ask(|reply| MessageRequest::Retract(second, reply));
    world.answer(ALICE, retracted).unwrap();
    world.settle();
    assert_eq!(world.texts(BOB, ALICE), ["hello", ""]);
    let shown = world.daemons[BOB].messages(alice);
    assert!(shown[0].edited && shown[1].content.is_none());
    let read = world.daemons[BOB].ask(|reply| MessageRequest::MarkRead(vec![first], reply));
    world.answer(BOB, read).unwrap();
    world.settle();
    assert_eq!(
        world.daemons[ALICE].messages(bob)[0].state,
        MessageState::Read
    );
    // Only its author changes a message.
    let content = Content::new("", "forged".to_owned()).unwrap();
    let forged = world.daemons[BOB].ask(|reply| MessageRequest::Edit(first, content, reply));
    assert_eq!(
        world.answer(BOB, forged).unwrap_err().reason,
        Reason::NotAuthor
    );
}

/// Carol knows Alice by an invitation. Alice has no relation to her, and asks her while Carol is
/// connected as a stranger.
#[test]
fn a_stranger_that_is_asked_while_it_is_connected_becomes_a_contact() {
    let mut world = world();
    let (of_alice, of_carol) = (world.invitation(ALICE, ""), world.invitation(CAROL, ""));
    world.add(CAROL, of_alice, "").unwrap();
    assert!(world.connect(CAROL, ALICE));
    world.run(ALICE, End::Whole);
    assert!(world.seen.treated.contains("stranger"));
    world.add(ALICE, of_carol, "").unwrap();
    world.settle();
    assert_eq!(world.states(ALICE, CAROL), [ContactState::Contact; 2]);
    assert_eq!(world.daemons[ALICE].sessions.len(), 1);
}

#[test]
fn a_stranger_that_is_blocked_while_it_is_connected_loses_its_session() {
    let mut world = world();
    let invitation = world.invitation(ALICE, "");
    world.add(CAROL, invitation, "").unwrap();
    assert!(world.connect(CAROL, ALICE));
    world.run(ALICE, End::Whole);
    world.change(ALICE, CAROL, ContactRequest::Block).unwrap();
    assert!(world.daemons[ALICE].sessions.is_empty());
    world.settle();
    assert_eq!(world.state(ALICE, CAROL), Some(ContactState::Blocked));
}

/// The peer with the larger id should close one of two crossed sessions, but each of two daemons with its
/// identity has only one of them.
#[test]
fn crossed_sessions_that_stay_open_are_closed_by_the_smaller_id() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    let (smaller, larger) = match world.id(ALICE) < world.id(BOB) {
        true => (ALICE, BOB),
        false => (BOB, ALICE),
    };
    let (of_smaller, of_larger) = (world.id(smaller), world.id(larger));
    world.cut(smaller, larger);
    world.lose_closes_of(larger);
    world.run(smaller, End::Whole);
    world.run(larger, End::Whole);
    world.daemons[smaller].wanted.insert(of_larger);
    world.daemons[larger].wanted.insert(of_smaller);
    assert!(world.connect(smaller, larger) && world.connect(larger, smaller));
    for daemon in [smaller, larger, smaller] {
        world.run(daemon, End::Whole);
    }
    assert_eq!(world.daemons[smaller].sessions.len(), 2);
    world.pass(9_000);
    world.run(smaller, End::Whole);
    assert_eq!(world.daemons[smaller].sessions.len(), 2);
    world.pass(2_000);
    world.run(smaller, End::Whole);
    assert_eq!(world.daemons[smaller].sessions.len(), 1);
}

/// The envelope of a message and the SKIP that replaces it are made in one batch: only the SKIP may leave.
#[test]
fn a_message_that_is_given_up_in_its_own_batch_does_not_leave() {
    let mut world = world();
    world.introduce(ALICE, BOB);
    let message = NewMessage {
        contact: world.id(BOB).to_string(),
        content: Content::new("", "never mind ".repeat(100)).unwrap(),
        ttl_s: 0,
        caller: String::new(),
        key: String::new(),
    };
    let contact = world.id(BOB).to_string();
    let daemon = &mut world.daemons[ALICE];
    drop(daemon.ask(|reply| MessageRequest::Send(message, reply)));
    drop(daemon.ask(|reply| remove(contact, reply)));
    let effects = daemon.run(End::Whole).unwrap();
    let envelopes = effects.into_iter().filter_map(|effect| match effect {
        Effect::Send(_, frame) => match *frame {
            Message::Envelope(envelope) => Some(envelope.sealed.len()),
            _ => None,
        },
        _ => None,
    });
    let lengths: Vec<usize> = envelopes.collect();
    assert!(lengths.iter().all(|length| *length < 500), "{lengths:?}");
}

#[test]
fn messages_are_acknowledged_on_the_session_that_brought_them() {
    let mut world = World::with_twin(1);
    let twin = CAROL;
    world.introduce(ALICE, BOB);
    world.cut(ALICE, BOB);
    world.run(BOB, End::Whole);
    let [first, .., last] = world.daemons.as_mut_slice() else {
        panic!("there are three");
    };
    last.copy_from(first);
    let (alice, bob) = (world.id(ALICE), world.id(BOB));
    // Bob dials Alice, and the twin dials Bob: neither Alice nor the twin sees both sessions.
    world.daemons[BOB].wanted.insert(alice);
    world.daemons[twin].wanted.insert(bob);
    assert!(world.connect(BOB, ALICE) && world.connect(twin, BOB));
    world.say(twin, BOB, "one").unwrap();
    for _ in 0..20 {
        while world.deliver() {}
        (0..3).for_each(|daemon| world.run(daemon, End::Whole));
    }
    let messages = world.daemons[twin].messages(bob);
    assert_eq!(messages[0].state, MessageState::Delivered);
}
