//! A contact that names addresses of other hosts: bounds on the datagrams that it makes a daemon send
//! there (docs/spec/reach.md#addresses-that-others-name).

use super::no_address::Carol;
use super::scene::{Relay, add_line, await_lines, party};
use m2_crypto::Identity;
use m2_crypto::address::NamedAddress;
use m2_crypto::provider;
use m2_net::wire::Message;
use m2_net::wire::reach::{Candidates, MAX_CANDIDATES, Reach};
use m2_proto::api::v1::ContactState;
use m2_store::StoreFile;
use m2_tests::harness::Daemon;
use m2_tests::hostile::places;
use m2_tests::scenario::{Api, PATIENCE};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

/// The budget of a contact, and the time in which it refills.
const DATAGRAMS: f64 = 128.0;
const BYTES: f64 = 131_072.0;
const REFILL: Duration = Duration::from_secs(60);
/// The last packets of ending dials, which may leave after the unsent part of the budget was returned.
const LAST: f64 = 8.0;
/// How long the contact names addresses, and the interval: a daemon accepts one question per 5 seconds.
const FLOOD: Duration = Duration::from_secs(22);
const PAUSE: Duration = Duration::from_millis(5_200);

#[tokio::test(flavor = "multi_thread")]
async fn datagrams_to_addresses_that_a_contact_names_are_bounded() {
    let relay = Relay::start().await;
    let mut daemon = Daemon::start(party("alice", "direct")).await.unwrap();
    let alice = Api::of(&daemon).await.unwrap();
    add_line(&alice, &relay, false).await;
    let uri = alice.invite(false, "carol").await.unwrap();
    await_lines(&alice, 1).await;
    let mut carol = Carol::come(&uri).await;
    become_contact(&mut carol, &alice).await;

    let sinks = Sinks::open().await;
    // A port of a well-known service, which must receive nothing. Not every user may bind it.
    let low = UdpSocket::bind("127.0.0.1:123").await.ok();
    let begun = Instant::now();
    while begun.elapsed() < FLOOD {
        let question = Candidates {
            addresses: sinks.named(),
            answer: false,
        };
        let question = Message::Reach(Box::new(Reach::Candidates(question)));
        carol.session.send_frame(question).await.unwrap();
        sleep(PAUSE).await;
    }
    daemon.kill9().await.unwrap();

    let (datagrams, bytes) = sinks.heard();
    let refills = 1.0 + begun.elapsed().as_secs_f64() / REFILL.as_secs_f64();
    println!("{datagrams} datagrams, {bytes} bytes");
    assert!(datagrams > 50.0, "too few datagrams: {datagrams}");
    assert!(datagrams <= DATAGRAMS * refills + LAST, "{datagrams}");
    assert!(bytes <= BYTES * refills + LAST * 1_350.0, "{bytes} bytes");
    if let Some(low) = low {
        assert!(
            low.try_recv(&mut [0; 2_048]).is_err(),
            "the low port received a datagram"
        );
    }
    assert_spent(&daemon);
}

/// Waits until alice has accepted carol, then sends the places that alice waits for.
async fn become_contact(carol: &mut Carol, alice: &Api) {
    alice
        .await_state("carol", ContactState::Contact)
        .await
        .unwrap();
    loop {
        let frame = timeout(PATIENCE, carol.session.recv_frame()).await;
        if matches!(
            frame.unwrap().unwrap(),
            Message::ContactReply { accepted: true }
        ) {
            break;
        }
    }
    carol.session.send_frame(places(1)).await.unwrap();
}

/// Asserts that the killed daemon has stored the rest of the budget, with which the next one begins.
fn assert_spent(daemon: &Daemon) {
    let pem = include_str!("../../vectors/identities/alice.pem");
    let identity = Identity::from_pem(pem, None, provider::default()).unwrap();
    let file = StoreFile::new(&daemon.data(), identity.store_key());
    let left = file.open().unwrap().budgets(0).unwrap();
    let [left] = &left[..] else {
        panic!("{left:?}");
    };
    assert!(left.datagrams < DATAGRAMS as u64 / 2, "{left:?}");
}

/// Uninvolved hosts.
struct Sinks(Vec<UdpSocket>);

impl Sinks {
    async fn open() -> Self {
        let mut sinks = Vec::new();
        // One of the candidates is the low port.
        while sinks.len() < MAX_CANDIDATES - 1 {
            sinks.push(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        }
        Self(sinks)
    }

    fn named(&self) -> Vec<NamedAddress> {
        let low = SocketAddr::from(([127, 0, 0, 1], 123));
        let sinks = self.0.iter().map(|sink| sink.local_addr().unwrap());
        [low]
            .into_iter()
            .chain(sinks)
            .map(NamedAddress::new)
            .collect()
    }

    /// Datagrams and bytes received so far.
    fn heard(&self) -> (f64, f64) {
        let mut heard = (0.0, 0.0);
        let mut buffer = [0; 2_048];
        for sink in &self.0 {
            while let Ok(length) = sink.try_recv(&mut buffer) {
                heard = (heard.0 + 1.0, heard.1 + length as f64);
            }
        }
        heard
    }
}
