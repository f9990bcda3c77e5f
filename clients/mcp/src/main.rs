//! `m2-mcp`: a server of the Model Context Protocol for an agent, on standard input and output.

use clap::Parser;
use m2_mcp::Args;
use std::process::ExitCode;

fn main() -> ExitCode {
    m2_mcp::run(&Args::parse())
}
