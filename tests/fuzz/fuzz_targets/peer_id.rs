//! Peer ids as text: an id that parses has one textual form, apart from case.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::PeerId;

fuzz_target!(|text: &str| {
    if let Ok(id) = text.parse::<PeerId>() {
        assert_eq!(id.to_string(), text.to_lowercase());
    }
});
