//! A relay learns next to nothing of the parties that meet at it.
//!
//! Two parties communicate over a relay, each leg on its own wire. The test compares the legs, searches
//! the memory of the relay's process, and checks its disk. Controls show that the comparison and the
//! search detect a match.

use super::scene::{Relay, await_path, befriend, party, talk};
use m2_crypto::Circle;
use m2_crypto::address::NamedAddress;
use m2_crypto::invitation::{Invitation, Offer};
use m2_proto::api::v1::{AddLineRequest, Path};
use m2_tests::harness::{Captured, Daemon, Direction, Wire};
use m2_tests::hostile::{identity, public_id};
use m2_tests::memory::{Needle, found_in};
use m2_tests::scenario::Api;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A length, in bytes, at which no string repeats by chance in this number of datagrams.
const WINDOW: usize = 8;
/// A text that only the two parties may read.
const PHRASE: &str = "the walrus and the carpenter were walking close at hand; ";
/// Searches of the relay's memory while messages pass.
const LOOKS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_learns_neither_the_parties_nor_the_messages() {
    let scene = Scene::start().await;
    let disk = contents(&scene.relay.daemon.data());
    befriend((&scene.apis[0], "alice"), (&scene.apis[1], "bob")).await;
    await_path(&scene.apis[0], "bob", Path::Line).await;
    for number in 0..5 {
        let long = format!("{number} {}", PHRASE.repeat(60));
        talk(&scene.apis[0], &scene.apis[1], &long).await;
    }
    assert!(scene.relay.status().await.bytes > 30_000);
    scene.legs_share_nothing();
    scene.memory_holds_nothing().await;
    assert_untouched(&disk, &contents(&scene.relay.daemon.data()));
}

/// Two parties, each with a wire to the relay where they meet.
pub struct Scene {
    relay: Relay,
    pub wires: [Wire; 2],
    daemons: [Daemon; 2],
    pub apis: [Api; 2],
}

impl Scene {
    pub async fn start() -> Self {
        let wires = [Wire::new().await.unwrap(), Wire::new().await.unwrap()];
        let (relay, alice, bob) = tokio::join!(
            Relay::start(),
            Daemon::start(party("alice", "line-only")),
            Daemon::start(party("bob", "line-only"))
        );
        let daemons = [alice.unwrap(), bob.unwrap()];
        let apis = [
            Api::of(&daemons[0]).await.unwrap(),
            Api::of(&daemons[1]).await.unwrap(),
        ];
        for (wire, api) in wires.iter().zip(&apis) {
            wire.aim(relay.daemon.udp_address().await.unwrap());
            add_line_at(api, &relay, wire.address()).await;
        }
        Self {
            relay,
            wires,
            daemons,
            apis,
        }
    }

    fn legs_share_nothing(&self) {
        let [alices, bobs] = self.wires.each_ref().map(Wire::captured);
        for leg in [&alices, &bobs] {
            for way in [Direction::ToTarget, Direction::ToCaller] {
                let count = leg.iter().filter(|one| one.direction == way).count();
                assert!(count > 20, "{count} datagrams {way:?}");
            }
        }
        assert_eq!(shared(&alices, &bobs), None);
        // Control: a string on both legs is found at any offset.
        let mut passed = bobs;
        let bytes = &alices[10].bytes;
        let seen = &bytes[bytes.len() - WINDOW..];
        passed[20].bytes[3..3 + WINDOW].copy_from_slice(seen);
        assert_eq!(shared(&alices, &passed).as_deref(), Some(seen));
    }

    async fn memory_holds_nothing(&self) {
        let needles: Vec<Needle> = ["alice", "bob"]
            .into_iter()
            .flat_map(of_identity)
            .chain([Needle::new("a message", PHRASE.as_bytes())])
            .collect();
        let stop = Arc::new(AtomicBool::new(false));
        let load = [(0, "bob"), (1, "alice")]
            .map(|(number, to)| keep_sending(self.apis[number].clone(), to, &stop));
        for _ in 0..LOOKS {
            sleep(Duration::from_millis(200)).await;
            let pid = self.relay.daemon.pid().unwrap();
            assert_eq!(found_in(pid, &needles).unwrap(), Vec::<String>::new());
        }
        for (daemon, name) in self.daemons.iter().zip(["alice", "bob"]) {
            let found = found_in(daemon.pid().unwrap(), &needles).unwrap();
            println!("in the memory of {name}: {found:?}");
            for own in ["peer id", "certificate"] {
                let own = format!("{own} of {name}");
                assert!(found.contains(&own), "no {own}: {found:?}");
            }
        }
        stop.store(true, Ordering::Relaxed);
        for sender in load {
            assert!(sender.await.unwrap() > 0, "no load");
        }
    }
}

/// Adds the relay under `address` instead of its real one.
pub async fn add_line_at(api: &Api, relay: &Relay, address: SocketAddr) {
    let made: Invitation = relay.invitation.parse().unwrap();
    let offer = Offer {
        reusable: true,
        expires_s: made.expires_s(),
        addresses: vec![NamedAddress::new(address)],
        lines: Vec::new(),
    };
    let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
    let moved = Invitation::create(&mut rng, *made.peer(), Circle::public().id(), offer);
    let request = AddLineRequest {
        invitation: moved.unwrap().to_uri().to_string(),
        entry: false,
    };
    api.client().lines().add_line(request).await.unwrap();
}

/// A string that occurs on both legs.
fn shared(one: &[Captured], other: &[Captured]) -> Option<Vec<u8>> {
    let windows = |leg: &Captured| {
        let windows = leg.bytes.windows(WINDOW);
        let arrays = windows.map(|window| <[u8; WINDOW]>::try_from(window).unwrap());
        arrays.collect::<Vec<_>>()
    };
    let known: HashSet<_> = one.iter().flat_map(windows).collect();
    let found = other
        .iter()
        .flat_map(windows)
        .find(|window| known.contains(window));
    found.map(|window| window.to_vec())
}

/// Byte strings that would identify a party.
fn of_identity(name: &str) -> Vec<Needle> {
    let identity = identity(name).unwrap();
    let id = public_id(&identity);
    // A part of the modulus, which makes up most of the certificate.
    let modulus = &identity.certificate().spki_der()[100..132];
    vec![
        Needle::new(&format!("peer id of {name}"), id.as_bytes()),
        Needle::new(
            &format!("peer id of {name} as text"),
            id.to_string().as_bytes(),
        ),
        Needle::new(&format!("certificate of {name}"), modulus),
    ]
}

/// Sends until `stop` is set. Returns the number of messages sent.
fn keep_sending(api: Api, to: &'static str, stop: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            let text = format!("{count} {}", PHRASE.repeat(40));
            api.send(to, &text).await.unwrap();
            count += 1;
            sleep(Duration::from_millis(5)).await;
        }
        count
    })
}

/// All files below a directory.
fn contents(directory: &FilePath) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

fn assert_untouched(before: &BTreeMap<PathBuf, Vec<u8>>, after: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(before), names(after));
    for (path, old) in before {
        let new = &after[path];
        assert!(old == new, "{} changed", path.display());
    }
}
