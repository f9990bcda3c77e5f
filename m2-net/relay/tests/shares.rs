//! A relay's tables are shared out, so that parties of one network do not starve others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::hostile::{Hostile, ask, end, told};
use common::relay::{TestRelay, private};
use common::until;
use m2_crypto::Secret;
use m2_crypto::line::LineSecret;
use m2_net::session::{CloseCode, Session};
use m2_net::wire::line::{MAX_OPENED, RelayMessage, Request};
use m2_relay::RelayLimits;

/// Returns secrets that are unique to this test, by number.
fn secrets(first: usize, count: usize) -> Vec<LineSecret> {
    let numbered = |number: usize| {
        let mut bytes = [0xdd; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        LineSecret::new(Secret::new(bytes))
    };
    (first..first + count).map(numbered).collect()
}

/// Opens lines in frames of the maximum length. Returns how many are open.
async fn open(session: &mut Session, first: usize, count: usize) -> usize {
    let mut open = 0;
    while open < count {
        let more = (count - open).min(MAX_OPENED);
        ask(session, Request::Open(secrets(first + open, more))).await;
        match told(session).await {
            RelayMessage::Opened(0) => break,
            RelayMessage::Opened(opened) => open += opened as usize,
            other => panic!("{other:?}"),
        }
    }
    open
}

fn counted(relay: &TestRelay, reason: &str) -> u64 {
    let refused = relay.relay.totals().refused;
    let counted = refused.iter().find(|(name, _)| *name == reason);
    counted.unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_anonymous_sessions_do_not_take_all_lines() {
    let relay = TestRelay::start(private()).await;
    let limits = RelayLimits::default();
    assert_eq!((limits.lines, limits.lines_per_session), (16_384, 2_048));
    let greedy = Hostile::new();
    let mut sessions = Vec::new();
    for number in 0..8 {
        let mut session = greedy.dial(&relay).await;
        open(&mut session, number * 2_048, 2_048).await;
        sessions.push(session);
    }
    let honest = Hostile::at("127.0.7.1");
    let mut session = honest.dial(&relay).await;
    assert_eq!(open(&mut session, 100_000, 10).await, 10);
    assert_eq!(session.close_reason(), None);
    let lines = relay.relay.totals().lines;
    assert!(lines <= 3 * 16_384 / 4 + 10, "a quarter is left: {lines}");
    assert!(
        counted(&relay, "SESSION_TAKEN_FOR_OTHERS") > 0,
        "and it is counted"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_lines_are_open_the_largest_holder_loses_its_lines() {
    let relay = TestRelay::start(RelayLimits {
        lines: 64,
        lines_per_session: 24,
        ..private()
    })
    .await;
    let greedy = Hostile::new();
    let [mut one, mut two] = [greedy.dial(&relay).await, greedy.dial(&relay).await];
    assert_eq!(open(&mut one, 0, 24).await, 24);
    assert_eq!(open(&mut two, 100, 24).await, 24);
    let mut modest = Hostile::at("127.0.8.1").dial(&relay).await;
    assert_eq!(open(&mut modest, 200, 16).await, 16);
    assert_eq!(relay.relay.totals().lines, 64);

    let mut honest = Hostile::at("127.0.7.1").dial(&relay).await;
    assert_eq!(open(&mut honest, 300, 2).await, 2);
    assert_eq!(end(&one).await, CloseCode::Unavailable as u64);
    assert_eq!(counted(&relay, "SESSION_TAKEN_FOR_OTHERS"), 1);
    assert_eq!(relay.relay.totals().lines, 24 + 16 + 2);
    for other in [&two, &modest, &honest] {
        assert_eq!(other.close_reason(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_sessions_are_in_use_the_largest_holder_loses_sessions() {
    let relay = TestRelay::start(RelayLimits {
        sessions: 4,
        ..private()
    })
    .await;
    let greedy = Hostile::new();
    let mut sessions = Vec::new();
    for number in 0..4 {
        let mut session = greedy.dial(&relay).await;
        assert_eq!(open(&mut session, number * 10, 1).await, 1);
        sessions.push(session);
    }
    // A prefix may hold three quarters.
    assert_eq!(end(&sessions[0]).await, CloseCode::Unavailable as u64);
    for (number, host) in (7..).zip(["127.0.7.1", "127.0.8.1", "127.0.9.1"]) {
        let mut session = Hostile::at(host).dial(&relay).await;
        assert_eq!(open(&mut session, number * 100, 1).await, 1);
        sessions.push(session);
    }
    for gone in &sessions[1..3] {
        assert_eq!(end(gone).await, CloseCode::Unavailable as u64);
    }
    until("four sessions", || relay.relay.totals().sessions == 4).await;
    for kept in &sessions[3..] {
        assert_eq!(kept.close_reason(), None);
    }
}
