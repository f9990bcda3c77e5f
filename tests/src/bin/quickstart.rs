//! `cargo quickstart`: shows M2 at work with two throw-away daemons on this machine.

use m2_tests::harness::Setup;
use m2_tests::quickstart::play;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("Building the daemon and the command line, if need be …");
    play(Setup::new(), Setup::new(), |line| println!("{line}")).await
}
