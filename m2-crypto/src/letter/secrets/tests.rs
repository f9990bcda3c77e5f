//! Tests of the set of letter secrets: single cases, and any order of events.

use super::*;
use crate::secret::Secret;
use proptest::prelude::*;

const NOW_S: u64 = 1_800_000_000;

fn name(number: u8) -> [u8; SESSION_NAME_BYTES] {
    [number; SESSION_NAME_BYTES]
}

fn secret(number: u8) -> LetterSecret {
    LetterSecret::new(name(number), Secret::new([number; 32]))
}

fn names(secrets: &LetterSecrets) -> Vec<u8> {
    let opening = secrets.opening();
    opening.iter().map(|secret| secret.session()[0]).collect()
}

fn with(numbers: impl IntoIterator<Item = u8>) -> LetterSecrets {
    let mut secrets = LetterSecrets::default();
    for number in numbers {
        secrets.take(secret(number));
    }
    secrets
}

#[test]
fn a_secret_seals_only_after_the_peer_committed_it() {
    let mut secrets = with([1, 2, 3]);
    assert_eq!(names(&secrets), [3, 2, 1]);
    assert_eq!(secrets.sealing(), None);
    assert!(secrets.peer_committed(&name(2)));
    assert_eq!(secrets.sealing(), Some(&secret(2)));
    assert!(secrets.peer_committed(&name(1)));
    assert_eq!(secrets.sealing(), Some(&secret(2)), "not an older one");
    assert!(!secrets.peer_committed(&name(4)));
    secrets.take(secret(2));
    assert_eq!(names(&secrets), [3, 2, 1], "no session twice");
}

#[test]
fn older_secrets_end_15_days_after_the_peer_seals_with_a_newer_one() {
    let mut secrets = with([1, 2, 3]);
    assert!(secrets.peer_seals_with(&name(2), NOW_S));
    assert_eq!(secrets.sealing(), Some(&secret(2)));
    assert_eq!(secrets.next_end_s(), Some(NOW_S + SECRET_KEPT_S));
    assert!(secrets.peer_seals_with(&name(3), NOW_S + 10));
    assert!(!secrets.expire(NOW_S + SECRET_KEPT_S - 1));
    assert!(secrets.expire(NOW_S + SECRET_KEPT_S));
    assert_eq!(names(&secrets), [3, 2], "the first end counts");
    assert!(secrets.expire(u64::MAX));
    assert_eq!(names(&secrets), [3], "the current one never ends");
    assert_eq!(secrets.next_end_s(), None);
    assert!(!secrets.peer_seals_with(&name(9), NOW_S));
}

#[test]
fn a_full_set_drops_what_is_least_likely_to_be_used() {
    let most = MAX_LETTER_SECRETS as u8;
    let mut secrets = with(1..=most);
    secrets.peer_seals_with(&name(3), NOW_S);
    secrets.take(secret(100));
    assert!(!names(&secrets).contains(&1), "the oldest that has an end");
    secrets.take(secret(101));
    assert!(!names(&secrets).contains(&2), "the other one");
    for number in 102..200 {
        secrets.take(secret(number));
        assert_eq!(names(&secrets).len(), MAX_LETTER_SECRETS);
        assert!(names(&secrets).contains(&3), "both sides seal with it");
        assert_eq!(secrets.sealing(), Some(&secret(3)));
        assert_eq!(names(&secrets).first(), Some(&number));
    }
    let kept = secrets.kept().to_vec();
    assert_eq!(LetterSecrets::new(kept.clone()), secrets);
    let doubled = [kept.clone(), kept].concat();
    assert_eq!(LetterSecrets::new(doubled).kept().len(), MAX_LETTER_SECRETS);
}

#[derive(Debug, Clone)]
enum Event {
    Take(u8),
    Committed(u8),
    SealsWith(u8),
    Passes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<u8>().prop_map(Event::Take),
        any::<u8>().prop_map(Event::Committed),
        any::<u8>().prop_map(Event::SealsWith),
        (0..SECRET_KEPT_S).prop_map(Event::Passes),
    ]
}

proptest! {
    #[test]
    fn bounds_and_order_hold_for_any_events(events in proptest::collection::vec(event(), 0..200)) {
        let (mut secrets, mut now_s) = (LetterSecrets::default(), NOW_S);
        let mut named = None;
        for event in events {
            match event {
                Event::Take(number) => {
                    secrets.take(secret(number));
                    prop_assert!(names(&secrets).contains(&number));
                }
                Event::Committed(number) => {
                    let known = names(&secrets).contains(&number);
                    prop_assert_eq!(secrets.peer_committed(&name(number)), known);
                }
                Event::SealsWith(number) => {
                    let known = secrets.peer_seals_with(&name(number), now_s);
                    prop_assert_eq!(known, names(&secrets).contains(&number));
                    named = if known { Some(number) } else { named };
                }
                Event::Passes(seconds) => {
                    now_s += seconds;
                    secrets.expire(now_s);
                }
            }
            prop_assert!(secrets.kept().len() <= MAX_LETTER_SECRETS);
            // The secret that the peer named last has no end, and all older ones have one, in the future.
            if let Some(named) = named {
                let mut from_named = secrets.kept().iter().skip_while(|kept| !kept.is_of(&name(named)));
                prop_assert!(from_named.next().is_some_and(|kept| kept.ends_s.is_none()));
                prop_assert!(from_named.all(|kept| kept.ends_s.is_some()));
            }
            prop_assert!(secrets.next_end_s().is_none_or(|ends_s| ends_s > now_s));
            if let Some(sealing) = secrets.sealing() {
                prop_assert!(names(&secrets).contains(&sealing.session()[0]));
            }
        }
    }
}
