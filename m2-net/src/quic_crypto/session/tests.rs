use super::*;
use crate::quic_crypto::{OffLoad, code};
use bytes::BytesMut;
use m2_crypto::handshake::Credential;
use m2_crypto::{Circle, provider};
use quinn_proto::TransportErrorCode;

fn identity() -> Arc<Identity> {
    let pem = include_str!("../../../../tests/vectors/identities/bob.pem");
    Arc::new(Identity::from_pem(pem, None, provider::default()).unwrap())
}

fn key() -> SessionKeyPair {
    SessionKeyPair::generate(&mut rng(), provider::default()).unwrap()
}

fn pair() -> (HandshakeSession, HandshakeSession) {
    let circle = *Circle::public().id();
    let context = CryptoContext::new(circle, provider::default(), Arc::new(|| 20_000));
    let context = Arc::new(context.off_load(OffLoad::Inline));
    let responder = identity().peer_id(&circle);
    let call = Call {
        circle,
        responder,
        credential: Credential::Anonymous,
    };
    let params = TransportParameters::read(Side::Client, &mut [].as_slice()).unwrap();
    let i = HandshakeSession::dial(context.clone(), call, key(), &params, None).unwrap();
    let r = HandshakeSession::answer(context, responder, identity(), Some(key()), &params);
    (i, r)
}

fn write(session: &mut HandshakeSession) -> (Vec<u8>, Option<Keys>) {
    let mut bytes = Vec::new();
    let keys = session.write_handshake(&mut bytes);
    (bytes, keys)
}

/// Returns whether a packet sealed by `from` opens at `to`.
fn fit(from: &KeyPair<Box<dyn PacketKey>>, to: &KeyPair<Box<dyn PacketKey>>) -> bool {
    let mut packet = b"head payload and room for tag...".to_vec();
    from.local.encrypt(7, &mut packet, 4);
    let mut sealed = BytesMut::from(&packet[4..]);
    to.remote.decrypt(7, b"head", &mut sealed).is_ok() && &sealed[..] == b" payload and"
}

#[test]
fn flights_come_in_the_order_that_quinn_needs() {
    let (mut i, mut r) = pair();
    let (hello, keys) = write(&mut i);
    assert!(keys.is_none() && write(&mut i).0.is_empty());
    assert!(!r.read_handshake(&hello).unwrap());
    let (reply, keys) = write(&mut r);
    assert!(keys.is_none() && r.transport_parameters().unwrap().is_some());
    assert!(!i.read_handshake(&reply).unwrap());
    let (key_return, i_keys) = write(&mut i);
    assert!(!r.read_handshake(&key_return).unwrap());
    let (nothing, r_keys) = write(&mut r);
    assert!(nothing.is_empty(), "else it would go to the Initial space");
    assert!(fit(&i_keys.unwrap().packet, &r_keys.unwrap().packet));
    let (proof, keys) = write(&mut r);
    assert!(
        keys.is_none() && r.is_handshaking(),
        "no data keys before message 5"
    );
    assert!(i.read_handshake(&proof).unwrap() && !i.is_handshaking());
    let (proof, i_keys) = write(&mut i);
    assert!(r.read_handshake(&proof).unwrap() && !r.is_handshaking());
    let (nothing, r_keys) = write(&mut r);
    assert!(nothing.is_empty());
    let (mut i_keys, mut r_keys) = (i_keys.unwrap().packet, r_keys.unwrap().packet);
    for _ in 0..4 {
        assert!(fit(&i_keys, &r_keys) && fit(&r_keys, &i_keys));
        assert!(!fit(&i_keys, &i_keys), "each direction has its own key");
        let old = std::mem::replace(&mut i_keys, i.next_1rtt_keys().unwrap());
        r_keys = r.next_1rtt_keys().unwrap();
        assert!(!fit(&old, &r_keys), "an update changes the keys");
    }
    assert!(
        i.read_handshake(&proof).is_err(),
        "nothing comes after the end"
    );
}

#[test]
fn refusals_reveal_only_the_code() {
    let (mut i, mut r) = pair();
    let (hello, _) = write(&mut i);
    let failed = TransportErrorCode::crypto(code::FAILED);
    assert_eq!(i.read_handshake(&hello).unwrap_err().code, failed);
    let error = r.read_handshake(&[&hello[..], &[0]].concat()).unwrap_err();
    assert_eq!((error.code, error.reason.as_str()), (failed, ""));
    assert!(
        r.read_handshake(&hello).is_err(),
        "a failed session stays failed"
    );
    assert!(r.peer_identity().is_none() && r.next_1rtt_keys().is_none());
}

#[test]
fn an_answer_to_an_unsent_message_is_refused() {
    let (mut i, mut r) = pair();
    let (hello, _) = write(&mut i);
    r.read_handshake(&hello).unwrap();
    assert!(r.read_handshake(&[3, 0, 0]).is_err());
}

/// Initial keys are known to all parties that know the peer id: a proof that comes under them,
/// in the same packet as message 3, must not count.
#[test]
fn a_proof_under_the_initial_keys_is_refused() {
    let (mut i, mut r) = pair();
    r.read_handshake(&write(&mut i).0).unwrap();
    i.read_handshake(&write(&mut r).0).unwrap();
    r.read_handshake(&write(&mut i).0).unwrap();
    assert!(r.read_handshake(&[5, 0, 1, 0]).is_err());
    assert!(r.is_handshaking() && r.peer_identity().is_none());
}

#[test]
fn a_session_key_returns_unless_a_whole_hello_was_read() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let returned = Arc::new(AtomicUsize::new(0));
    let count = || {
        let returned = Arc::clone(&returned);
        Some(Arc::new(move |_| {
            returned.fetch_add(1, Ordering::Relaxed);
        }) as Unused)
    };
    let (_, mut r) = pair();
    r.return_unread(count());
    assert!(r.read_handshake(&[9]).is_err(), "no message has this type");
    drop(r);
    assert_eq!(returned.load(Ordering::Relaxed), 1);
    let (mut i, mut r) = pair();
    r.return_unread(count());
    let (hello, _) = write(&mut i);
    assert!(!r.read_handshake(&hello[..hello.len() - 1]).unwrap());
    assert!(!r.read_handshake(&hello[hello.len() - 1..]).unwrap());
    drop(r);
    assert_eq!(
        returned.load(Ordering::Relaxed),
        1,
        "the peer has seen the second key"
    );
}
