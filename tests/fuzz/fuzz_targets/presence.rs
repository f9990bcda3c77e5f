//! Presence records, sealed and in the clear, and announcements: a value that parses is unchanged
//! by encoding and parsing it again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::Secret;
use m2_crypto::presence::{Announcement, DayKey, PresenceKey, PresenceSecret, Record};
use m2_fuzz::DAY;
use std::sync::LazyLock;

static SECRET: LazyLock<PresenceSecret> =
    LazyLock::new(|| PresenceSecret::new(Secret::new([1; 32])));
static KEY: LazyLock<DayKey> =
    LazyLock::new(|| DayKey::derive(&PresenceKey::of_pair(SECRET.clone()), DAY));

fuzz_target!(|bytes: &[u8]| {
    let _ = Record::open(&KEY, bytes);
    if let Ok(record) = Record::from_content(bytes) {
        let again = record.to_content().expect("a parsed record can be encoded");
        assert!(Record::from_content(&again[..]).is_ok_and(|read| read == record));
    }
    if let Ok(announcement) = Announcement::parse(bytes) {
        assert_eq!(&announcement.to_bytes()[..], bytes);
        let _ = announcement.find([((), &*SECRET)], DAY * 24);
    }
});
