//! A peer that follows no rule cannot harm the delivery state machine (docs/spec/envelope.md,
//! docs/spec/delivery.md).
//!
//! Alice is the hostile peer. She holds her real key and seals arbitrary envelopes with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod payloads;
mod places;
mod sides;

use m2_crypto::envelope::{EpochHeader, MAX_MESSAGES};
use m2_delivery::{
    Ack, ContentHash, Limits, MAX_ACKS, MAX_SEQUENCE, Misdeed, Path, PayloadError, Time,
};
use m2_tests::sim::{ALICE, BOB, CAROL, Event, Frame};
use sides::{Bob, Epoch, NOW, id};

const DAY: u64 = 24 * 60 * 60 * 1_000;

#[test]
fn an_epoch_between_other_peers_opens_nothing() {
    let mut bob = Bob::new();
    let mut carols = Epoch::between(&CAROL, &BOB, 1, 1);
    let sealed = carols.seal(1, "from carol");
    assert_eq!(bob.take(Some(&carols), &sealed), Ok(()));
    bob.expect_nothing_acknowledged();
    for stranger in [carols, Epoch::between(&ALICE, &CAROL, 1, 1)] {
        let accepted = stranger.accepted();
        let result = bob.node.envelope_accepted(NOW, Some(accepted), &sealed);
        assert_eq!(result, Err(Misdeed::ForeignGrant));
    }
    bob.expect_nothing_acknowledged();
    bob.expect_shown(&[]);
}

#[test]
fn a_repeated_envelope_is_acknowledged_and_shown_once() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    let sealed = alice.seal(1, "once");
    for _ in 0..100 {
        assert_eq!(bob.take(Some(&alice), &sealed), Ok(()));
        assert_eq!(bob.acknowledged(), [id(1)]);
    }
    bob.expect_shown(&[1]);
    assert_eq!(bob.node.counters().duplicates, 99);
}

#[test]
fn altered_envelopes_are_never_acknowledged() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    let first = alice.seal(1, "first");
    bob.take(Some(&alice), &first).unwrap();
    bob.acknowledged();
    let sealed = alice.seal(2, "second");
    for at in 0..sealed.len() {
        let mut flipped = sealed.clone();
        flipped[at] ^= 1 << (at % 8);
        let _ = bob.take(None, &flipped);
        let _ = bob.take(None, &sealed[..at]);
        bob.expect_nothing_acknowledged();
    }
    assert_eq!(bob.take(None, &sealed), Ok(()));
    bob.expect_shown(&[1, 2]);
}

#[test]
fn own_messages_sent_back_are_refused() {
    let mut bob = Bob::new();
    let own = bob.send("bob's own");
    let frames = bob.frames();
    let Some(Frame::Envelope { grant, sealed }) = frames.first() else {
        panic!("nothing was sent");
    };
    let result = bob.node.envelope(NOW, grant.as_deref(), sealed);
    assert_eq!(result, Err(Misdeed::IdReused));
    let mut alice = Epoch::of_alice(1, 1);
    let taken = alice.seal_as(own, 1, "alice's, under bob's id");
    assert_eq!(bob.take(Some(&alice), &taken), Err(Misdeed::IdReused));
    bob.expect_nothing_acknowledged();
    bob.acknowledge(own);
    let again = alice.seal_as(own, 1, "again, when it is only history");
    assert_eq!(bob.take(None, &again), Err(Misdeed::IdReused));
    bob.expect_nothing_acknowledged();
    bob.expect_shown(&[]);
}

#[test]
fn a_flood_of_unknown_epochs_is_answered_eight_times_per_interval() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(7, 1);
    let sealed = alice.seal(1, "never opened");
    for minute in 0..3 {
        bob.now = NOW.plus(minute * 60_000);
        for number in 0_u64..2_000 {
            let mut foreign = sealed.clone();
            foreign[1..9].copy_from_slice(&number.to_be_bytes());
            foreign[9..17].copy_from_slice(&(minute * 2_000 + number).to_be_bytes());
            assert_eq!(bob.take(None, &foreign), Ok(()));
        }
        let frames = bob.frames();
        let refused = |frame: &Frame| matches!(frame, Frame::Refused(..));
        assert_eq!(frames.iter().filter(|frame| refused(frame)).count(), 8);
        assert_eq!(frames.len(), 8);
    }
    assert_eq!(bob.node.counters().unopened, 6_000);
}

