//! Line-only mode, with each party and each relay on a separate host: a party sends packets to its
//! entry relay only.
//!
//! Each party has a link to its own relay and one to the rest of the world, which is the default route.
//! The kernel counts the packets that leave by the second link, ARP included: the count must be 0.
//! `a_direct_party_is_seen_by_the_same_count` shows that the count detects a party in another mode.

use super::scene::{Relay, add_line, await_lines, await_path, befriend, party, talk};
use m2_proto::api::v1::{DoctorRequest, FailClosed, IpMode, Path};
use m2_tests::harness::{Daemon, Lab, Setup};
use m2_tests::scenario::{Api, eventually};

/// Two parties, each with its own relay.
struct World {
    lab: Lab,
    relays: [Relay; 2],
    alice: Daemon,
    bob: Daemon,
}

impl World {
    /// Builds the hosts and starts the daemons, with the modes of alice and bob.
    async fn build(ips: [&str; 2]) -> Self {
        let lab = Lab::new(&["hub", "alice", "bob", "ra", "rb"]).unwrap();
        let world = [
            ("alice", "11.9.0.1/24"),
            ("bob", "11.9.0.2/24"),
            ("ra", "11.9.0.11/24"),
            ("rb", "11.9.0.12/24"),
        ];
        lab.bridge("hub", &world).unwrap();
        lab.link(
            ("alice", "near", "11.1.0.2/24"),
            ("ra", "near", "11.1.0.1/24"),
        )
        .unwrap();
        lab.link(
            ("bob", "near", "11.2.0.2/24"),
            ("rb", "near", "11.2.0.1/24"),
        )
        .unwrap();
        for (host, gateway) in [("alice", "11.9.0.11"), ("bob", "11.9.0.12")] {
            let route = ["ip", "route", "add", "default", "via", gateway];
            lab.run(host, &route).unwrap();
        }
        // The relays reach each other at the addresses that their parties know.
        lab.run(
            "ra",
            &["ip", "route", "add", "11.2.0.1", "via", "11.9.0.12"],
        )
        .unwrap();
        lab.run(
            "rb",
            &["ip", "route", "add", "11.1.0.1", "via", "11.9.0.11"],
        )
        .unwrap();
        // Every kind of look-up is on: in line-only mode it must send nothing.
        let looking = |name, ip| {
            let log = "[log]\nfilter = \"info,m2d=debug,m2_engine=debug\"";
            let all = "lan = true\ndht = true\nmap_port = true";
            party(name, ip).tables(log).lookup(all)
        };
        let on = |setup: Setup, host: &str, announced: &str| {
            // Each host has its own port space.
            let listen = "listen = [\"0.0.0.0:4433\"]";
            let announced = format!("{announced}:4433").parse().unwrap();
            let setup = setup.within(lab.host(host));
            setup.network(listen).announce(announced)
        };
        let relays = tokio::join!(
            Relay::start_as(on(Setup::new(), "ra", "11.1.0.1")),
            Relay::start_as(on(Setup::new(), "rb", "11.2.0.1"))
        );
        let parties = tokio::try_join!(
            Daemon::start(on(looking("alice", ips[0]), "alice", "11.9.0.1")),
            Daemon::start(on(looking("bob", ips[1]), "bob", "11.9.0.2"))
        );
        let (alice, bob) = parties.unwrap();
        let relays = [relays.0, relays.1];
        Self {
            lab,
            relays,
            alice,
            bob,
        }
    }

    async fn apis(&self) -> (Api, Api) {
        let alice = Api::of(&self.alice).await.unwrap();
        (alice, Api::of(&self.bob).await.unwrap())
    }

    fn sent(&self) -> [u64; 2] {
        ["alice", "bob"].map(|host| self.lab.sent(host, "world").unwrap())
    }
}

#[tokio::test]
async fn a_line_only_party_sends_packets_to_its_entry_relay_only() {
    if !Lab::is_possible() {
        return;
    }
    let mut world = World::build(["line-only"; 2]).await;
    let (alice, bob) = world.apis().await;
    add_line(&alice, &world.relays[0], false).await;
    add_line(&bob, &world.relays[1], false).await;
    befriend((&alice, "alice"), (&bob, "bob")).await;
    await_path(&alice, "bob", Path::Line).await;
    talk(&alice, &bob, "hidden").await;
    await_lines(&alice, 1).await;
    await_lines(&bob, 1).await;
    assert_eq!(world.sent(), [0, 0]);
    let near = world.lab.sent("alice", "near").unwrap();
    assert!(near > 10, "too few packets to the relay: {near}");

    // While a relay is killed and stays down, and when it is back.
    world.relays[0].daemon.kill9().await.unwrap();
    alice.send("bob", "without a relay").await.unwrap();
    bob.send("alice", "without a relay").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(world.sent(), [0, 0]);
    world.relays[0].daemon.restart().await.unwrap();
    bob.await_text("alice", "without a relay").await.unwrap();

    // While the daemon starts.
    world.bob.kill9().await.unwrap();
    alice.send("bob", "while you were away").await.unwrap();
    world.bob.restart().await.unwrap();
    let bob = Api::of(&world.bob).await.unwrap();
    bob.await_text("alice", "while you were away")
        .await
        .unwrap();
    assert_eq!(world.sent(), [0, 0]);

    let doctor = alice.client().network().doctor(DoctorRequest {}).await;
    let doctor = doctor.unwrap().into_inner();
    assert_eq!(doctor.ip(), IpMode::LineOnly);
    assert_eq!(doctor.fail_closed(), FailClosed::Holds);
}

#[tokio::test]
async fn a_line_only_party_sends_no_candidates_when_asked() {
    if !Lab::is_possible() {
        return;
    }
    let world = World::build(["line-only", "direct"]).await;
    let (alice, bob) = world.apis().await;
    add_line(&alice, &world.relays[0], false).await;
    let route = ["ip", "route", "add", "11.1.0.1", "via", "11.9.0.11"];
    world.lab.run("bob", &route).unwrap();
    // The peer that uses the invitation dials, and the dialer asks for candidates.
    befriend((&alice, "alice"), (&bob, "bob")).await;
    await_path(&bob, "alice", Path::Line).await;
    eventually("bob asks", async || {
        let asked = "asks for a path that its mode does not allow";
        Ok(world.alice.log().contains(asked).then_some(()))
    })
    .await
    .unwrap();
    talk(&alice, &bob, "still hidden").await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    await_path(&bob, "alice", Path::Line).await;
    let [by_alice, _] = world.sent();
    assert_eq!(by_alice, 0);
}

#[tokio::test]
async fn a_direct_party_is_seen_by_the_same_count() {
    if !Lab::is_possible() {
        return;
    }
    let world = World::build(["direct"; 2]).await;
    let (alice, bob) = world.apis().await;
    let uri = alice.invite(false, "bob").await.unwrap();
    bob.add(&uri, "alice").await.unwrap();
    eventually("packets that are seen", async || {
        let seen = world.sent().iter().all(|count| *count > 0);
        Ok(seen.then_some(()))
    })
    .await
    .unwrap();
}
