//! `cargo artefacts`: builds the programs and makes every package of them.

use clap::Parser;
use m2_packaging::{Options, make, make_twice};
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.twice {
        make_twice(&options)
    } else {
        make(&options)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("artefacts: {error:#}");
            ExitCode::FAILURE
        }
    }
}
