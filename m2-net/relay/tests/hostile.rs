//! Attacks of parties on a relay: nothing grows without bound, no other party is disturbed, and no
//! datagram goes where it should not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use bytes::Bytes;
use common::hostile::{Hostile, ask, end, hear, told};
use common::relay::{PATIENCE, TestRelay, envelope, meet, private, secret, talk};
use common::{address, bob, carol, endpoint, id, keys_ready, until};
use m2_crypto::Secret;
use m2_crypto::address::NamedAddress;
use m2_crypto::line::{JoinToken, LineSecret};
use m2_net::session::{CloseCode, Session};
use m2_net::wire::Message;
use m2_net::wire::line::{
    Channel, EXTEND_BYTES, Extend, JoinOutcome, Line, MAX_OPENED, RelayMessage, Request,
};
use m2_relay::RelayLimits;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

/// The number of failed joins that a relay tolerates.
const MISSES: u32 = 64;
/// The most datagrams and bytes that a relay sends to an address that does not answer.
const FIRST_DATAGRAMS: usize = 3;
const FIRST_BYTES: usize = FIRST_DATAGRAMS * 1_232;
/// The time after which a relay reports that it did not reach another.
const FAILED_AFTER: Duration = Duration::from_secs(3);

fn refused(relay: &TestRelay, reason: &str) -> u64 {
    let refused = relay.relay.totals().refused;
    refused
        .iter()
        .find(|(name, _)| *name == reason)
        .map(|(_, count)| *count)
        .unwrap()
}

