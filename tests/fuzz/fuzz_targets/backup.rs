//! Backups: the header, and the contents after it. No key is stretched.
#![no_main]

use libfuzzer_sys::fuzz_target;
use m2_crypto::backup::{CONTENTS_LENGTH_BYTES, Contents, HeaderStart};

fuzz_target!(|bytes: &[u8]| {
    let (start, rest) = bytes.split_at(bytes.len().min(HeaderStart::BYTES));
    if let Ok(start) = HeaderStart::parse(start) {
        let header = rest.get(..start.rest_bytes()).unwrap_or(rest);
        if let Ok(header) = start.finish(header) {
            let again = header.to_bytes();
            assert_eq!(bytes.get(..again.len()), Some(&again[..]));
        }
    }
    let Some((length, rest)) = bytes.split_first_chunk::<CONTENTS_LENGTH_BYTES>() else {
        return;
    };
    let Ok(length) = Contents::parse_length(*length) else {
        return;
    };
    if let Some(Ok(contents)) = rest.get(..length).map(Contents::parse) {
        let again = contents.encode().expect("parsed contents can be encoded");
        assert_eq!(bytes.get(..again.len()), Some(&again[..]));
    }
});
