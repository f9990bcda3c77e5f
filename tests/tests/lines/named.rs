//! A contact that names addresses of others: how much it can have a daemon send there
//! (docs/spec/reach.md#addresses-that-others-name).

use super::no_address::Carol;
use super::scene::{Relay, add_line, await_lines, party};
use m2_crypto::Identity;
use m2_crypto::address::NamedAddress;
use m2_crypto::provider;
use m2_net::wire::Message;
use m2_net::wire::reach::{Candidates, MAX_CANDIDATES, Reach};
use m2_proto::api::v1::ContactState;
use m2_tests::harness::Daemon;
use m2_tests::hostile::places;
use m2_tests::scenario::{Api, PATIENCE};
use m2d::store::StoreFile;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

/// The budget of a contact, and the minute within which it comes back.
const DATAGRAMS: f64 = 128.0;
const BYTES: f64 = 131_072.0;
const REFILL: Duration = Duration::from_secs(60);
/// The last packets of dials that end, which leave after what was not sent has come back.
const LAST: f64 = 8.0;
/// How long the contact names addresses, and how often: a daemon takes a question in 5 seconds.
const FLOOD: Duration = Duration::from_secs(22);
const PAUSE: Duration = Duration::from_millis(5_200);

#[tokio::test(flavor = "multi_thread")]
async fn a_contact_has_a_bounded_number_of_datagrams_sent_to_addresses_that_it_names() {
    let relay = Relay::start().await;
    let mut daemon = Daemon::start(party("alice", "direct")).await.unwrap();
    let alice = Api::of(&daemon).await.unwrap();
    add_line(&alice, &relay, false).await;
    let uri = alice.invite(false, "carol").await.unwrap();
    await_lines(&alice, 1).await;
    let mut carol = Carol::come(&uri).await;
    become_contact(&mut carol, &alice).await;

    let sinks = Sinks::open().await;
    // A port of a service of others: nothing may come to it. Not every user may open one.
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
    assert!(datagrams > 50.0, "{datagrams} datagrams: nothing was asked");
    assert!(datagrams <= DATAGRAMS * refills + LAST, "{datagrams}");
    assert!(bytes <= BYTES * refills + LAST * 1_350.0, "{bytes} bytes");
    if let Some(low) = low {
        assert!(low.try_recv(&mut [0; 2_048]).is_err(), "the low port heard");
    }
    assert_spent(&daemon);
}

/// Waits until alice has taken carol, and says what alice waits for.
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

/// What is left is in the store of the daemon that was killed: the next one begins with it.
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

/// Hosts that know nothing of it all.
struct Sinks(Vec<UdpSocket>);

impl Sinks {
    async fn open() -> Self {
        let mut sinks = Vec::new();
        // One place is the low port's.
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

    /// Datagrams and bytes that have come in.
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
