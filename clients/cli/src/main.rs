//! `m2`: the command line of the M2 messenger.

use std::process::ExitCode;

fn main() -> ExitCode {
    m2_cli::run(std::env::args_os().collect())
}
