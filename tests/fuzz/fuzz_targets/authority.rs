//! The filter in front of the API's HTTP/2 server. It never panics, and its output does not depend
//! on how the input is split. The module is included by path, like the configuration's.
#![no_main]

#[path = "../../../m2d/src/listen/authority.rs"]
mod authority;

use authority::AuthorityFilter;
use libfuzzer_sys::fuzz_target;

// The first byte is the size of the pieces.
fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let whole = filtered(bytes, bytes.len().max(1));
    let pieces = filtered(bytes, usize::from(*step).max(1));
    assert_eq!(whole, pieces);
    // A header block grows by at most two bytes for each field of one byte.
    assert!(whole.len() <= bytes.len().saturating_mul(3));
});

fn filtered(bytes: &[u8], step: usize) -> Vec<u8> {
    let mut filter = AuthorityFilter::default();
    let mut out = Vec::new();
    for piece in bytes.chunks(step) {
        filter.push(piece, &mut out);
    }
    filter.end(&mut out);
    out
}
