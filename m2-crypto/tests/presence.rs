//! Presence: records, and announcements in the local network (docs/spec/lookup.md).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use common::{NOW_S, rng};
use m2_crypto::address::NamedAddress;
use m2_crypto::line::JoinToken;
use m2_crypto::presence::{
    ANNOUNCEMENT_BYTES, Announcement, CONTENT_BYTES, DayKey, PresenceError, PresenceKey,
    PresenceLine, PresenceSecret, RECORD_BYTES, Record, TAGS, day, hour, tag,
};
use m2_crypto::{PeerId, Secret};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

const HOUR: u32 = 500_000;

fn secret(byte: u8) -> PresenceSecret {
    PresenceSecret::new(Secret::new([byte; 32]))
}

fn pair(byte: u8) -> PresenceKey {
    PresenceKey::of_pair(secret(byte))
}

fn key() -> DayKey {
    DayKey::derive(&pair(1), day(NOW_S))
}

fn line(addresses: &[&str]) -> PresenceLine {
    PresenceLine {
        relay: PeerId::from_bytes([3; 32]),
        token: JoinToken([4; 16]),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

fn record(addresses: &[&str], lines: Vec<PresenceLine>) -> Record {
    Record {
        made_s: NOW_S,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        lines,
    }
}

fn arb_address() -> impl Strategy<Value = NamedAddress> {
    (any::<IpAddr>(), 1..=u16::MAX).prop_map(|named| NamedAddress::new(SocketAddr::from(named)))
}

fn arb_line() -> impl Strategy<Value = PresenceLine> {
    let parts = (
        any::<[u8; 32]>(),
        any::<[u8; 16]>(),
        vec(arb_address(), 1..=2),
    );
    parts.prop_map(|(relay, token, addresses)| PresenceLine {
        relay: PeerId::from_bytes(relay),
        token: JoinToken(token),
        addresses,
    })
}

fn arb_record() -> impl Strategy<Value = Record> {
    let parts = (
        any::<u64>(),
        vec(arb_address(), 0..=4),
        vec(arb_line(), 0..=6),
    );
    parts.prop_map(|(made_s, addresses, lines)| Record {
        made_s,
        addresses,
        lines,
    })
}

proptest! {
    #[test]
    fn records_round_trip(record in arb_record(), day in any::<u32>()) {
        let key = DayKey::derive(&pair(1), day);
        let sealed = record.seal(&mut rng(), &key).unwrap();
        prop_assert!(Record::open(&key, &sealed) == Ok(record));
    }

    #[test]
    fn every_record_has_one_encoding(
        record in arb_record(),
        at in 0..CONTENT_BYTES,
        byte in any::<u8>(),
    ) {
        let content = record.to_content().unwrap();
        prop_assert!(Record::from_content(&content[..]) == Ok(record));
        let mut other = content.clone();
        other[at] = byte;
        if let Ok(read) = Record::from_content(&other[..]) {
            prop_assert_eq!(read.to_content().unwrap(), other);
        }
    }

    #[test]
    fn garbage_does_not_open(bytes in vec(any::<u8>(), 0..2_000)) {
        prop_assert!(Record::open(&key(), &bytes) == Err(PresenceError::Unreadable));
        let mut exact = bytes;
        exact.resize(RECORD_BYTES, 7);
        prop_assert!(Record::open(&key(), &exact) == Err(PresenceError::Unreadable));
    }

    #[test]
    fn an_altered_byte_is_detected(at in 0..RECORD_BYTES, bit in 0..8_u8) {
        let mut sealed = record(&["192.0.2.1:1"], vec![]).seal(&mut rng(), &key()).unwrap();
        sealed[at] ^= 1_u8 << bit;
        prop_assert!(Record::open(&key(), &sealed) == Err(PresenceError::Unreadable));
    }

    #[test]
    fn announcements_round_trip(bytes in vec(any::<u8>(), ANNOUNCEMENT_BYTES)) {
        let announcement = Announcement::parse(&bytes).unwrap();
        prop_assert_eq!(&announcement.to_bytes()[..], &bytes);
        prop_assert_eq!(announcement.find([((), &secret(1))], HOUR), None);
    }
}

#[test]
fn the_longest_record_fits() {
    let address = "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535";
    let longest = record(&[address; 4], vec![line(&[address; 2]); 6]);
    let sealed = longest.seal(&mut rng(), &key()).unwrap();
    assert!(Record::open(&key(), &sealed) == Ok(longest));
}

#[test]
fn content_that_is_not_canonical_is_rejected() {
    let good = record(&["192.0.2.1:1"], vec![line(&["192.0.2.1:1"])]);
    let good = good.to_content().unwrap();
    assert!(Record::from_content(&good[..]).is_ok());
    let spoil = |at: usize, byte: u8| {
        let mut content = good.clone();
        content[at] = byte;
        Record::from_content(&content[..])
    };
    // Version, count of addresses, kind, port, count of lines, of their addresses, padding.
    let spoiled = [
        (0, 2),
        (9, 5),
        (10, 5),
        (16, 0),
        (17, 7),
        (66, 0),
        (66, 3),
        (931, 1),
    ];
    for (at, byte) in spoiled {
        assert!(spoil(at, byte) == Err(PresenceError::Unreadable), "{at}");
    }
    for size in [0, 1, CONTENT_BYTES - 1] {
        assert!(Record::from_content(&good[..size]) == Err(PresenceError::Unreadable));
    }
    let longer = [&good[..], &[0]].concat();
    assert!(Record::from_content(&longer) == Err(PresenceError::Unreadable));
}

#[test]
fn records_beyond_the_limits_are_rejected() {
    let good = "192.0.2.1:1";
    let refused = [
        record(&[good; 5], vec![]),
        record(&["192.0.2.1:0"], vec![]),
        record(&[], vec![line(&[good]); 7]),
        record(&[], vec![line(&[])]),
        record(&[], vec![line(&[good; 3])]),
        record(&[], vec![line(&[good, "[::1]:0"])]),
    ];
    for record in refused {
        let error = record.seal(&mut rng(), &key()).unwrap_err();
        assert_eq!(error, PresenceError::Limits);
    }
}

#[test]
fn scope_id_and_flow_label_are_dropped() {
    let mut scoped = record(&[], vec![]);
    scoped.addresses = vec!["[fe80::1%3]:7".parse().unwrap()];
    let sealed = scoped.seal(&mut rng(), &key()).unwrap();
    assert!(Record::open(&key(), &sealed) == Ok(record(&["[fe80::1]:7"], vec![])));
}

#[test]
fn a_record_opens_only_for_its_pair_and_day() {
    let sealed = record(&["192.0.2.1:1"], vec![])
        .seal(&mut rng(), &key())
        .unwrap();
    assert!(Record::open(&key(), &sealed).is_ok());
    let others = [
        DayKey::derive(&pair(1), day(NOW_S) + 1),
        DayKey::derive(&pair(2), day(NOW_S)),
    ];
    for other in others {
        assert!(Record::open(&other, &sealed) == Err(PresenceError::Unreadable));
    }
}

#[test]
fn sealing_a_record_twice_gives_unrelated_bytes() {
    let record = record(&["192.0.2.1:1"], vec![]);
    let one = record.seal(&mut rng(), &key()).unwrap();
    let other = record.seal(&mut rng(), &key()).unwrap();
    let equal = one.iter().zip(&other).filter(|(a, b)| a == b).count();
    // About one byte in 256 by chance.
    assert!(equal < 50, "{equal} bytes of {RECORD_BYTES} are the same");
}

#[test]
fn announcements_are_recognised_within_one_hour() {
    let secrets: Vec<_> = (0..3).map(secret).collect();
    let made = Announcement::make(&mut rng(), HOUR, &secrets.iter().collect::<Vec<_>>());
    let received = Announcement::parse(&made.to_bytes()).unwrap();
    let find = |byte: u8, hour| received.find([(byte, &secret(byte))], hour);
    for byte in 0..3 {
        for hour in [HOUR - 1, HOUR, HOUR + 1] {
            assert_eq!(find(byte, hour), Some(byte));
        }
        assert_eq!(find(byte, HOUR - 2), None);
        assert_eq!(find(byte, HOUR + 2), None);
    }
    assert_eq!(find(3, HOUR), None);
    let all: Vec<_> = (2..9).map(|byte| (byte, secret(byte))).collect();
    let all = all.iter().map(|(byte, secret)| (*byte, secret));
    assert_eq!(received.find(all, HOUR), Some(2));
    for hour in [0, u32::MAX] {
        assert_eq!(find(0, hour), None);
    }
}

#[test]
fn an_announcement_has_48_tags_in_random_order() {
    let only = secret(1);
    let mut places = [0; TAGS];
    for _ in 0..TAGS * 20 {
        let bytes = Announcement::make(&mut rng(), HOUR, &[&only]).to_bytes();
        let (nonce, tags) = bytes.split_first_chunk::<16>().unwrap();
        let ours = tag(&only, nonce, HOUR);
        let place = tags.chunks(16).position(|one| one == ours).unwrap();
        places[place] += 1;
    }
    // 20 expected at each position; an empty one would occur once in 10^7 runs.
    assert!(places.iter().all(|count| *count > 0), "{places:?}");
}

#[test]
fn with_too_many_contacts_an_announcement_holds_a_random_selection() {
    let secrets: Vec<_> = (0..=255).map(secret).collect();
    let all: Vec<_> = secrets.iter().collect();
    let mut seen = vec![false; secrets.len()];
    for _ in 0..100 {
        let made = Announcement::make(&mut rng(), HOUR, &all);
        let mut found = 0;
        for (number, secret) in secrets.iter().enumerate() {
            if made.find([((), secret)], HOUR).is_some() {
                seen[number] = true;
                found += 1;
            }
        }
        assert_eq!(found, TAGS);
    }
    assert!(seen.iter().all(|seen| *seen));
}

#[test]
fn an_announcement_of_another_size_is_rejected() {
    for size in [0, 16, ANNOUNCEMENT_BYTES - 1, ANNOUNCEMENT_BYTES + 1] {
        let bytes = vec![0; size];
        assert!(Announcement::parse(&bytes) == Err(PresenceError::Unreadable));
    }
}

#[test]
fn debug_output_contains_no_secret() {
    let shown = format!(
        "{:?}",
        record(&["192.0.2.77:1"], vec![line(&["192.0.2.78:1"])])
    );
    assert_eq!(shown, "Record(..)");
    assert!(!format!("{:?} {:?}", secret(9), key()).contains("9, 9"));
}

#[test]
fn days_and_hours_are_in_utc() {
    assert_eq!((day(86_399), hour(86_399)), (0, 23));
    assert_eq!((day(86_400), hour(86_400)), (1, 24));
    assert_eq!((day(u64::MAX), hour(u64::MAX)), (u32::MAX, u32::MAX));
}
