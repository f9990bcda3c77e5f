//! One test for each rule about letters and their tokens, with real engines and a provider that does
//! what each test needs.

use super::daemon::{End, Flaw};
use super::network::World;
use super::post::{ALICE, BOB, CAROL, DAY_MS, GRANTS, USES, change};
use m2_core::PathFailure;
use m2_crypto::deposit::{DepositToken, TokenVerifier};
use m2_crypto::letter::{LetterSecret, Opener};
use m2_crypto::provider;
use m2_engine::{ContactRequest, DepositEnd, MailboxInput};
use m2_store::MessageState;
use m2_wire::mailbox::{BoxState, Outcome};
use rand_core::UnwrapErr;

/// Returns a world in which Alice may leave letters in a box of Bob, and the two are apart.
pub(super) fn world() -> World {
    let mut world = World::new(1, Flaw::None);
    world.introduce(BOB, ALICE);
    world.register(BOB);
    world.policy(BOB, ALICE, GRANTS);
    world.policy(ALICE, BOB, USES);
    world.part(ALICE, BOB);
    world
}

/// Lets Alice write sixteen messages. Returns how many of them get a letter.
pub(super) fn letters_at_once(world: &mut World) -> usize {
    for number in 0..16 {
        world.say(ALICE, BOB, &number.to_string()).unwrap();
    }
    world.jobs(ALICE).len()
}

fn is_valid(world: &mut World, token: &DepositToken) -> bool {
    let (key, owner) = (world.box_key(BOB), world.id(BOB));
    let verifier = TokenVerifier::new(&mut UnwrapErr(getrandom::SysRng));
    let now_s = world.daemons[BOB].now_s();
    verifier.verify(&owner, Some(&key), token, now_s).is_ok()
}

pub(super) const STORED: DepositEnd = DepositEnd::Answered(Outcome::Stored);
const REFUSED: DepositEnd = DepositEnd::Answered(Outcome::Refused);

#[test]
fn a_letter_is_taken_once() {
    let mut world = world();
    let id = world.say(ALICE, BOB, "hello").unwrap();
    let (job, letter) = world.letter(ALICE);
    assert!(is_valid(&mut world, &letter.token));
    world.end(ALICE, &job, STORED);
    let peer = world.id(BOB);
    let sent = world.daemons[ALICE].messages(peer);
    assert_eq!((sent[0].id, sent[0].state), (id, MessageState::Deposited));
    assert!(world.collect(BOB, &letter));
    assert_eq!(world.texts(BOB, ALICE), ["hello"]);
    assert!(!world.collect(BOB, &letter), "the one-time key is erased");
    world.settle();
    assert_eq!(world.texts(BOB, ALICE), ["hello"]);
}

#[test]
fn junk_under_a_nonce_that_was_seen_uses_no_key_up() {
    let mut world = world();
    world.say(ALICE, BOB, "hello").unwrap();
    let (_, letter) = world.letter(ALICE);
    let mut altered = letter.sealed.clone();
    altered[2_000] ^= 1;
    for junk in [&vec![7; 4_096], &altered, &letter.sealed[..4_095].to_vec()] {
        assert!(world.open(BOB, &letter.token, junk).is_none());
    }
    assert!(world.collect(BOB, &letter));
}

#[test]
fn a_letter_opens_under_its_own_nonce_only() {
    let mut world = world();
    world.say(ALICE, BOB, "one").unwrap();
    world.say(ALICE, BOB, "two").unwrap();
    let jobs = world.jobs(ALICE);
    let one = world.seal(ALICE, &jobs[0]).unwrap();
    let two = world.seal(ALICE, &jobs[1]).unwrap();
    assert!(world.open(BOB, &one.token, &two.sealed).is_none());
    assert!(world.open(BOB, &two.token, &one.sealed).is_none());
    assert!(world.collect(BOB, &one) && world.collect(BOB, &two));
}

#[test]
fn a_token_of_one_contact_admits_no_letter_of_another() {
    let mut world = world();
    world.introduce(BOB, CAROL);
    world.policy(BOB, CAROL, GRANTS);
    world.policy(CAROL, BOB, USES);
    world.settle();
    world.cut(CAROL, BOB);
    world.cut(ALICE, BOB);
    (ALICE..=CAROL).for_each(|daemon| world.run(daemon, End::Whole));
    world.say(ALICE, BOB, "from alice").unwrap();
    world.say(CAROL, BOB, "from carol").unwrap();
    let (_, of_alice) = world.letter(ALICE);
    let (_, of_carol) = world.letter(CAROL);
    assert_eq!(
        world.keys(BOB, &of_carol.token).unwrap().sender,
        world.id(CAROL)
    );
    assert!(world.open(BOB, &of_carol.token, &of_alice.sealed).is_none());
    assert!(world.collect(BOB, &of_alice) && world.collect(BOB, &of_carol));
}

