//! Key files, encrypted and unencrypted, read without a passphrase.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::{Identity, provider};

fuzz_target!(|pem: &str| {
    let _ = Identity::from_pem(pem, None, provider::default());
});
