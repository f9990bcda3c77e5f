//! Two daemons behind all kinds of routers: they connect over the expected path and lose no message.
//! Each network is first proven to behave as declared. `cargo natlab` is the longer form; its table is
//! in docs/dev/nat-lab.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use m2_tests::harness::Lab;
use m2_tests::natlab::{ALL, Net, Options, Pace, Row, Topology, prove, run, table};
use std::panic::catch_unwind;
use std::process::Command;

/// Networks tested concurrently. Daemons are cheap while they exchange messages; starting them is not.
const AT_ONCE: usize = 5;

/// Networks, rules that make one of their hosts behave other than declared, and the expected finding.
const LIES: [(&str, &str, &str, &str); 6] = [
    (
        "restricted-restricted",
        "r0",
        "flush chain inet lab post
         add rule inet lab post oifname wan masquerade random,fully-random",
        "alice's access: one port for all: false",
    ),
    (
        "symmetric-symmetric",
        "r1",
        "flush chain inet lab post
         add rule inet lab post oifname wan masquerade",
        "bob's access: one port for all: true",
    ),
    (
        "restricted-restricted",
        "r1",
        "table inet lie { chain pre { type nat hook prerouting priority -100;
         iifname wan meta l4proto udp dnat ip to 192.168.2.2; }; }",
        "bob's access: lets anybody in: true",
    ),
    (
        "udp-blocked",
        "r1",
        "flush chain inet lab forward",
        "bob's access: reaches all: true",
    ),
    (
        "loss-5",
        "r0",
        "add rule inet lab loss meta l4proto udp numgen random mod 100 < 6 drop",
        "datagrams were lost",
    ),
    (
        "open-open",
        "alice",
        "table inet lie { chain in { type filter hook input priority 0;
         ip saddr 11.9.0.102 drop; }; }",
        "came through: false",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_connect_in_every_network() {
    let options = Options {
        topologies: ALL.to_vec(),
        at_once: AT_ONCE,
        pace: Some(Pace::SHORT),
    };
    let told = |row: &Row| println!("{row:?}");
    let Some(rows) = run(options, told).await.unwrap() else {
        return;
    };
    println!("{}", table(&rows));
    let missed: Vec<String> = rows
        .iter()
        .filter(|row| !row.misses.is_empty())
        .map(|row| format!("{}: {}", row.topology.name, row.misses.join("; ")))
        .collect();
    assert!(missed.is_empty(), "\n  {}", missed.join("\n  "));
}

#[tokio::test]
async fn a_network_that_does_not_behave_as_declared_is_detected() {
    if !Lab::can_route() {
        return;
    }
    for (name, host, rules, found) in LIES {
        let net = Net::build(Topology::named(name).unwrap()).unwrap();
        net.lab().rules(host, rules).unwrap();
        let error = format!("{:#}", prove(&net).await.expect_err(name));
        assert!(error.contains(found), "{name}: {error}");
    }
}

#[test]
fn hosts_are_removed_when_a_test_fails() {
    if !Lab::is_possible() {
        return;
    }
    let host = std::sync::Mutex::new(String::new());
    let failed = catch_unwind(|| {
        let lab = Lab::new(&["host"]).unwrap();
        *host.lock().unwrap() = lab.host("host");
        assert!(names().contains(&lab.host("host")));
        std::panic::resume_unwind(Box::new("as a failed test"));
    });
    assert!(failed.is_err());
    let host = host.into_inner().unwrap();
    assert!(!host.is_empty() && !names().contains(&host));
}

fn names() -> String {
    let output = Command::new("ip").args(["netns", "list"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