/// Corrupts the tag of a sealed message.
fn forged(sealed: &[u8]) -> Vec<u8> {
    let mut forged = sealed.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    forged
}

/// The second message of an epoch, and the last one with a wrong tag.
fn far_ahead(alice: &mut Epoch) -> (Vec<u8>, Vec<u8>) {
    let next = alice.seal(2, "next");
    for n in 3..u64::from(MAX_MESSAGES) {
        alice.seal(n, "overtaken");
    }
    let far = alice.seal(u64::from(MAX_MESSAGES), "far ahead");
    (next, forged(&far))
}

#[test]
fn a_forged_message_far_ahead_costs_its_derivations_once() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    let first = alice.seal(1, "first");
    bob.take(Some(&alice), &first).unwrap();
    let (second, far) = far_ahead(&mut alice);
    let copies = 1_000;
    for _ in 0..copies {
        assert_eq!(bob.take(None, &far), Ok(()));
    }
    // One derivation for each seed that the message skips, and one for its own.
    let steps = u64::from(MAX_MESSAGES);
    let counters = bob.node.counters();
    assert_eq!(counters.forged, copies);
    assert!(counters.wasted_derivations <= steps + copies);
    // The derived seeds are kept and open the honest messages.
    assert_eq!(bob.take(None, &second), Ok(()));
    bob.expect_shown(&[1, 2]);
}

#[test]
fn wasted_derivations_are_bounded_per_peer_across_sessions() {
    let mut bob = Bob::new();
    let limits = Limits::default();
    // Alternates between two epochs, so that the seeds derived for one are of no use for the other.
    let far = [1, 2].map(|number| {
        let mut epoch = Epoch::of_alice(1, number);
        let first = epoch.seal(number, "first");
        bob.take(Some(&epoch), &first).unwrap();
        far_ahead(&mut epoch).1
    });
    let refused = (0..60).filter(|turn| bob.take(None, &far[turn % 2]) != Ok(()));
    assert!(refused.count() > 50);
    let wasted = bob.node.counters().wasted_derivations;
    assert!(wasted <= u64::from(limits.wasted_burst), "{wasted}");
    // A new session does not come with a new allowance.
    bob.node.disconnect(bob.now);
    bob.node.connect(bob.now, Path::Direct, 2);
    let mut epoch = Epoch::of_alice(1, 3);
    let third = epoch.seal(3, "third");
    assert_eq!(bob.take(Some(&epoch), &third), Err(Misdeed::TooMuchWork));
    // The allowance recovers with time only.
    bob.now = bob.now.plus(3_600_000);
    assert_eq!(bob.take(None, &third), Ok(()));
}

#[test]
fn a_peer_that_reuses_an_epoch_number_is_not_blamed() {
    let mut bob = Bob::new();
    let mut before = Epoch::of_alice(1, 1);
    let first = before.seal(1, "first");
    bob.take(Some(&before), &first).unwrap();
    // Alice lost that epoch, and opens another with the same number for all waiting messages.
    let mut again = Epoch::of_alice_with(1, 1, 7);
    for n in 0..Limits::default().window {
        let sealed = again.seal(n + 2, "again");
        assert_eq!(bob.take(None, &sealed), Ok(()), "message {n}");
    }
    assert!(bob.node.counters().forged > 1_000);
}

#[test]
fn acknowledgements_of_unknown_messages_change_nothing() {
    let mut bob = Bob::new();
    let own = bob.send("kept until it is acknowledged");
    bob.frames();
    let unknown = |n: usize| Ack {
        id: id(n as u64 + 100),
        hash: ContentHash([7; 32]),
    };
    for _ in 0..100 {
        let flood: Vec<Ack> = (0..MAX_ACKS).map(unknown).collect();
        assert_eq!(bob.take_acks(flood), Ok(()));
    }
    let too_many = (0..=MAX_ACKS).map(unknown).collect();
    assert_eq!(bob.take_acks(too_many), Err(Misdeed::TooManyAcks));
    let other = Ack {
        id: own,
        hash: ContentHash([7; 32]),
    };
    assert_eq!(bob.take_acks(vec![other]), Err(Misdeed::AckMismatch));
    assert!(bob.frames().is_empty());
    assert_eq!(bob.node.conversation().pending(), 1);
    let counted = 100 * MAX_ACKS as u64;
    assert_eq!(bob.node.counters().unknown_acks, counted);
}

