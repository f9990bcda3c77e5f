//! What a peer states of places, and what only a signature proves.

use crate::sides::{Bob, Epoch, alice_is_new};
use bytes::Bytes;
use m2_net::delivery::{Conflict, Path};
use m2_net::wire::Places;
use m2_tests::sim::{ALICE, BOB, Event, Frame};

const MINUTE: u64 = 60_000;
const MOST: u64 = i64::MAX as u64;

impl Bob {
    /// Another session, in which alice states this.
    fn meet(&mut self, places: Places) -> Vec<Frame> {
        self.node.connect(self.now, Path::Direct);
        self.frames();
        self.take_places(places);
        let mut frames = self.frames();
        self.node.answer_loads(self.now);
        frames.extend(self.frames());
        frames
    }

    fn claim(&self, epoch: u64, expected: u64) -> Places {
        Places {
            following: self.node.incarnation(),
            following_epoch: epoch,
            expected,
            ..alice_is_new()
        }
    }
}

fn offers(frames: &[Frame]) -> usize {
    let is_offer = |frame: &&Frame| matches!(frame, Frame::Envelope { .. });
    frames.iter().filter(is_offer).count()
}

#[test]
fn a_claim_makes_one_incarnation_an_hour_and_warns_nobody() {
    let mut bob = Bob::new();
    bob.send("to alice");
    bob.settle();
    for session in 0..200_u64 {
        let claim = match session % 2 {
            0 => bob.claim(MOST, 1),
            _ => bob.claim(1, MOST),
        };
        let frames = bob.meet(claim);
        let renews = session % 60 == 0;
        assert_eq!(offers(&frames), usize::from(renews), "session {session}");
        bob.now = bob.now.plus(MINUTE);
    }
    assert_eq!(bob.node.counters().renewed, 4);
    assert_eq!(bob.node.counters().withheld, 196);
    assert!(bob.node.conflicts.is_empty());
    // Nothing of the outbox went.
    assert_eq!(offers(&bob.meet(alice_is_new())), 1);
}

#[test]
fn a_grant_proves_only_if_the_own_identity_signed_it() {
    let mut bob = Bob::new();
    bob.send("to alice");
    bob.settle();
    let own = bob.node.incarnation();
    let signed = Epoch::between(&BOB, &ALICE, own, 9).grant;
    let mut forged = signed.clone();
    *forged.last_mut().unwrap() ^= 1;
    let by_alice = Epoch::between(&ALICE, &BOB, own, 9).grant;
    for grant in [forged, by_alice] {
        let newest_grant = Bytes::from(grant);
        let claim = bob.claim(1, 1);
        let frames = bob.meet(Places {
            newest_grant,
            ..claim
        });
        assert_eq!(offers(&frames), 1);
        assert!(bob.node.conflicts.is_empty());
    }
    assert_eq!(bob.node.counters().renewed, 0);

    let claim = bob.claim(9, 1);
    let frames = bob.meet(Places {
        newest_grant: signed.into(),
        ..claim
    });
    assert_eq!(offers(&frames), 1);
    assert_eq!(bob.node.conflicts.get(&Conflict::OwnOlder), Some(&1));
    assert_ne!(bob.node.incarnation(), own);
}

#[test]
fn what_is_before_the_oldest_place_is_not_waited_for() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    let (ahead, last) = (alice.seal(5, "ahead"), alice.seal(8, "last"));
    bob.take(Some(&alice), &ahead).unwrap();
    bob.take(None, &last).unwrap();
    bob.expect_shown(&[]);
    let stated = Places {
        epoch: 1,
        oldest: 8,
        next: 9,
        ..alice_is_new()
    };
    bob.meet(stated.clone());
    bob.expect_shown(&[5, 8]);
    let lost = |event: &&Event| matches!(event, Event::Lost { missing: Some(6) });
    assert_eq!(bob.node.store.events.iter().filter(lost).count(), 1);
    // Never back, and told once.
    bob.meet(Places {
        oldest: 2,
        ..stated
    });
    let sixth = alice.seal(6, "in a place that was passed over");
    bob.take(None, &sixth).unwrap();
    bob.expect_shown(&[5, 8, 6]);
    let lost = |event: &&Event| matches!(event, Event::Lost { .. });
    assert_eq!(bob.node.store.events.iter().filter(lost).count(), 1);
}
