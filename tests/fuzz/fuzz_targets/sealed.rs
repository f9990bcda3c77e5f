//! Sealed messages: opening a message never panics, and a failure leaves the epoch's state
//! unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::Secret;
use m2_crypto::envelope::{Ends, EpochSecret, ReceiveEpoch, SealedHeader, SendEpoch};
use m2_fuzz::{MESSAGE_ID, NOW_S, Peer, rng};
use std::sync::{LazyLock, Mutex};

static EPOCH: LazyLock<Mutex<(SendEpoch, ReceiveEpoch)>> = LazyLock::new(|| Mutex::new(open(1)));

fuzz_target!(|bytes: &[u8]| {
    let _ = SealedHeader::parse(bytes);
    let mut epoch = EPOCH.lock().expect("no other thread");
    let (_, receive) = &mut *epoch;
    let before = (receive.next_index(), receive.skipped());
    if receive.open(bytes).is_err() {
        assert_eq!((receive.next_index(), receive.skipped()), before);
    }
});

/// Returns both ends of an epoch after its first message.
fn open(number: u64) -> (SendEpoch, ReceiveEpoch) {
    let (alice, bob) = (Peer::alice(), Peer::bob());
    let header = alice.header(&bob, number);
    let certificate = bob.identity.certificate();
    let session = || EpochSecret::new([7; 8], Secret::new([9; 32]));
    let share = session().next_share();
    let mut send = SendEpoch::open(&mut rng(), &alice.identity, certificate, header, &share)
        .expect("an epoch");
    let ends = Ends {
        receiver: &bob.identity,
        receiver_id: bob.id,
        sender: alice.identity.certificate(),
        sender_id: alice.id,
    };
    let mut receive = ReceiveEpoch::accept(&mut rng(), &ends, &mut session(), send.grant(), NOW_S)
        .expect("its grant");
    let first = send.seal(&MESSAGE_ID, b"one").expect("a message");
    receive.open(&first).expect("its receiver");
    (send, receive)
}
