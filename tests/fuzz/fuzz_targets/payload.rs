//! Plaintexts of envelopes: a message that parses is unchanged by encoding and parsing it again, and a notice is
//! no message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_delivery::{Payload, Plaintext};

fuzz_target!(|bytes: &[u8]| {
    match Plaintext::parse(bytes.to_vec().into()) {
        Ok(Plaintext::Message(payload)) => {
            let again = payload.encode();
            assert_eq!(Payload::parse(again.into()), Ok(payload));
        }
        Ok(Plaintext::Notice(_)) => assert!(Payload::parse(bytes.to_vec().into()).is_err()),
        Err(_) => assert!(Payload::parse(bytes.to_vec().into()).is_err()),
    }
});