#[test]
fn a_refused_token_is_given_up_and_replaced() {
    let mut world = world();
    world.say(ALICE, BOB, "hello").unwrap();
    let (job, refused) = world.letter(ALICE);
    world.end(ALICE, &job, REFUSED);
    assert_eq!(world.failure(ALICE, BOB), Some(PathFailure::MailboxRefused));
    world.pass(DAY_MS / 24);
    let (job, other) = world.letter(ALICE);
    assert_ne!(other.token, refused.token);
    world.end(ALICE, &job, STORED);
    world.part(ALICE, BOB);
    assert!(
        world.keys(BOB, &refused.token).is_none(),
        "its key is erased"
    );
    // One of 16 is replaced; that of the letter that waits is not.
    assert_eq!(letters_at_once(&mut world), 15);
}

#[test]
fn a_contact_that_uses_its_tokens_gets_more() {
    let mut world = world();
    for number in 0..100 {
        world.say(ALICE, BOB, &number.to_string()).unwrap();
    }
    let first = world.jobs(ALICE);
    assert_eq!(first.len(), 16);
    for job in &first {
        let letter = world.seal(ALICE, job).unwrap();
        world.end(ALICE, job, STORED);
        assert!(world.collect(BOB, &letter));
    }
    assert!(world.jobs(ALICE).is_empty());
    assert_eq!(world.failure(ALICE, BOB), Some(PathFailure::NoToken));
    world.part(ALICE, BOB);
    assert_eq!(world.texts(BOB, ALICE).len(), 100, "by session");
    assert_eq!(world.failure(ALICE, BOB), None, "it has tokens again");
    for number in 0..100 {
        world.say(ALICE, BOB, &number.to_string()).unwrap();
    }
    assert_eq!(world.jobs(ALICE).len(), 64);
}

#[test]
fn withdrawn_consent_leaves_no_key_and_later_consent_gives_other_tokens() {
    let mut world = world();
    world.say(ALICE, BOB, "before").unwrap();
    let (job, letter) = world.letter(ALICE);
    world.end(ALICE, &job, STORED);
    world.policy(BOB, ALICE, change(Some(false), None));
    assert!(world.keys(BOB, &letter.token).is_none());
    world.policy(BOB, ALICE, GRANTS);
    world.part(ALICE, BOB);
    world.say(ALICE, BOB, "after").unwrap();
    let (_, later) = world.letter(ALICE);
    assert!(world.collect(BOB, &later));
    assert_eq!(world.texts(BOB, ALICE), ["before", "after"]);
}

#[test]
fn a_new_box_key_ends_all_tokens_and_no_letter_that_waits() {
    let mut world = world();
    world.say(ALICE, BOB, "waits").unwrap();
    let (job, waits) = world.letter(ALICE);
    world.end(ALICE, &job, STORED);
    let provider = world.id(CAROL).to_string();
    let rekeyed = world.daemons[BOB].ask(|reply| MailboxInput::Rekey(provider, reply));
    assert!(!world.answer(BOB, rekeyed).unwrap().row.key_known);
    assert!(!is_valid(&mut world, &waits.token));
    assert!(world.collect(BOB, &waits));
    // The provider does not have the new key yet: there is no box to offer.
    world.part(ALICE, BOB);
    world.say(ALICE, BOB, "later").unwrap();
    assert!(world.jobs(ALICE).is_empty());
    world.provider_confirms(BOB);
    world.part(ALICE, BOB);
    world.say(ALICE, BOB, "last").unwrap();
    let (_, last) = world.letter(ALICE);
    assert!(is_valid(&mut world, &last.token));
    assert!(world.collect(BOB, &last));
    assert_eq!(world.texts(BOB, ALICE), ["waits", "later", "last"]);
}

#[test]
fn a_restored_owner_has_another_key_and_gives_other_tokens() {
    let mut world = world();
    world.say(ALICE, BOB, "lost").unwrap();
    let (job, lost) = world.letter(ALICE);
    world.end(ALICE, &job, STORED);
    let before = world.box_key(BOB);
    world.daemons[BOB].restore();
    assert_ne!(world.box_key(BOB), before);
    assert!(!world.mailbox(BOB).row.key_known);
    assert!(world.keys(BOB, &lost.token).is_none());
    world.provider_confirms(BOB);
    world.part(ALICE, BOB);
    world.say(ALICE, BOB, "found").unwrap();
    let (_, found) = world.letter(ALICE);
    assert!(is_valid(&mut world, &found.token));
    assert!(world.collect(BOB, &found));
    assert_eq!(world.texts(BOB, ALICE), ["lost", "found"]);
}

