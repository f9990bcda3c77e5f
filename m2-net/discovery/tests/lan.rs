//! Look-up in the local network, on the loopback interface only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use m2_crypto::Secret;
use m2_crypto::presence::{Announcement, PresenceSecret};
use m2_discovery::lan::{Lan, LanConfig, Seen};
use mdns_sd::{IfKind, ServiceDaemon, ServiceEvent, ServiceInfo, TxtProperty};
use rand_core::UnwrapErr;
use std::net::UdpSocket;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;

const WITHIN: Duration = Duration::from_secs(60);
const SERVICE: &str = "_m2._udp.local.";
const HOUR: u32 = 500_000;

/// Uses a separate port, so that tests and real daemons don't receive each other's announcements.
fn config() -> LanConfig {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    LanConfig {
        loopback: true,
        port: socket.local_addr().unwrap().port(),
    }
}

fn secret(byte: u8) -> PresenceSecret {
    PresenceSecret::new(Secret::new([byte; 32]))
}

fn announcement(byte: u8) -> Announcement {
    Announcement::make(&mut UnwrapErr(getrandom::SysRng), HOUR, &[&secret(byte)])
}

async fn next(seen: &mut mpsc::Receiver<Seen>) -> Seen {
    timeout(WITHIN, seen.recv()).await.unwrap().unwrap()
}

/// Returns a plain mDNS browser.
fn stranger(config: LanConfig) -> ServiceDaemon {
    let daemon = ServiceDaemon::new_with_port(config.port).unwrap();
    daemon.disable_interface(IfKind::All).unwrap();
    daemon.enable_interface(IfKind::LoopbackV4).unwrap();
    daemon
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hosts_see_each_other_and_not_themselves() {
    let config = config();
    let (one, mut seen_by_one) = Lan::start(config).unwrap();
    let (other, mut seen_by_other) = Lan::start(config).unwrap();
    one.announce(1001, &announcement(1)).await.unwrap();
    let seen = next(&mut seen_by_other).await;
    assert_eq!(seen.addresses, ["127.0.0.1:1001".parse().unwrap()]);
    assert!(seen.announcement.find([((), &secret(1))], HOUR).is_some());

    other.announce(1002, &announcement(2)).await.unwrap();
    // The first announcement that each host sees is the other's.
    let seen = next(&mut seen_by_one).await;
    assert!(seen.announcement.find([((), &secret(2))], HOUR).is_some());

    // A new announcement is reported as a different one.
    one.announce(1003, &announcement(3)).await.unwrap();
    let seen = next(&mut seen_by_other).await;
    assert_eq!(seen.addresses, ["127.0.0.1:1003".parse().unwrap()]);
    assert!(seen.announcement.find([((), &secret(3))], HOUR).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_new_each_time_and_withdrawn() {
    let config = config();
    let browser = stranger(config);
    let events = browser.browse(SERVICE).unwrap();
    let (lan, _seen) = Lan::start(config).unwrap();
    let mut names = Vec::new();
    let (mut instances, mut gone) = (Vec::new(), [false; 3]);
    for number in 1..=3 {
        lan.announce(1000 + number, &announcement(1)).await.unwrap();
        let (name, host) = loop {
            let event = timeout(WITHIN, events.recv_async()).await.unwrap();
            match event.unwrap() {
                ServiceEvent::ServiceResolved(service) if service.port == 1000 + number => {
                    break (service.fullname.clone(), service.host.clone());
                }
                ServiceEvent::ServiceRemoved(_, name) => mark(&mut gone, &instances, &name),
                _ => {}
            }
        };
        assert_eq!(name.len(), 16 + 1 + SERVICE.len(), "{name}");
        assert_eq!(host.len(), 16 + ".local.".len(), "{host}");
        assert!(!name.starts_with(&host[..16]));
        instances.push(name.clone());
        names.extend([name[..16].to_owned(), host[..16].to_owned()]);
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 6);
    drop(lan);
    // Each was withdrawn: the last one when its handle was dropped, the others when the next one
    // came.
    while !gone.iter().all(|gone| *gone) {
        let event = timeout(WITHIN, events.recv_async()).await.unwrap();
        if let ServiceEvent::ServiceRemoved(_, name) = event.unwrap() {
            mark(&mut gone, &instances, &name);
        }
    }
    browser.shutdown().unwrap();
}

fn mark(gone: &mut [bool], instances: &[String], name: &str) {
    let at = instances.iter().position(|instance| instance == name);
    gone[at.expect("only an announced name can be withdrawn")] = true;
}

/// Only valid announcements of a hostile host are reported.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_announcements_are_ignored() {
    let config = config();
    let (_lan, mut seen) = Lan::start(config).unwrap();
    let hostile = stranger(config);
    let say = |name: &str, address: &str, port: u16, texts: Vec<TxtProperty>| {
        let host = format!("{name}.local.");
        let mut info = ServiceInfo::new(SERVICE, name, &host, address, port, texts).unwrap();
        info.set_requires_probe(false);
        hostile.register(info).unwrap();
    };
    let good = announcement(1).to_bytes();
    let texts = |bytes: &[u8]| -> Vec<TxtProperty> {
        let pieces = ["0", "1", "2", "3", "4"].iter().zip(bytes.chunks(200));
        pieces.map(TxtProperty::from).collect()
    };
    let longer = [&good[..], &[0]].concat();
    say("nothing", "127.0.0.1", 1, Vec::new());
    say("short", "127.0.0.1", 1, texts(&good[..783]));
    say("long", "127.0.0.1", 1, texts(&longer));
    say("longer", "127.0.0.1", 1, texts(&[0; 1000]));
    say("portless", "127.0.0.1", 0, texts(&good));
    say("elsewhere", "192.0.2.1", 1, texts(&good));
    say("everybody", "255.255.255.255", 1, texts(&good));
    say("good", "127.0.0.1", 7, texts(&good));
    let only = next(&mut seen).await;
    assert_eq!(only.addresses, ["127.0.0.1:7".parse().unwrap()]);
    assert!(timeout(Duration::from_secs(2), seen.recv()).await.is_err());
    hostile.shutdown().unwrap();
}

/// A host that invents others fills no memory, and does not block the first ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_bounded() {
    let config = config();
    let (_lan, mut seen) = Lan::start(config).unwrap();
    let hostile = stranger(config);
    let bytes = announcement(1).to_bytes();
    for number in 0..200 {
        let name = format!("flood{number}");
        let host = format!("{name}.local.");
        let pieces = ["0", "1", "2", "3"].iter().zip(bytes.chunks(200));
        let texts: Vec<TxtProperty> = pieces.map(TxtProperty::from).collect();
        let info = ServiceInfo::new(SERVICE, &name, &host, "127.0.0.1", 9, texts);
        let mut info = info.unwrap();
        info.set_requires_probe(false);
        while hostile.register(info.clone()).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    next(&mut seen).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut count = 1;
    while seen.try_recv().is_ok() {
        count += 1;
    }
    // 64 at once, and 8 more per second.
    assert!(count < 150, "{count}");
    hostile.shutdown().unwrap();
}
