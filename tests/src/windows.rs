//! Programs for Windows, built on this machine and run under wine (docs/dev/verification.md#windows).

mod prefix;
mod programs;

pub use prefix::{Prefix, Process, Told};
pub use programs::Programs;

use crate::skip::skip;

/// Returns whether this machine can build and run such programs; if not, reports the test as skipped.
pub fn is_possible() -> bool {
    let missing = programs::missing().or_else(prefix::missing);
    if let Some(missing) = &missing {
        skip(missing);
    }
    missing.is_none()
}
