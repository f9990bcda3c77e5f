//! Payloads of envelopes: a payload that parses is unchanged by encoding and parsing it again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_delivery::Payload;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(payload) = Payload::parse(bytes.to_vec().into()) {
        let again = payload.encode();
        assert_eq!(Payload::parse(again.into()), Ok(payload));
    }
});
