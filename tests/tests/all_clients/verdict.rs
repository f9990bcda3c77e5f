//! What bob's daemon has in the end.

use crate::scene::Scene;
use m2_tests::scenario::Pair;
use std::collections::BTreeMap;

/// Checks that bob's daemon has each message once, and those of each client in order. Returns their numbers.
pub(crate) async fn each_once_and_in_order(pair: &Pair, scene: &Scene) -> BTreeMap<String, usize> {
    let (alice, bob) = pair.apis().await.unwrap();
    alice.await_empty_outbox().await.unwrap();
    bob.await_empty_outbox().await.unwrap();
    let mut received: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for text in bob.received("alice").await.unwrap() {
        let (stream, number) = text.split_once(' ').unwrap();
        let numbers = received.entry(stream.to_owned()).or_default();
        numbers.push(number.parse().unwrap());
    }
    for stream in scene.streams() {
        if stream != "feed" {
            check(stream, scene.confirmed(stream), received.get(stream));
        }
    }
    let counted = received.into_iter();
    counted
        .map(|(name, numbers)| (name, numbers.len()))
        .collect()
}

/// A message that was sent and not confirmed before the client was killed for the last time may be there, too.
fn check(stream: &str, confirmed: u64, received: Option<&Vec<u64>>) {
    let received = received.map(Vec::as_slice).unwrap_or_default();
    let wrong = (0..)
        .zip(received)
        .find(|(expected, number)| expected != *number);
    assert_eq!(wrong, None, "{stream}: lost, repeated or out of order");
    let there = received.len() as u64;
    assert!(
        there >= confirmed,
        "{stream}: {there} of {confirmed} arrived"
    );
}
