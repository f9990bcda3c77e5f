//! `cargo quickstart`: demonstrates M2 with two temporary daemons on this machine.

use m2_tests::harness::Setup;
use m2_tests::quickstart::play;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    println!("Building the daemon and the command line, if necessary …");
    play(Setup::new(), Setup::new(), |line| println!("{line}")).await
}
