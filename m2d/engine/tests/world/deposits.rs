//! The attempts to deposit a letter: when it is sealed, and what happens after each outcome.

use super::letters::{STORED, letters_at_once, world};
use super::post::{ALICE, BOB, DAY_MS};
use m2_core::PathFailure;
use m2_engine::DepositEnd;

#[test]
fn a_token_is_used_only_when_its_letter_can_be_deposited() {
    let mut world = world();
    world.say(ALICE, BOB, "hello").unwrap();
    for _ in 0..20 {
        let jobs = world.jobs(ALICE);
        world.end(ALICE, &jobs[0], DepositEnd::Failed(PathFailure::NoAnswer));
        world.pass(DAY_MS / 24);
    }
    assert_eq!(world.failure(ALICE, BOB), Some(PathFailure::NoAnswer));
    // The contact comes back before the letter is deposited: it is not sealed.
    let jobs = world.jobs(ALICE);
    world.settle();
    assert!(world.seal(ALICE, &jobs[0]).is_none());
    assert_eq!(world.texts(BOB, ALICE), ["hello"]);
    world.part(ALICE, BOB);
    assert_eq!(letters_at_once(&mut world), 16, "all tokens are left");
}

/// Letters that wait for session keys together must not be deposited together.
#[test]
fn a_letter_that_lacks_a_session_key_waits_for_another_random_delay() {
    let mut world = world();
    for text in ["one", "two", "three"] {
        world.say(ALICE, BOB, text).unwrap();
    }
    let mut jobs = world.jobs(ALICE);
    for _ in 0..10 {
        assert_eq!(jobs.len(), 3);
        for job in &jobs {
            world.end(ALICE, job, DepositEnd::NoKey);
        }
        assert_eq!(world.failure(ALICE, BOB), None);
        let together = world.jobs_now(ALICE);
        assert!(together.is_empty(), "{}", together.len());
        jobs = world.jobs(ALICE);
    }
    let letters = jobs.iter().filter_map(|job| world.seal(ALICE, job));
    assert_eq!(letters.count(), 3, "no token was used up");
}

#[test]
fn an_attempt_without_an_answer_is_repeated_with_the_same_letter() {
    let mut world = world();
    world.say(ALICE, BOB, "hello").unwrap();
    let (job, letter) = world.letter(ALICE);
    world.end(ALICE, &job, DepositEnd::Failed(PathFailure::NoAnswer));
    let (_, again) = world.letter(ALICE);
    assert_eq!(again.token, letter.token);
    assert_eq!(again.sealed, letter.sealed);
    world.daemons[ALICE].start();
    let (_, restarted) = world.letter(ALICE);
    assert_eq!(restarted.sealed, letter.sealed);
}

#[test]
fn a_letter_that_waits_too_long_is_sealed_again_under_another_token() {
    let mut world = world();
    world.say(ALICE, BOB, "hello").unwrap();
    let (job, letter) = world.letter(ALICE);
    world.end(ALICE, &job, DepositEnd::Failed(PathFailure::NoAnswer));
    world.pass(6 * DAY_MS);
    assert_eq!(world.letter(ALICE).1.sealed, letter.sealed);
    world.pass(DAY_MS);
    let (_, again) = world.letter(ALICE);
    assert_ne!(again.token, letter.token);
    assert!(world.collect(BOB, &again));
    assert!(world.collect(BOB, &letter), "a duplicate is harmless");
    assert_eq!(world.texts(BOB, ALICE), ["hello"]);
}

#[test]
fn a_deposited_letter_is_followed_by_another_after_seven_days() {
    let mut world = world();
    world.say(ALICE, BOB, "hello").unwrap();
    let (job, letter) = world.letter(ALICE);
    world.end(ALICE, &job, STORED);
    world.pass(6 * DAY_MS);
    assert!(world.jobs(ALICE).is_empty());
    world.pass(DAY_MS);
    let (_, again) = world.letter(ALICE);
    assert_ne!(again.token, letter.token);
}
