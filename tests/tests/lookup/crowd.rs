//! A thousand offline contacts cost little and do not delay a contact that is online.

use m2_core::{ContactState, KnownAddress};
use m2_crypto::{Identity, PeerId, Secret, provider};
use m2_proto::api::v1::MessageState;
use m2_store::{ContactRow, LookupSecrets, StoreFile};
use m2_tests::harness::Daemon;
use m2_tests::scenario::{Api, Pair};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

const CONTACTS: u16 = 1_000;
/// The burst of dials, and the rate per second after it (m2d/core/src/dial/rates.rs).
const BURST: u64 = 40;
const A_SECOND: u64 = 2;
/// How long the dials are counted.
const WATCHED: Duration = Duration::from_secs(10);

/// Returns how many of these addresses receive a datagram within this time.
async fn called(sinks: &[UdpSocket], within: Duration) -> usize {
    let until = Instant::now() + within;
    let mut heard = HashSet::new();
    let mut buffer = [0; 2_048];
    while Instant::now() < until {
        for (number, sink) in sinks.iter().enumerate() {
            while sink.try_recv(&mut buffer).is_ok() {
                heard.insert(number);
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
    heard.len()
}

fn add_contacts(daemon: &Daemon, sinks: &[UdpSocket]) {
    let pem = include_str!("../../vectors/identities/alice.pem");
    let identity = Identity::from_pem(pem, None, provider::default()).unwrap();
    let store = StoreFile::new(&daemon.data(), identity.store_key())
        .open()
        .unwrap();
    store.begin().unwrap();
    for (number, sink) in (0_u16..).zip(sinks) {
        let mut id = [7; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let mut contact = ContactRow::new(PeerId::from_bytes(id), ContactState::Contact, 1);
        contact.name = format!("away-{number}");
        let row = store.insert_contact(&contact).unwrap();
        let secrets = LookupSecrets {
            ours: Secret::new(id),
            theirs: Secret::new(id),
        };
        store.set_lookup_secrets(row, &secrets).unwrap();
        let reached = KnownAddress::Proved(sink.local_addr().unwrap());
        store.put_address(row, reached, 1).unwrap();
    }
    store.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dials_to_a_thousand_offline_contacts_are_rate_limited() {
    let Pair {
        mut alice,
        bob: _bob,
    } = Pair::start().await.unwrap();
    alice.stop().await.unwrap();
    let mut sinks = Vec::new();
    for _ in 0..CONTACTS {
        sinks.push(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    }
    add_contacts(&alice, &sinks);
    let start = Instant::now();
    alice.restart().await.unwrap();
    let api = Api::of(&alice).await.unwrap();
    let id = api.send("bob", "through the crowd").await.unwrap();
    let delivered = api.await_message(&id, MessageState::Delivered);
    let watched = async { called(&sinks, WATCHED).await };
    let (delivered, heard) = tokio::join!(timeout(WATCHED, delivered), watched);
    delivered.unwrap().unwrap();
    let seconds = start.elapsed().as_secs() + 1;
    let most = BURST + A_SECOND * seconds;
    assert!(heard > 8, "too few contacts were dialled: {heard}");
    assert!(
        heard as u64 <= most,
        "{heard} contacts were dialled in {seconds} s"
    );
}