/// Returns secrets that are unique to this test, by number.
fn secrets(first: usize, count: usize) -> Vec<LineSecret> {
    let numbered = |number: usize| {
        let mut bytes = [0xee; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        LineSecret::new(Secret::new(bytes))
    };
    (first..first + count).map(numbered).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_that_guesses_tokens_is_disconnected() {
    let relay = TestRelay::start(private()).await;
    let mut session = Hostile::new().dial(&relay).await;
    let (mut misses, mut number) = (0, 0);
    while misses < MISSES {
        number += 1;
        let channel = Channel(2 * number + 1);
        let token = JoinToken(u128::from(number).to_be_bytes());
        ask(&session, Request::Join(channel, token)).await;
        match told(&mut session).await {
            RelayMessage::Joined(of, JoinOutcome::NoLine) if of == channel => misses += 1,
            // Joins above the rate limit are not looked up.
            RelayMessage::Joined(of, JoinOutcome::Full) if of == channel => {
                sleep(Duration::from_millis(100)).await;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(session.close_reason(), None);
    assert_eq!(refused(&relay, "MISBEHAVED"), 0);
    sleep(Duration::from_millis(1_100)).await;
    ask(&session, Request::Join(Channel(1), JoinToken([0; 16]))).await;
    assert_eq!(end(&session).await, CloseCode::Misbehaved as u64);
    assert_eq!(refused(&relay, "NO_LINE"), u64::from(MISSES) + 1);
    assert_eq!(refused(&relay, "MISBEHAVED"), 1);
    until("the session to be forgotten", || {
        relay.relay.totals().sessions == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_out_of_place_end_the_session_and_disturb_no_other() {
    let relay = TestRelay::start(private()).await;
    let hops = [relay.hop()];
    let (_caller, _listener, _carriers, mut one, mut other) = meet(&hops, &hops).await;
    let line = secret(1).join_token();
    let request = |request| Message::Line(Box::new(Line::Request(request)));
    let tell = |told| Message::Line(Box::new(Line::RelayMessage(told)));
    let extend = Extend {
        relay: id(&carol()),
        address: NamedAddress::new(address(&relay.endpoint)),
        hops: 0,
    };
    let attacks = [
        vec![request(Request::Join(Channel(2), line))],
        vec![request(Request::Join(Channel(0), line))],
        vec![request(Request::Join(Channel(1), line)); 2],
        vec![tell(RelayMessage::Opened(1))],
        vec![tell(RelayMessage::Called(Channel(2), line))],
        vec![tell(RelayMessage::Extended(true))],
        vec![Message::Line(Box::new(Line::Offer(Vec::new())))],
        vec![
            request(Request::Open(vec![secret(9)])),
            request(Request::Extend(extend)),
        ],
        vec![envelope(1, 100)],
    ];
    let hostile = Hostile::new();
    for (number, attack) in (1..).zip(attacks) {
        let session = hostile.dial(&relay).await;
        for message in attack {
            session.send_frame(message).await.unwrap();
        }
        assert_eq!(end(&session).await, CloseCode::Misbehaved as u64);
        assert_eq!(refused(&relay, "MISBEHAVED"), number);
    }
    until(
        "the lines and channels of the attackers to be forgotten",
        || {
            let totals = relay.relay.totals();
            (totals.sessions, totals.lines, totals.splices) == (2, 2, 1)
        },
    )
    .await;
    assert_eq!(relay.relay.totals().extended, 0);
    talk(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_lines_end_at_the_limits() {
    let relay = TestRelay::start(RelayLimits {
        lines: 400,
        lines_per_session: 100,
        ..private()
    })
    .await;
    let hostile = Hostile::new();
    let mut first = hostile.dial(&relay).await;
    let mut second = hostile.dial(&relay).await;
    for (round, opened) in [100, 0, 0, 0, 0].into_iter().enumerate() {
        let flood = secrets(round * MAX_OPENED, MAX_OPENED);
        ask(&first, Request::Open(flood)).await;
        assert_eq!(told(&mut first).await, RelayMessage::Opened(opened));
    }
    // An open line counts once, however often it is opened.
    ask(&first, Request::Open(secrets(0, 100))).await;
    assert_eq!(told(&mut first).await, RelayMessage::Opened(100));
    ask(&second, Request::Open(secrets(1 << 20, MAX_OPENED))).await;
    assert_eq!(told(&mut second).await, RelayMessage::Opened(100));
    assert_eq!(relay.relay.totals().lines, 200);
    // Closing another party's lines has no effect.
    let tokens = secrets(0, 100).iter().map(LineSecret::join_token).collect();
    ask(&second, Request::Close(tokens)).await;
    ask(&second, Request::Open(secrets(2 << 20, 1))).await;
    assert_eq!(told(&mut second).await, RelayMessage::Opened(0));
    assert_eq!(relay.relay.totals().lines, 200);
    let above = (MAX_OPENED - 100) + 4 * MAX_OPENED + (MAX_OPENED - 100) + 1;
    assert_eq!(refused(&relay, "LINES_FULL"), above as u64);
    drop(first);
    until("the lines to go with their session", || {
        relay.relay.totals().lines == 100
    })
    .await;
    let own = secrets(1 << 20, 10);
    let tokens = own.iter().map(LineSecret::join_token).collect();
    ask(&second, Request::Close(tokens)).await;
    ask(&second, Request::Open(secrets(3 << 20, 10))).await;
    assert_eq!(told(&mut second).await, RelayMessage::Opened(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_channels_and_sessions_end() {
    let relay = TestRelay::start(RelayLimits {
        idle: Duration::from_secs(1),
        ..private()
    })
    .await;
    let hostile = Hostile::new();
    let silent = hostile.dial(&relay).await;
    let mut listener = hostile.dial(&relay).await;
    ask(&listener, Request::Open(vec![secret(1)])).await;
    assert_eq!(told(&mut listener).await, RelayMessage::Opened(1));
    let mut caller = hostile.dial(&relay).await;
    let (channel, token) = (Channel(7), secret(1).join_token());
    ask(&caller, Request::Join(channel, token)).await;
    let joined = RelayMessage::Joined(channel, JoinOutcome::Joined);
    assert_eq!(told(&mut caller).await, joined);
    assert_eq!(
        told(&mut listener).await,
        RelayMessage::Called(Channel(2), token)
    );
    // No party sends.
    assert_eq!(hear(&mut listener).await, Line::Leave(Channel(2)));
    assert_eq!(end(&caller).await, CloseCode::Done as u64);
    assert_eq!(end(&silent).await, CloseCode::Done as u64);
    until("the sessions to be forgotten", || {
        relay.relay.totals().sessions == 1
    })
    .await;
    // A listener has no idle timeout.
    let totals = relay.relay.totals();
    assert_eq!((totals.lines, totals.splices), (1, 0));
    assert_eq!(listener.close_reason(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_party_that_does_not_read_is_disconnected() {
    let relay = TestRelay::start(private()).await;
    let hops = [relay.hop()];
    let (_caller, _listener, _carriers, mut one, mut other) = meet(&hops, &hops).await;
    let deaf = Hostile::new().dial(&relay).await;
    let open = || Message::Line(Box::new(Line::Request(Request::Open(vec![secret(9)]))));
    // The answers fill the session's window, then its queue, and nothing more.
    let flood = async {
        let mut asked = 0;
        while deaf.send_frame(open()).await.is_ok() {
            asked += 1;
            assert!(asked < 1_000_000, "the relay remembers all answers");
        }
        asked
    };
    let asked = timeout(PATIENCE, flood).await.unwrap();
    assert!(asked > 100, "{asked}");
    assert_eq!(end(&deaf).await, CloseCode::Done as u64);
    until("the session to be forgotten", || {
        relay.relay.totals().sessions == 2
    })
    .await;
    talk(&mut one, &mut other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_sessions_is_bounded() {
    let relay = TestRelay::start(RelayLimits {
        sessions: 2,
        ..private()
    })
    .await;
    let hostile = Hostile::new();
    let first = hostile.dial(&relay).await;
    let mut second = hostile.dial(&relay).await;
    until("two sessions", || relay.relay.totals().sessions == 2).await;
    // Of the idle sessions of one prefix the oldest is evicted.
    let mut third = hostile.dial(&relay).await;
    assert_eq!(end(&first).await, CloseCode::Unavailable as u64);
    assert_eq!(refused(&relay, "SESSION_TAKEN_FOR_OTHERS"), 1);
    assert_eq!(relay.relay.totals().sessions, 2);
    for (number, session) in (1..).zip([&mut second, &mut third]) {
        ask(session, Request::Open(vec![secret(number)])).await;
        assert_eq!(told(session).await, RelayMessage::Opened(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_without_a_channel_are_dropped_and_counted() {
    let relay = TestRelay::start(private()).await;
    let hops = [relay.hop()];
    let (_caller, _listener, _carriers, mut one, mut other) = meet(&hops, &hops).await;
    let bystander = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let session = Hostile::new().dial(&relay).await;
    let place = bystander.local_addr().unwrap();
    let to_channel = |channel: u32| {
        let mut datagram = channel.to_be_bytes().to_vec();
        datagram.resize(1_204, 7);
        Bytes::from(datagram)
    };
    let (ip, port) = match place {
        SocketAddr::V4(v4) => (v4.ip().octets(), v4.port().to_be_bytes()),
        SocketAddr::V6(_) => unreachable!(),
    };
    for datagram in [
        Bytes::new(),
        Bytes::from_static(&[0, 0, 1]),
        // Channels of other parties, and channels that do not exist.
        to_channel(1),
        to_channel(2),
        to_channel(u32::MAX),
        Bytes::from([&ip[..], &port, b"hello"].concat()),
        Bytes::from(format!("{place} hello")),
    ] {
        let before = relay.relay.totals().dropped;
        let sent = async {
            while relay.relay.totals().dropped == before {
                let sent = session.connection().send_datagram(datagram.clone());
                sent.unwrap();
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, sent).await.unwrap();
    }
    let largest = session.connection().max_datagram_size().unwrap();
    let larger = session
        .connection()
        .send_datagram(vec![0; largest + 1].into());
    assert!(larger.is_err());
    assert_eq!(session.close_reason(), None);
    talk(&mut one, &mut other).await;
    let nothing = bystander.try_recv(&mut [0; 2_048]);
    assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_too_large_for_the_second_leg_are_dropped_and_counted() {
    let relay = TestRelay::start(private()).await;
    let hostile = Hostile::new();
    let (_tap, hop) = relay.by_path(1_300).await;
    let mut listener = hostile.dial_hop(hop).await;
    ask(&listener, Request::Open(vec![secret(1)])).await;
    assert_eq!(told(&mut listener).await, RelayMessage::Opened(1));
    let mut caller = hostile.dial(&relay).await;
    ask(&caller, Request::Join(Channel(1), secret(1).join_token())).await;
    let joined = RelayMessage::Joined(Channel(1), JoinOutcome::Joined);
    assert_eq!(told(&mut caller).await, joined);
    let connection = caller.connection();
    until("a wider path than the other's", || {
        connection.max_datagram_size() > Some(1_310)
    })
    .await;
    until("a datagram that is dropped", || {
        let mut datagram = Channel(1).0.to_be_bytes().to_vec();
        datagram.resize(connection.max_datagram_size().unwrap(), 7);
        connection.send_datagram(datagram.into()).unwrap();
        relay.relay.totals().dropped > 0
    })
    .await;
    let mut small = Channel(1).0.to_be_bytes().to_vec();
    small.resize(1_204, 8);
    let passed = timeout(PATIENCE, async {
        loop {
            connection.send_datagram(small.clone().into()).unwrap();
            let got = listener.connection().read_datagram();
            if let Ok(got) = timeout(Duration::from_millis(50), got).await {
                return got.unwrap();
            }
        }
    });
    let passed = passed.await.unwrap();
    assert!(passed.starts_with(&Channel(2).0.to_be_bytes()));
    assert_eq!(passed[4..], small[4..]);
}

/// Makes a relay dial `address`. Returns the time after which it reported the failure.
async fn fails(session: &mut Session, address: SocketAddr) -> Duration {
    let extend = Extend {
        relay: id(&bob()),
        address: NamedAddress::new(address),
        hops: 0,
    };
    let begun = Instant::now();
    ask(session, Request::Extend(extend)).await;
    assert_eq!(told(session).await, RelayMessage::Extended(false));
    begun.elapsed()
}

/// Returns the sizes of the datagrams received by a socket.
fn received(socket: &UdpSocket) -> Vec<usize> {
    let mut buffer = vec![0; 65_536];
    let mut sizes = Vec::new();
    while let Ok(length) = socket.try_recv(&mut buffer) {
        sizes.push(length);
    }
    sizes
}

#[tokio::test(flavor = "multi_thread")]
async fn extending_sends_little_to_a_silent_address_and_reveals_nothing() {
    let open = async || TestRelay::start(private()).await;
    let closed = RelayLimits {
        extend_to_private: false,
        ..private()
    };
    let (to_silence, to_peer, not_allowed) = tokio::join!(open(), open(), TestRelay::start(closed));
    let silence = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let untouched = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let no_relay = endpoint(bob());
    keys_ready(&no_relay).await;
    keys_ready(&to_silence.endpoint).await;
    let hostile = Hostile::new();
    let mut first = hostile.dial(&to_silence).await;
    let mut second = hostile.dial(&to_peer).await;
    let mut third = hostile.dial(&not_allowed).await;
    let times = tokio::join!(
        fails(&mut first, silence.local_addr().unwrap()),
        fails(&mut second, address(&no_relay)),
        fails(&mut third, untouched.local_addr().unwrap()),
    );
    for time in [times.0, times.1, times.2] {
        assert!(time >= FAILED_AFTER, "{time:?}");
        assert!(time < 10 * FAILED_AFTER, "{time:?}");
    }
    // A datagram may still be in flight, or be sent late.
    sleep(FAILED_AFTER).await;
    let sizes = received(&silence);
    eprintln!("to an address that does not answer: {sizes:?}");
    assert!((1..=FIRST_DATAGRAMS).contains(&sizes.len()), "{sizes:?}");
    let bytes: usize = sizes.iter().sum();
    assert!(bytes <= FIRST_BYTES, "{bytes}");
    assert!(bytes <= EXTEND_BYTES, "more than the request: {bytes}");
    assert_eq!(received(&untouched), Vec::<usize>::new());
    assert_eq!(refused(&to_silence, "NOT_EXTENDED"), 1);
    assert_eq!(refused(&to_peer, "NOT_EXTENDED"), 1);
    assert_eq!(refused(&not_allowed, "NOT_EXTENDED"), 1);
    // The session is still one with the relay that was asked.
    ask(&first, Request::Open(vec![secret(1)])).await;
    assert_eq!(told(&mut first).await, RelayMessage::Opened(1));
}
