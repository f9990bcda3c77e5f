//! The second half of `cargo quickstart`: shows M2 at work with two throw-away daemons on this
//! machine. The first half, in `m2-verify`, builds them.

use m2_harness::harness::Setup;
use m2_harness::quickstart::play;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    play(Setup::new(), Setup::new(), |line| println!("{line}")).await
}
