//! `cargo quickstart`: builds the daemon and the command line, then has two throw-away daemons talk to
//! each other.

use std::process::ExitCode;

fn main() -> ExitCode {
    match m2_verify::quickstart() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("quickstart: {error:#}");
            ExitCode::from(2)
        }
    }
}
