//! Privacy against a third host in the local network, with two real daemons, each on its own host.

use m2_core::ContactState;
use m2_crypto::PeerId;
use m2_crypto::presence::{Announcement, PresenceSecret, hour};
use m2_crypto::{Identity, provider};
use m2_proto::api::v1::RemoveContactRequest;
use m2_store::StoreFile;
use m2_tests::harness::{Clock, Daemon, Lab, RemoteSocket, Setup};
use m2_tests::scenario::{Pair, eventually};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

const MDNS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const ALICE: &str = "10.77.0.1";
const BOB: &str = "10.77.0.2";
/// The lengths of the four strings of an announcement, including their keys
/// (docs/spec/lookup.md#announcements).
const STRINGS: [u8; 4] = [202, 202, 202, 186];
const HOUR: Duration = Duration::from_secs(3_600);

/// Captured packets: the source address and the bytes.
type Heard = Vec<(IpAddr, Vec<u8>)>;

/// Captures all packets within this time.
async fn listen(ear: &mut RemoteSocket, within: Duration) -> Heard {
    let end = Instant::now() + within;
    let mut heard = Vec::new();
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        if let Some((from, bytes)) = ear.receive(left).await.unwrap() {
            heard.push((from.ip(), bytes));
        }
    }
    heard
}

/// The announcements of a host, in order.
fn announcements(heard: &Heard, host: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (from, packet) in heard {
        if from.to_string() == host {
            let at = packet.windows(3).position(|start| start == b"\xca0=");
            let said = at.map(|at| strings(&packet[at..]));
            all.extend(said);
        }
    }
    all.dedup();
    all
}

fn strings(mut texts: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    for (number, length) in STRINGS.into_iter().enumerate() {
        let (text, rest) = texts[1..].split_at(length.into());
        assert_eq!(texts[0], length);
        assert_eq!(text[..2], [b'0' + number as u8, b'=']);
        all.extend(&text[2..]);
        texts = rest;
    }
    assert_eq!(all.len(), 784);
    all
}

/// The names of a host and its services: labels of 16 hexadecimal digits.
fn names(heard: &Heard, host: &str) -> HashSet<Vec<u8>> {
    let of_host = heard.iter().filter(|(from, _)| from.to_string() == host);
    let labels = of_host.flat_map(|(_, packet)| packet.windows(17));
    let hex = |byte: &u8| byte.is_ascii_hexdigit();
    labels
        .filter(|label| label[0] == 16 && label[1..].iter().all(hex))
        .map(|label| label[1..].to_vec())
        .collect()
}

fn share(one: &[u8], other: &[u8]) -> bool {
    let seen: HashSet<&[u8]> = one.windows(8).collect();
    other.windows(8).any(|window| seen.contains(window))
}

/// This host's name as mDNS encodes it. Without the encoding, a short name could occur by chance.
fn host_name() -> Vec<u8> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let name = name.trim().as_bytes();
    [&[name.len() as u8], name, b"\x05local"].concat()
}

/// The secret under which alice announces herself to bob, read from bob's store.
fn bobs_secret(bob: &Daemon) -> PresenceSecret {
    let pem = include_str!("../../vectors/identities/bob.pem");
    let identity = Identity::from_pem(pem, None, provider::default()).unwrap();
    let file = StoreFile::new(&bob.data(), identity.store_key());
    let store = file.open().unwrap();
    let contacts = store.contacts().unwrap();
    let alice = contacts
        .iter()
        .find(|one| one.state == ContactState::Contact);
    let secrets = store.lookup_secrets(alice.unwrap().row).unwrap();
    PresenceSecret::new(secrets.unwrap().theirs)
}

fn knows(secret: &PresenceSecret, announcement: &[u8], ahead: Duration) -> bool {
    let now = SystemTime::now() + ahead;
    let now_s = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let announcement = Announcement::parse(announcement).unwrap();
    announcement.find([((), secret)], hour(now_s)).is_some()
}

