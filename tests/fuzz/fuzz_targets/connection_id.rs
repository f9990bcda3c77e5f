//! Connection ids: an id that was not issued with our key is never recognised as ours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::Secret;
use m2_crypto::connection_id::ConnectionIdKey;

fuzz_target!(|bytes: &[u8]| {
    let key = ConnectionIdKey::new(&Secret::new([9; 16]));
    if key.is_ours(bytes) {
        panic!("a forged connection id");
    }
});