#[test]
fn a_restored_sender_gets_other_tokens() {
    let mut world = world();
    world.say(ALICE, BOB, "one").unwrap();
    let (job, one) = world.letter(ALICE);
    world.end(ALICE, &job, STORED);
    world.daemons[ALICE].restore();
    assert!(world.jobs(ALICE).is_empty(), "it has no token");
    world.part(ALICE, BOB);
    assert!(world.collect(BOB, &one), "the letter waited");
    assert_eq!(letters_at_once(&mut world), 16);
}

#[test]
fn tokens_that_were_lost_on_the_way_are_given_again() {
    let mut world = World::new(1, Flaw::None);
    world.introduce(BOB, ALICE);
    world.register(BOB);
    world.policy(ALICE, BOB, USES);
    world.settle();
    // The tokens are under way when the session ends.
    world.policy(BOB, ALICE, GRANTS);
    world.cut(ALICE, BOB);
    world.part(ALICE, BOB);
    world.say(ALICE, BOB, "hello").unwrap();
    let (_, letter) = world.letter(ALICE);
    assert!(world.collect(BOB, &letter));
    assert_eq!(letters_at_once(&mut world), 15);
}

#[test]
fn tokens_end_with_their_period_and_their_keys_later() {
    let mut world = world();
    world.say(ALICE, BOB, "hello").unwrap();
    let (_, letter) = world.letter(ALICE);
    assert!(world.keys(BOB, &letter.token).is_some());
    world.pass(8 * 7 * DAY_MS);
    assert!(!is_valid(&mut world, &letter.token));
    world.pass(9 * DAY_MS);
    world.run(BOB, End::Whole);
    assert!(world.keys(BOB, &letter.token).is_none());
    world.part(ALICE, BOB);
    assert_eq!(letters_at_once(&mut world), 16);
}

#[test]
fn no_letter_goes_to_a_provider_that_keeps_a_box_of_the_sender() {
    let mut world = world();
    world.register(ALICE);
    world.say(ALICE, BOB, "hello").unwrap();
    assert!(world.jobs(ALICE).is_empty());
    assert_eq!(world.failure(ALICE, BOB), Some(PathFailure::OwnProvider));
}

/// Whoever has everything that Bob has at one moment opens no letter that is sealed after the next session.
#[test]
fn letters_after_a_session_need_its_secret() {
    let mut world = world();
    world.say(ALICE, BOB, "before").unwrap();
    let (job, before) = world.letter(ALICE);
    world.end(ALICE, &job, STORED);
    let stolen = world.keys(BOB, &before.token).unwrap().secrets;
    world.part(ALICE, BOB);
    world.say(ALICE, BOB, "after").unwrap();
    let (_, after) = world.letter(ALICE);
    let mut keys = world.keys(BOB, &after.token).unwrap();
    keys.secrets = stolen;
    let secrets: Vec<&LetterSecret> = keys.secrets.iter().collect();
    let opener = Opener {
        identity: &world.daemons[BOB].identity,
        peer_id: &world.daemons[BOB].id,
        nonce: after.token.nonce(),
        key: &keys.seed.key(provider::default()).unwrap(),
        secrets: &secrets,
        sender: &keys.sender,
        certificate: &keys.certificate,
    };
    let mut rng = UnwrapErr(getrandom::SysRng);
    assert!(opener.open(&mut rng, &after.sealed).is_err());
    assert!(world.collect(BOB, &after));
    // The letter before was sealed with an earlier secret, which is kept.
    assert!(world.collect(BOB, &before));
}

/// The acknowledgement of a message deletes its letter, whose deposit was not confirmed.
#[test]
fn the_token_of_a_letter_that_is_not_needed_any_more_is_replaced() {
    let mut world = world();
    world.say(ALICE, BOB, "hello").unwrap();
    let (job, letter) = world.letter(ALICE);
    world.end(ALICE, &job, DepositEnd::Failed(PathFailure::NoAnswer));
    // In this session the message is acknowledged, in the next one the token is given up.
    world.part(ALICE, BOB);
    world.part(ALICE, BOB);
    assert!(world.keys(BOB, &letter.token).is_none());
    assert_eq!(letters_at_once(&mut world), 16);
}

