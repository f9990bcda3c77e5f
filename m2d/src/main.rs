//! `m2d`: the daemon of the M2 messenger.

use clap::Parser;
use m2d::app::{self, Failure};
use m2d::args::{Cli, Command};
use m2d::{check, log};
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let forgives = matches!(&command, Command::Run(args) if args.launchd);
    let ended = run(command);
    log::flush();
    let Err(failure) = ended else {
        return ExitCode::SUCCESS;
    };
    log::fatal(&format!("m2d: {failure}"));
    if forgives && failure.is_permanent() {
        return ExitCode::SUCCESS;
    }
    ExitCode::from(failure.exit_code())
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => app::run(&args),
        #[cfg(windows)]
        Command::Service(command) => print(&app::service(command)?),
        Command::Init(args) => print(&app::init(&args)?),
        Command::Check(args) => check::run(&args, &mut io::stdout()),
        Command::CheckConfig(args) => print(&app::check_config(&args)?),
        Command::Restore(args) => print(&app::restore(&args)?),
        Command::Passphrase(command) => print(&app::passphrase(&command)?),
    }
}

fn print(line: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(Failure::Output)
}
