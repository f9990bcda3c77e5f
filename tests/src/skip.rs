//! Tests that can't run on this machine: each prints one line, which `cargo verify` counts.

use m2_verify::SKIPPED;
use std::io::Write as _;

/// Reports the current test as skipped, past libtest's capture of the output.
///
/// libtest counts such a test as passed. `cargo verify` counts the tests that are named in these
/// lines, and takes them out of the number of passed tests.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("unnamed");
    // Without a standard error there is no place for the line.
    let _ = writeln!(std::io::stderr(), "{SKIPPED} {test}: {why}");
}
