//! Attacks of a relay on its parties: they get everything that was sent, once and in order, or
//! learn that the session with the relay has ended.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use bytes::Bytes;
use common::hostile::end;
use common::relay::{PATIENCE, Party, envelope, meet, secret};
use common::until;
use common::{address, alice, carol, config, id, keys_ready};
use m2_crypto::line::JoinToken;
use m2_net::endpoint::Endpoint;
use m2_net::frame::{FrameReceiver, FrameSender};
use m2_net::line::{Hop, LineError};
use m2_net::session::{CloseCode, Session};
use m2_net::wire::Message;
use m2_net::wire::line::{Channel, JoinOutcome, Line, RelayMessage, Request};
use quinn::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Messages in each direction.
const MESSAGES: u8 = 100;
/// The channel of the listener.
const CALLED: Channel = Channel(2);
/// The number of channels that a party accepts from a relay.
const MAX_CHANNELS: usize = 1_024;

/// Binds a relay whose sessions the test serves.
async fn bind() -> (Arc<Endpoint>, Hop) {
    let mut config = config(carol());
    config.relay = true;
    config.key_pool_size = 8;
    let endpoint = Arc::new(Endpoint::bind(config).unwrap());
    keys_ready(&endpoint).await;
    let hop = Hop {
        relay: id(&carol()),
        addresses: vec![address(&endpoint)],
    };
    (endpoint, hop)
}

