//! `m2-http`: an HTTP gateway to the daemon.

use clap::Parser;
use m2_http::args::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    m2_http::run(&Args::parse())
}
