//! The steps of the gate for a long header: parsing it, finding the day, opening the Initial
//! packet; and the packets that follow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::initial::{self, InitialKeys, LongHeader};
use m2_crypto::{Circle, PeerId, provider};
use m2_fuzz::DAY;

fuzz_target!(|datagram: &[u8]| {
    let Some(header) = LongHeader::parse(datagram) else {
        return;
    };
    let mut rest = Some(header);
    while let Some(packet) = rest {
        let following = packet.following();
        assert!(following.is_none_or(|bytes| bytes.len() < packet.rest.len()));
        rest = following.and_then(LongHeader::parse);
    }
    let Some(day) = initial::day_from_dcid(header.dcid, DAY) else {
        return;
    };
    assert!(day.abs_diff(DAY) <= 1);
    let circle = Circle::public();
    let responder = PeerId::from_bytes([7; 32]);
    let keys = InitialKeys::derive(
        circle.id(),
        header.dcid,
        &responder,
        day,
        provider::default(),
    );
    let _ = initial::opens_initial(&keys, datagram);
});
