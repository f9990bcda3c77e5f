//! A party that breaks the protocol, and helpers to exchange single frames.

use super::relay::{PATIENCE, TestRelay};
use super::{alice, config};
use m2_net::endpoint::Endpoint;
use m2_net::line::Hop;
use m2_net::session::{Ended, Session};
use m2_net::wire::Message;
use m2_net::wire::line::{Line, RelayMessage, Request};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// A party that breaks the protocol.
pub struct Hostile(Endpoint);

impl Hostile {
    pub fn new() -> Self {
        Self::at("127.0.0.1")
    }

    /// Creates a party with another address of this machine, which is in another source prefix if
    /// it is in another /24.
    pub fn at(ip: &str) -> Self {
        let mut config = config(alice());
        config.listen = vec![format!("{ip}:0").parse().unwrap()];
        config.dials_only = true;
        config.key_pool_size = 8;
        Self(Endpoint::bind(config).unwrap())
    }

    /// Opens a session with a relay. Retries, because the machine may be busy.
    pub async fn dial(&self, relay: &TestRelay) -> Session {
        self.dial_hop(relay.hop()).await
    }

    pub async fn dial_hop(&self, hop: Hop) -> Session {
        let hops = [hop];
        let dialled = async {
            loop {
                match self.0.dial_relay(&hops).await {
                    Ok(session) => return session,
                    Err(_) => sleep(Duration::from_millis(50)).await,
                }
            }
        };
        timeout(PATIENCE, dialled).await.unwrap()
    }
}

pub async fn say(session: &Session, line: Line) {
    let sent = session.send_frame(Message::Line(Box::new(line))).await;
    sent.unwrap();
}

pub async fn ask(session: &Session, request: Request) {
    say(session, Line::Request(request)).await;
}

pub async fn hear(session: &mut Session) -> Line {
    match timeout(PATIENCE, session.recv_frame()).await.unwrap() {
        Ok(Message::Line(line)) => *line,
        other => panic!("{other:?}"),
    }
}

pub async fn told(session: &mut Session) -> RelayMessage {
    match hear(session).await {
        Line::RelayMessage(told) => told,
        other => panic!("{other:?}"),
    }
}

/// Waits until the relay has closed a session. Returns the close code.
pub async fn end(session: &Session) -> u64 {
    match timeout(PATIENCE, session.closed()).await.unwrap() {
        Ended::ByPeer(code) => code,
        other => panic!("{other:?}"),
    }
}
