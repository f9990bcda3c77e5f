//! Certificates: a certificate that parses is in canonical form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::Certificate;

fuzz_target!(|spki: &[u8]| {
    if let Ok(certificate) = Certificate::from_spki_der(spki) {
        assert_eq!(certificate.spki_der(), spki);
    }
});
