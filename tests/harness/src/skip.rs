//! Tests that cannot run on this machine: each prints one line, which `cargo verify` counts.

use m2_verify::SKIPPED;
use std::io::Write as _;

/// Reports the current test as skipped, on standard error directly: libtest would capture the
/// output of `eprintln!`.
///
/// libtest counts such a test as passed. `cargo verify` counts the tests named in these lines as
/// skipped instead.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed");
    // Without a standard error there is nowhere to write the line.
    let _ = writeln!(std::io::stderr(), "{SKIPPED} {test}: {why}");
}
