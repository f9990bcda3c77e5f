//! Sealed messages: opening a message never panics, and a failure leaves the epoch's state
//! unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::envelope::{ReceiveEpoch, SealedHeader, SendEpoch};
use m2_fuzz::{MESSAGE_ID, NOW_S, Peer, rng};
use std::sync::LazyLock;

static STATE: LazyLock<Vec<u8>> = LazyLock::new(epoch);

fuzz_target!(|bytes: &[u8]| {
    let _ = SealedHeader::parse(bytes);
    let Ok(mut epoch) = ReceiveEpoch::from_bytes(&STATE) else {
        panic!("an epoch's own state");
    };
    if epoch.open(bytes).is_err() {
        assert_eq!(*epoch.to_bytes(), *STATE);
    }
    let _ = ReceiveEpoch::from_bytes(bytes);
    let _ = SendEpoch::from_bytes(bytes);
});

/// Returns the receiver's encoded epoch after it opened a first message.
fn epoch() -> Vec<u8> {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let header = alice.header(&bob, 1);
    let certificate = bob.identity.certificate();
    let mut send =
        SendEpoch::open(&mut rng(), &alice.identity, certificate, header).expect("an epoch");
    let mut receive = ReceiveEpoch::accept(
        &mut rng(),
        &bob.identity,
        &bob.id,
        alice.identity.certificate(),
        &alice.id,
        send.grant(),
        NOW_S,
    )
    .expect("its grant");
    let first = send.seal(&MESSAGE_ID, b"one").expect("a message");
    receive.open(&first).expect("its receiver");
    receive.to_bytes().to_vec()
}