#[test]
fn a_wrong_acknowledgement_does_not_void_the_others_in_its_frame() {
    let mut bob = Bob::new();
    let (first, second) = (bob.send("first"), bob.send("second"));
    let wrong = Ack {
        id: first,
        hash: ContentHash([7; 32]),
    };
    let right = bob.ack_of(second);
    assert_eq!(bob.take_acks(vec![wrong, right]), Err(Misdeed::AckMismatch));
    bob.frames();
    assert!(bob.node.store.outbox.contains_key(&first));
    assert!(!bob.node.store.outbox.contains_key(&second));
}

#[test]
fn a_flood_of_refusals_costs_one_epoch_per_interval() {
    let mut bob = Bob::new();
    for n in 0..20 {
        bob.send(&format!("message {n}"));
    }
    bob.frames();
    let interval = Limits::default().refusal_interval;
    for round in 0..5 {
        bob.now = NOW.plus(round * interval);
        for number in 0..500 {
            let own = bob.node.incarnation();
            bob.node.refuse(bob.now, own, number % 20);
            bob.node.refuse(bob.now, own ^ 1, number % 20);
            bob.node.tick(bob.now);
            bob.frames();
        }
        let opened = bob.newest_epoch();
        assert!(opened <= round + 2, "{opened} epochs after {round} rounds");
    }
    assert!(bob.newest_epoch() > 1);
    assert_eq!(bob.node.conversation().pending(), 20);
}

#[test]
fn refusals_of_earlier_epochs_cost_one_window_per_interval() {
    let limits = Limits {
        window: 8,
        epoch_messages: 5,
        ..Limits::default()
    };
    let mut bob = Bob::with(limits);
    for n in 0..20 {
        bob.send(&format!("message {n}"));
    }
    bob.frames();
    let before = bob.newest_epoch();
    assert!(before > 1);
    let own = bob.node.incarnation();
    for _ in 0..100 {
        for number in 1..=bob.newest_epoch() {
            bob.node.refuse(bob.now, own, number);
            bob.frames();
        }
    }
    // The first refusal of an earlier epoch, and the first of the current one.
    let opened = bob.newest_epoch() - before;
    assert!((1..=4).contains(&opened), "{opened}");
}

#[test]
fn without_a_session_a_refused_epoch_sets_no_timer_in_the_past() {
    let mut bob = Bob::new();
    bob.send("one");
    bob.frames();
    let own = bob.node.incarnation();
    bob.node.refuse(bob.now, own, 1);
    bob.frames();
    assert_eq!(bob.newest_epoch(), 2);
    bob.node.lose_session();
    for _ in 0..20 {
        bob.now = bob.now.plus(Limits::default().epoch_age);
        bob.node.tick(bob.now);
        bob.frames();
        let next = bob.node.conversation().next_timeout();
        assert!(next.is_none_or(|at| at > bob.now), "{next:?}");
    }
}

#[test]
fn sequence_numbers_out_of_range_are_refused_and_block_no_later_message() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    for sequence in [0, MAX_SEQUENCE + 1, u64::MAX] {
        let sealed = alice.seal_as(id(9), sequence, "nowhere");
        for _ in 0..3 {
            let refused = Err(Misdeed::Payload(PayloadError::Sequence));
            assert_eq!(bob.take(Some(&alice), &sealed), refused);
        }
        // A new epoch would not help, so bob does not ask for one.
        assert!(bob.frames().is_empty());
    }
    let sealed = alice.seal(1, "fine");
    assert_eq!(bob.take(None, &sealed), Ok(()));
    bob.expect_shown(&[1]);
}