fn tell(told: RelayMessage) -> Message {
    Message::Line(Box::new(Line::RelayMessage(told)))
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_packets_do_no_harm() {
    let (endpoint, hop) = bind().await;
    let bad = Arc::new(AtomicBool::new(false));
    let serving = tokio::spawn(splice(Arc::clone(&endpoint), Arc::clone(&bad)));
    let hops = [hop];
    let (_caller, _listener, _carriers, one, other) = meet(&hops, &hops).await;
    bad.store(true, Ordering::Relaxed);
    let (_one, to_other, mut from_other) = one.split();
    let (_other, to_one, mut from_one) = other.split();
    let talk = async {
        tokio::join!(
            send_all(&to_other),
            send_all(&to_one),
            all_come(&mut from_one),
            all_come(&mut from_other),
        )
    };
    timeout(PATIENCE, talk).await.unwrap();
    serving.abort();
}

async fn send_all(to: &FrameSender) {
    for number in 0..MESSAGES {
        to.send(envelope(number, 300)).await.unwrap();
        sleep(Duration::from_millis(5)).await;
    }
}

async fn all_come(from: &mut FrameReceiver) {
    for number in 0..MESSAGES {
        assert_eq!(from.recv().await.unwrap(), envelope(number, 300));
    }
}

/// Connects one listener and one caller.
async fn splice(endpoint: Arc<Endpoint>, bad: Arc<AtomicBool>) {
    let mut listener = endpoint.accept().await.unwrap();
    let Request::Open(secrets) = asked(&mut listener).await else {
        panic!("a listener opens lines first");
    };
    let opened = RelayMessage::Opened(u32::try_from(secrets.len()).unwrap());
    listener.send_frame(tell(opened)).await.unwrap();
    let mut caller = endpoint.accept().await.unwrap();
    let Request::Join(calling, token) = asked(&mut caller).await else {
        panic!("a caller joins a line first");
    };
    let called = tell(RelayMessage::Called(CALLED, token));
    listener.send_frame(called).await.unwrap();
    let joined = tell(RelayMessage::Joined(calling, JoinOutcome::Joined));
    caller.send_frame(joined).await.unwrap();
    let (near, far) = (caller.connection(), listener.connection());
    tokio::join!(
        pass(near, far, CALLED, Noise(3), &bad),
        pass(far, near, calling, Noise(5), &bad)
    );
}

async fn asked(session: &mut Session) -> Request {
    match session.recv_frame().await {
        Ok(Message::Line(line)) => match *line {
            Line::Request(request) => request,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Forwards packets, and drops, delays, repeats, alters, misdirects or truncates some of them.
async fn pass(
    from: &Connection,
    to: &Connection,
    channel: Channel,
    mut noise: Noise,
    bad: &AtomicBool,
) {
    while let Ok(datagram) = from.read_datagram().await {
        let mut onward = datagram.to_vec();
        onward[..4].copy_from_slice(&channel.0.to_be_bytes());
        let fate = if bad.load(Ordering::Relaxed) {
            noise.below(100)
        } else {
            100
        };
        match fate {
            0..10 => continue,
            10..20 => {
                let late = Duration::from_millis(noise.below(60));
                tokio::spawn(send_late(to.clone(), onward, late));
                continue;
            }
            20..25 => {
                let _ = to.send_datagram(onward.clone().into());
            }
            25..30 => {
                let bit = noise.below(8 * onward.len() as u64) as usize;
                onward[bit / 8] ^= 1 << (bit % 8);
            }
            30..33 => onward[..4].copy_from_slice(&[0, 0, 0, 4]),
            33..35 => onward.truncate(noise.below(onward.len() as u64) as usize),
            _ => {}
        }
        let _ = to.send_datagram(onward.into());
    }
}

async fn send_late(to: Connection, datagram: Vec<u8>, late: Duration) {
    sleep(late).await;
    let _ = to.send_datagram(datagram.into());
}

/// A small random number generator (xorshift*).
struct Noise(u64);

impl Noise {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8) % bound
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_out_of_place_end_the_session() {
    let (endpoint, hop) = bind().await;
    let party = Party::new(alice());
    let called = |channel| tell(RelayMessage::Called(Channel(channel), JoinToken([1; 16])));
    let line = |line| Message::Line(Box::new(line));
    let lies = [
        vec![tell(RelayMessage::Opened(1))],
        vec![tell(RelayMessage::Joined(Channel(1), JoinOutcome::Joined))],
        vec![called(1)],
        vec![called(2), called(2)],
        vec![line(Line::Offer(Vec::new()))],
        vec![line(Line::Request(Request::Open(vec![secret(1)])))],
    ];
    for lie in lies {
        let hops = [hop.clone()];
        let (carrier, session) = tokio::join!(party.carrier(&hops), endpoint.accept());
        let session = session.unwrap();
        for message in lie {
            session.send_frame(message).await.unwrap();
        }
        let ended = timeout(PATIENCE, carrier.ended()).await;
        assert_eq!(ended.unwrap(), LineError::Ended);
        assert_eq!(end(&session).await, CloseCode::Misbehaved as u64);
        assert_eq!(carrier.channels(), 0);
        let asked = carrier.open(&[secret(1)]).await;
        assert_eq!(asked, Err(LineError::Ended));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invented_callers_are_bounded() {
    let (endpoint, hop) = bind().await;
    let party = Party::new(alice());
    let hops = [hop];
    let (carrier, session) = tokio::join!(party.carrier(&hops), endpoint.accept());
    let session = session.unwrap();
    for number in 1..3 * MAX_CHANNELS as u32 {
        let token = JoinToken(u128::from(number).to_be_bytes());
        let called = tell(RelayMessage::Called(Channel(2 * number), token));
        session.send_frame(called).await.unwrap();
        let mut noise = (2 * number).to_be_bytes().to_vec();
        noise.resize(100, 1);
        let _ = session.connection().send_datagram(Bytes::from(noise));
    }
    until("all channels", || carrier.channels() == MAX_CHANNELS).await;
    // Once this frame was processed, so were all earlier ones.
    let leave = Message::Line(Box::new(Line::Leave(Channel(2))));
    session.send_frame(leave).await.unwrap();
    until("one channel less", || {
        carrier.channels() == MAX_CHANNELS - 1
    })
    .await;
    assert_eq!(session.close_reason(), None);
    // The relay sends no answer: the error is reported, and the session is closed.
    let asked = timeout(PATIENCE, carrier.open(&[secret(1)])).await;
    assert_eq!(asked.unwrap(), Err(LineError::NoAnswer));
    assert_eq!(end(&session).await, CloseCode::Done as u64);
}
