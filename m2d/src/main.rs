//! `m2d`: the M2 messenger's daemon.

use clap::Parser;
use m2d::app::{self, Failure};
use m2d::args::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("m2d: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => app::run(&args),
        Command::Init(args) => {
            println!("{}", app::init(&args)?);
            Ok(())
        }
        Command::CheckConfig(args) => {
            println!("{}", app::check_config(&args)?);
            Ok(())
        }
        Command::Restore(args) => {
            println!("{}", app::restore(&args)?);
            Ok(())
        }
        Command::Passphrase(command) => {
            println!("{}", app::passphrase(&command)?);
            Ok(())
        }
    }
}
