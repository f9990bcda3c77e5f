//! The filter in front of the API's HTTP/2: it never panics, holds back a bounded number of
//! bytes, and emits the same however its input is cut. Taken by path, as the configuration.
#![no_main]

#[path = "../../../m2d/src/listen/authority.rs"]
mod authority;

use authority::AuthorityFilter;
use libfuzzer_sys::fuzz_target;

// The first byte says how large the pieces are.
fuzz_target!(|input: &[u8]| {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let whole = filtered(bytes, bytes.len().max(1));
    let pieces = filtered(bytes, usize::from(*step).max(1));
    assert_eq!(whole, pieces);
    // A block grows by two bytes at most for each field of one byte.
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