#[test]
fn the_highest_sequence_number_causes_a_gap_and_no_overflow() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    let last = alice.seal_as(id(2), MAX_SEQUENCE, "the last");
    bob.take(Some(&alice), &last).unwrap();
    bob.expect_shown(&[]);
    bob.now = NOW.plus(DAY);
    bob.node.tick(bob.now);
    bob.frames();
    bob.expect_shown(&[2]);
    let late = alice.seal(1, "late");
    let again = alice.seal_as(id(3), MAX_SEQUENCE, "in a place that is taken");
    bob.take(None, &late).unwrap();
    bob.take(None, &again).unwrap();
    bob.expect_shown(&[2, 1, 3]);
    let gaps = |event: &&Event| matches!(event, Event::Gap { first: 1, missing, .. } if *missing == MAX_SEQUENCE - 1);
    assert_eq!(bob.node.store.events.iter().filter(gaps).count(), 1);
}

#[test]
fn a_reused_id_with_other_content_is_refused() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    let first = alice.seal_as(id(1), 1, "first");
    bob.take(Some(&alice), &first).unwrap();
    bob.acknowledged();
    for sequence in [1, 2, 3] {
        let other = alice.seal_as(id(1), sequence, "something else");
        assert_eq!(bob.take(None, &other), Err(Misdeed::IdReused));
        bob.expect_nothing_acknowledged();
    }
    let mut other_life = Epoch::of_alice(2, 1);
    let other = other_life.seal_as(id(1), 1, "in another incarnation");
    assert_eq!(bob.take(Some(&other_life), &other), Err(Misdeed::IdReused));
    bob.expect_nothing_acknowledged();
    bob.expect_shown(&[1]);
}

#[test]
fn held_messages_are_bounded() {
    let limits = Limits {
        max_held: 16,
        ..Limits::default()
    };
    let mut bob = Bob::with(limits);
    let mut alice = Epoch::of_alice(1, 1);
    for n in 1..200 {
        let sealed = alice.seal_as(id(n), n * 3, "every third place");
        bob.take(Some(&alice), &sealed).unwrap();
        bob.frames();
        assert!(bob.node.store.held.len() <= 16);
    }
    assert_eq!(bob.node.counters().released_early, 199 - 16);
}

#[test]
fn grants_are_bounded_in_number_and_time() {
    let mut bob = Bob::new();
    let most = Limits::default().grants_per_minute;
    let header = |epoch| EpochHeader {
        sender: ALICE.id,
        receiver: BOB.id,
        incarnation: 1,
        epoch,
        created_s: NOW.seconds(),
    };
    let wanted = (1..10_000).filter(|epoch| bob.node.wants_grant(NOW, &header(*epoch)));
    assert_eq!(wanted.count(), most as usize);
    let later = NOW.plus(60_000);
    assert!(bob.node.wants_grant(later, &header(1)));
    assert!(!bob.node.wants_grant(later, &header(u64::MAX)));
    assert!(!bob.node.wants_grant(NOW.plus(16 * DAY), &header(1)));
    assert!(!bob.node.wants_grant(Time(NOW.0 - 2 * DAY), &header(1)));
}

#[test]
fn an_older_epoch_is_not_accepted_again() {
    let mut bob = Bob::new();
    let (mut old, mut new) = (Epoch::of_alice(1, 4), Epoch::of_alice(1, 5));
    let (late, first) = (old.seal(2, "old"), new.seal(1, "new"));
    bob.take(Some(&new), &first).unwrap();
    bob.acknowledged();
    bob.take(Some(&old), &late).unwrap();
    let accepted = old.accepted();
    let result = bob.node.envelope_accepted(NOW, Some(accepted), &late);
    assert_eq!(result, Ok(()));
    bob.expect_nothing_acknowledged();
    bob.expect_shown(&[1]);
    assert_eq!(bob.node.counters().unwanted_grants, 1);
}

#[test]
fn incarnations_of_a_peer_are_bounded() {
    let limits = Limits {
        max_incarnations: 3,
        ..Limits::default()
    };
    let mut bob = Bob::with(limits);
    let numbers: Vec<u64> = (1..=10).collect();
    for incarnation in &numbers {
        let mut life = Epoch::of_alice(*incarnation, 1);
        let sealed = life.seal_as(id(*incarnation), 1, "a life");
        bob.take(Some(&life), &sealed).unwrap();
        assert_eq!(bob.acknowledged(), [id(*incarnation)]);
        assert!(bob.node.store.incarnations() <= 3);
    }
    bob.expect_shown(&numbers);
}
