//! Places that a peer states, and claims that only a signature proves.

use crate::sides::{Bob, Epoch, alice_is_new};
use bytes::Bytes;
use m2_crypto::envelope::Grant;
use m2_crypto::label;
use m2_delivery::{Conflict, Path};
use m2_net::wire::Places;
use m2_tests::sim::{ALICE, BOB, Event, Frame};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// The length of a signature, in bytes.
const MODULUS_BYTES: usize = 512;
const MINUTE: u64 = 60_000;
const MOST: u64 = i64::MAX as u64;

impl Bob {
    /// Opens another session in which alice states these places. Returns bob's frames.
    fn meet(&mut self, places: Places) -> Vec<Frame> {
        self.node.connect(self.now, Path::Direct, 2);
        self.frames();
        self.take_places(places);
        self.frames()
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
fn unproven_claims_renew_one_incarnation_per_hour_without_a_warning() {
    let mut bob = Bob::new();
    bob.send("to alice");
    bob.frames();
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
    // The outbox still holds its message.
    assert_eq!(offers(&bob.meet(alice_is_new())), 1);
}

#[test]
fn a_grant_proves_a_claim_only_if_the_local_identity_signed_it() {
    let mut bob = Bob::new();
    bob.send("to alice");
    bob.frames();
    let own = bob.node.incarnation();
    let signed = Epoch::between(&BOB, &ALICE, own, 9).grant;
    let mut forged = signed.clone();
    *forged.last_mut().unwrap() ^= 1;
    let by_alice = Epoch::between(&ALICE, &BOB, own, 9).grant;
    let malformed = of_another_kind(&signed);
    for grant in [forged, by_alice, malformed] {
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

/// Signs the grant as bob, with another kind than the only one.
fn of_another_kind(grant: &[u8]) -> Vec<u8> {
    let mut unsigned = grant[..grant.len() - MODULUS_BYTES].to_vec();
    unsigned[1] = 2;
    let message = label::encode("grant", &[&unsigned]);
    let mut rng = StdRng::seed_from_u64(3);
    let signature = BOB.identity.sign(&mut rng, &message).unwrap();
    [unsigned, signature].concat()
}

#[test]
fn a_resumed_session_offers_what_the_peers_last_statement_allows() {
    let mut bob = Bob::new();
    bob.send("to alice");
    bob.frames();
    bob.node.resume(bob.now, None);
    assert_eq!(offers(&bob.frames()), 0, "nothing was stated yet");
    bob.node.resume(bob.now, Some(&alice_is_new()));
    assert_eq!(offers(&bob.frames()), 1);
    // A claim that does not match is judged again on each resumption.
    let claim = bob.claim(MOST, 1);
    bob.meet(claim);
    bob.node.resume(bob.now, None);
    let again = bob.claim(MOST, 1);
    bob.node.resume(bob.now, Some(&again));
    assert_eq!(offers(&bob.frames()), 0);
}

#[test]
fn settled_places_are_not_waited_for() {
    let mut bob = Bob::new();
    let mut alice = Epoch::of_alice(1, 1);
    let (third, sixth) = (alice.seal(3, "third"), alice.seal(6, "sixth"));
    bob.take(Some(&alice), &third).unwrap();
    bob.take(None, &sixth).unwrap();
    bob.expect_shown(&[]);
    let stated = Places {
        epoch: 1,
        oldest: 1,
        next: 7,
        settled: vec![2..4, 5..6],
        ..alice_is_new()
    };
    bob.meet(stated);
    bob.expect_shown(&[]);
    // Places 2 and 5 are settled and were never taken. Places 1 and 4 can still arrive.
    let lost = |event: &&Event| matches!(event, Event::Lost { missing: Some(2) });
    assert_eq!(bob.node.store.events.iter().filter(lost).count(), 1);
    let (first, fourth) = (alice.seal(1, "first"), alice.seal(4, "fourth"));
    bob.take(None, &first).unwrap();
    bob.expect_shown(&[1, 3]);
    bob.take(None, &fourth).unwrap();
    bob.expect_shown(&[1, 3, 4, 6]);
}

#[test]
fn places_before_the_oldest_are_not_waited_for() {
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
    // The oldest place never moves back, and the loss is reported once.
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

/// Returns the grant that accompanies the offers in these frames.
fn grant_of(frames: &[Frame]) -> Bytes {
    let grant = frames.iter().find_map(|frame| match frame {
        Frame::Envelope { grant, .. } => grant.clone(),
        _ => None,
    });
    grant.unwrap().into()
}

/// A copy of a store that takes a new incarnation in the very second in which the incarnation of the
/// original began is noticed at once, not with the next epoch a day later.
#[test]
fn a_copy_is_noticed_within_the_second_in_which_an_incarnation_began() {
    let with_a_message = || {
        let mut bob = Bob::new();
        bob.send("to alice");
        let frames = bob.frames();
        (bob, grant_of(&frames))
    };
    let ((mut original, _), (mut copy, before)) = (with_a_message(), with_a_message());
    assert_eq!(original.node.incarnation(), copy.node.incarnation());
    let claim = copy.claim(1, MOST);
    let renewed = grant_of(&copy.meet(claim));
    assert_ne!(original.node.incarnation(), copy.node.incarnation());

    let shows = |newest_grant: &Bytes| Places {
        following: Grant::parse(newest_grant).unwrap().header().incarnation,
        following_epoch: 1,
        expected: 1,
        newest_grant: newest_grant.clone(),
        ..alice_is_new()
    };
    original.meet(shows(&renewed));
    assert_eq!(original.node.conflicts.get(&Conflict::OwnTwice), Some(&1));
    // The copy itself signed nothing that it does not know.
    copy.meet(shows(&before));
    assert!(copy.node.conflicts.is_empty());
}
