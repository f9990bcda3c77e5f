//! Grants, epochs and sealed messages (docs/spec/envelope.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::{Peer, rng};
use m2_crypto::envelope::ReceiveEpoch;

#[test]
fn messages_open_in_order() {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let mut send = alice.send_epoch(&bob, 1);
    let mut receive = ReceiveEpoch::accept(
        &mut rng(),
        &bob.identity,
        &bob.id,
        alice.identity.certificate(),
        &alice.id,
        send.grant(),
        common::NOW_S,
    )
    .unwrap();
    for n in 0..3 {
        let sealed = send.seal(&[n; 16], &[n; 100]).unwrap();
        let opened = receive.open(&sealed).unwrap();
        assert_eq!(opened.plaintext.as_slice(), &[n; 100]);
    }
}
