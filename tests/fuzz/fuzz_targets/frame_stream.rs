//! The frame decoder: length prefixes, message order, and incomplete frames in the buffer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_net::frame::FrameDecoder;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = FrameDecoder::default();
    for piece in bytes.chunks(64) {
        decoder.push(piece);
        loop {
            match decoder.next_message() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
});
