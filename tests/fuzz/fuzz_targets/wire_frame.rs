//! One frame of a session: a frame that parses is unchanged by encoding and parsing it again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_net::wire::Message;
use prost::Message as _;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = Message::decode(bytes.to_vec().into()) {
        let again = message.clone().into_proto().encode_to_vec();
        assert_eq!(Message::decode(again.into()), Ok(message));
    }
});