/// A letter that is not taken leaves its box after a week. Its token does not count any more.
#[test]
fn the_token_of_a_letter_that_expired_is_replaced() {
    let mut world = world();
    world.say(ALICE, BOB, "hello").unwrap();
    let (job, letter) = world.letter(ALICE);
    world.end(ALICE, &job, STORED);
    world.pass(7 * DAY_MS);
    world.part(ALICE, BOB);
    assert!(
        world.keys(BOB, &letter.token).is_some(),
        "it may be on its way"
    );
    world.pass(2 * DAY_MS);
    world.part(ALICE, BOB);
    assert!(world.keys(BOB, &letter.token).is_none());
    assert_eq!(world.tokens(ALICE, BOB), 16);
}

#[test]
fn each_box_has_its_share_of_the_tokens() {
    let mut world = world();
    assert_eq!(world.tokens(ALICE, BOB), 16);
    world.register_at(BOB, ALICE);
    world.part(ALICE, BOB);
    assert_eq!(
        world.tokens(ALICE, BOB),
        16 + 8,
        "the first box has more than its share"
    );
    let provider = world.id(CAROL).to_string();
    let removed = world.daemons[BOB].ask(|reply| MailboxInput::Remove(provider, reply));
    assert!(
        !world.answer(BOB, removed).unwrap(),
        "not without the provider"
    );
    world.part(ALICE, BOB);
    assert_eq!(world.tokens(ALICE, BOB), 16);
    world.say(ALICE, BOB, "hello").unwrap();
    let (job, letter) = world.letter(ALICE);
    assert_eq!(job.provider, world.id(ALICE));
    assert!(world.collect(BOB, &letter));
}

/// A contact that gives its tokens up gets a bounded number of others.
#[test]
fn tokens_of_a_day_are_bounded() {
    let mut world = world();
    for _ in 0..40 {
        world.say(ALICE, BOB, "hello").unwrap();
        for job in world.jobs(ALICE) {
            for _ in 0..8 {
                if world.seal(ALICE, &job).is_some() {
                    world.end(ALICE, &job, REFUSED);
                }
            }
        }
        world.part(ALICE, BOB);
    }
    let start = world.tokens(ALICE, BOB);
    assert!(start < 16, "{start} tokens are left");
    world.pass(DAY_MS);
    world.part(ALICE, BOB);
    world.part(ALICE, BOB);
    assert_eq!(world.tokens(ALICE, BOB), 16);
}

/// Consent ends with the contact: when the two become contacts again, earlier boxes and tokens do not count.
#[test]
fn a_contact_that_is_added_again_has_no_earlier_box() {
    let mut world = world();
    world.settle();
    let name = world.id(ALICE).to_string();
    let removed = world.daemons[BOB].ask(|reply| ContactRequest::Remove {
        contact: name,
        history: false,
        reply,
    });
    world.answer(BOB, removed).unwrap();
    world.introduce(BOB, ALICE);
    world.part(ALICE, BOB);
    assert_eq!(world.tokens(ALICE, BOB), 0);
    world.say(ALICE, BOB, "hello").unwrap();
    assert!(world.jobs(ALICE).is_empty());
}

/// A provider that lost the box refuses it: its tokens are void, and contacts learn it in the session that
/// is up.
#[test]
fn a_box_that_its_provider_refuses_is_offered_no_longer() {
    let mut world = world();
    world.settle();
    assert_eq!(world.tokens(ALICE, BOB), 16);
    let row = world.mailbox(BOB).row;
    let told = world.daemons[BOB]
        .ask(|reply| MailboxInput::State(row.row, BoxState::default(), row.key, reply));
    world.answer(BOB, told).unwrap();
    world.settle();
    assert_eq!(world.tokens(ALICE, BOB), 0);
}

/// The session ends when some of the tokens have arrived, and before Bob has heard of them.
#[test]
fn tokens_that_were_not_confirmed_are_given_again() {
    let mut world = world();
    for number in 0..10 {
        world.say(ALICE, BOB, &number.to_string()).unwrap();
    }
    for job in world.jobs(ALICE) {
        let letter = world.seal(ALICE, &job).unwrap();
        world.end(ALICE, &job, STORED);
        assert!(world.collect(BOB, &letter));
    }
    let before = world.tokens(ALICE, BOB);
    assert_eq!(before, 6);
    assert!(world.connect(ALICE, BOB) || world.connect(BOB, ALICE));
    while world.tokens(ALICE, BOB) == before {
        for daemon in [ALICE, BOB] {
            world.run(daemon, End::Whole);
        }
        assert!(world.deliver(), "no token is on its way");
        world.run(ALICE, End::Whole);
    }
    let some = world.tokens(ALICE, BOB);
    assert!(some < 64, "{some} tokens came at once");
    world.cut(ALICE, BOB);
    world.part(ALICE, BOB);
    assert_eq!(world.tokens(ALICE, BOB), 64);
}