/// Two hosts and one that listens to them.
fn one_network() -> Lab {
    let lab = Lab::new(&["hub", "alice", "bob", "ear"]).unwrap();
    let hosts = [
        ("alice", "10.77.0.1/24"),
        ("bob", "10.77.0.2/24"),
        ("ear", "10.77.0.3/24"),
    ];
    lab.bridge("hub", &hosts).unwrap();
    for (host, _) in hosts {
        let route = ["ip", "route", "add", "224.0.0.0/4", "dev", "world"];
        lab.run(host, &route).unwrap();
    }
    lab
}

/// Byte strings that must not occur in any packet.
async fn words(pair: &Pair) -> Vec<Vec<u8>> {
    let mut words = vec![host_name()];
    for daemon in [&pair.alice, &pair.bob] {
        let text = daemon.status().await.unwrap().peer_id;
        let id: PeerId = text.parse().unwrap();
        words.extend([id.as_bytes().to_vec(), text.into_bytes()]);
    }
    words.extend(["alice", "friend", "m2://"].map(|word| word.as_bytes().to_vec()));
    words
}

fn assert_nobody_is_named(heard: &Heard, words: &[Vec<u8>]) {
    for (from, packet) in heard {
        for word in words {
            let named = packet.windows(word.len()).any(|window| window == *word);
            assert!(!named, "{from}: {:?}", String::from_utf8_lossy(packet));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_of_all_announcements_learns_no_identity() {
    if !Lab::is_possible() {
        return;
    }
    let lab = one_network();
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5_353));
    let mut ear = RemoteSocket::bind(&lab, "ear", any, Some(MDNS))
        .await
        .unwrap();
    let clock = Clock::new().unwrap();
    let party = |name| {
        let setup = Setup::new().identity(name).within(lab.host(name));
        let setup = setup.network("listen = [\"0.0.0.0:4433\"]");
        clock.for_daemon(setup.lookup("dht = false\nmap_port = false"))
    };
    let pair = Pair::start_as(party("alice"), party("bob")).await;
    let mut pair = pair.unwrap();
    let (api, of_bob) = pair.apis().await.unwrap();
    for number in 0..3 {
        of_bob
            .invite(false, &format!("friend {number}"))
            .await
            .unwrap();
    }
    let mut heard = Heard::new();
    let both = async || {
        heard.extend(listen(&mut ear, Duration::from_secs(1)).await);
        let announced = |host| !announcements(&heard, host).is_empty();
        Ok((announced(ALICE) && announced(BOB)).then_some(()))
    };
    eventually("both are announced", both).await.unwrap();
    heard.extend(listen(&mut ear, Duration::from_secs(3)).await);
    let words = words(&pair).await;
    let first = announcements(&heard, ALICE);
    pair.bob.stop().await.unwrap();
    let secret = bobs_secret(&pair.bob);
    assert!(knows(&secret, first.last().unwrap(), Duration::ZERO));

    // An hour later: the contact is removed, and a new invitation causes an announcement.
    let earlier = names(&heard, ALICE);
    let removal = RemoveContactRequest {
        contact: "bob".to_owned(),
        ..RemoveContactRequest::default()
    };
    clock.set_ahead(HOUR).unwrap();
    api.client()
        .contacts()
        .remove_contact(removal)
        .await
        .unwrap();
    api.invite(false, "carol").await.unwrap();
    let mut later = Heard::new();
    let new = eventually("another announcement", async || {
        later.extend(listen(&mut ear, Duration::from_secs(2)).await);
        let mut all = announcements(&later, ALICE);
        all.retain(|one| !first.contains(one));
        Ok(Some(all).filter(|all| !all.is_empty()))
    });
    for announcement in new.await.unwrap() {
        let knows = knows(&secret, &announcement, HOUR);
        assert!(!knows, "a removed contact recognises her");
        assert!(first.iter().all(|one| !share(one, &announcement)));
    }
    let new = names(&later, ALICE).difference(&earlier).count();
    assert!(new >= 2, "a service and a host must have new names: {new}");

    heard.extend(later);
    assert_nobody_is_named(&heard, &words);
}
