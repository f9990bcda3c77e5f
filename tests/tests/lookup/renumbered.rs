//! Two hosts whose addresses both change while their network is briefly down.

use m2_proto::api::v1::MessageState;
use m2_tests::harness::{Lab, Setup};
use m2_tests::scenario::Pair;

/// Connects alice and bob by a link, with these last bytes of their addresses.
fn connect(lab: &Lab, alice: u8, bob: u8) {
    let address = |last: u8| format!("10.77.0.{last}/24");
    let (one, other) = (address(alice), address(bob));
    lab.link(("alice", "world", &one), ("bob", "world", &other))
        .unwrap();
    for host in ["alice", "bob"] {
        let route = ["ip", "route", "add", "224.0.0.0/4", "dev", "world"];
        lab.run(host, &route).unwrap();
    }
}

/// The announcement of the new addresses arrives once, while the dead session still counts as open, so
/// it must be remembered.
#[tokio::test(flavor = "multi_thread")]
async fn contacts_that_both_get_new_addresses_find_each_other() {
    if !Lab::is_possible() {
        return;
    }
    let lab = Lab::new(&["alice", "bob"]).unwrap();
    connect(&lab, 1, 2);
    let party = |name| {
        let setup = Setup::new().identity(name).within(lab.host(name));
        let setup = setup.network("listen = [\"0.0.0.0:4433\"]");
        setup.lookup("dht = false\nmap_port = false")
    };
    let pair = Pair::start_as(party("alice"), party("bob")).await.unwrap();
    let (alice, bob) = pair.apis().await.unwrap();
    lab.run("alice", &["ip", "link", "del", "world"]).unwrap();
    connect(&lab, 11, 12);
    let delivered = MessageState::Delivered;
    let one = alice.send("bob", "where I am now").await.unwrap();
    let other = bob.send("alice", "and I").await.unwrap();
    alice.await_message(&one, delivered).await.unwrap();
    bob.await_message(&other, delivered).await.unwrap();
}
