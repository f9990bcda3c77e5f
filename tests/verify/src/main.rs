//! `cargo verify`: all checks that a change must pass before it is merged.

use clap::Parser;
use m2_verify::{self as verify, Options};
use std::process::ExitCode;

fn main() -> ExitCode {
    match verify::run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("verify: {error:#}");
            ExitCode::from(2)
        }
    }
}
