//! The DHT: a private network on loopback, with real daemons.

use m2_proto::api::v1::{
    ContactState, GetNetworkStatusRequest, GetNetworkStatusResponse, MessageState, Path,
    ProbeContactRequest, ProbeContactResponse, WaySource,
};
use m2_tests::harness::{Daemon, Setup};
use m2_tests::scenario::{Api, Pair};
use mainline::Testnet;
use std::fs;
use std::time::Instant;

fn party(name: &str, network: &Testnet) -> Setup {
    let nodes: Vec<String> = network
        .bootstrap
        .iter()
        .take(4)
        .map(|node| format!("\"{node}\""))
        .collect();
    Setup::new().identity(name).lookup(&format!(
        "lan = false\nmap_port = false\ndht_timeout_ms = 150\ndht_bootstrap = [{}]",
        nodes.join(", ")
    ))
}

/// Changes the listen address of a stopped daemon.
pub(super) fn move_to(daemon: &Daemon, host: &str) {
    let config = fs::read_to_string(daemon.config()).unwrap();
    let moved = config.replace("127.0.0.1:0", &format!("{host}:0"));
    assert_ne!(config, moved);
    fs::write(daemon.config(), moved).unwrap();
}

async fn status(api: &Api) -> GetNetworkStatusResponse {
    let mut client = api.client().network();
    let asked = client.get_network_status(GetNetworkStatusRequest {});
    asked.await.unwrap().into_inner()
}

pub(super) async fn probe(api: &Api, contact: &str) -> Vec<ProbeContactResponse> {
    let request = ProbeContactRequest {
        contact: contact.to_owned(),
    };
    let tried = api.client().network().probe_contact(request).await;
    let mut tried = tried.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(way) = tried.message().await.unwrap() {
        all.push(way);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_that_both_moved_find_each_other() {
    let network = Testnet::builder(50).build().unwrap();
    let pair = Pair::start_as(party("alice", &network), party("bob", &network)).await;
    let Pair { mut alice, mut bob } = pair.unwrap();
    alice.stop().await.unwrap();
    bob.stop().await.unwrap();
    move_to(&alice, "127.0.0.21");
    move_to(&bob, "127.0.0.22");
    alice.restart().await.unwrap();
    bob.restart().await.unwrap();
    let begun = Instant::now();
    let apis = [Api::of(&alice).await.unwrap(), Api::of(&bob).await.unwrap()];
    let id = apis[0].send("bob", "found").await.unwrap();
    let state = MessageState::Delivered;
    apis[0].await_message(&id, state).await.unwrap();
    eprintln!("found in {:?}", begun.elapsed());

    let seen = status(&apis[0]).await;
    let dht = seen
        .lookup
        .iter()
        .find(|state| state.source() == WaySource::Dht);
    assert!(dht.unwrap().works, "{seen:?}");
    assert_eq!(seen.contacts[0].path(), Path::Direct);
    assert!(seen.contacts[0].dht_addresses > 0);
    // The existing session is not disturbed.
    let tried = probe(&apis[0], "bob").await;
    let reached = |source| {
        let mut of_source = tried.iter().filter(|way| way.source() == source);
        of_source.any(|way| way.reached)
    };
    assert!(
        reached(WaySource::Known) && reached(WaySource::Dht),
        "{tried:?}"
    );
    let contact = apis[0].contact("bob").await.unwrap();
    assert!(contact.online);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inviter_that_moved_is_found_through_its_invitation() {
    let network = Testnet::builder(10).build().unwrap();
    let mut alice = Daemon::start(party("alice", &network)).await.unwrap();
    let api = Api::of(&alice).await.unwrap();
    let uri = api.invite(false, "bob").await.unwrap();
    alice.stop().await.unwrap();
    move_to(&alice, "127.0.0.23");
    alice.restart().await.unwrap();
    let bob = Daemon::start(party("bob", &network)).await.unwrap();
    let bob = Api::of(&bob).await.map(|api| (bob, api)).unwrap();
    bob.1.add(&uri, "alice").await.unwrap();
    bob.1
        .await_state("alice", ContactState::Contact)
        .await
        .unwrap();
}
