#![doc = include_str!("../README.md")]

pub mod args;
pub mod bridge;
mod broker;
pub mod contact_id;
mod daemon;
mod discovery;
mod driver;
mod journal_file;
mod settings;
mod tell;
mod text;
pub mod topics;

pub use settings::SettingsError;

use args::Args;
use driver::Ended;
use settings::Settings;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// The exit code for settings that can't be used, and for a token that the daemon refuses. Trying again does not help.
const USAGE: u8 = 2;

/// Runs the bridge until SIGTERM or SIGINT. Returns the exit code: 0 after a signal, 1 if the bridge can't start, 2 for
/// settings or a token that can't be used.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    let filter = EnvFilter::try_from_env("M2_MQTT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();
    let settings = match Settings::read(args) {
        Ok(settings) => settings,
        Err(error) => return failed(&error, USAGE),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error, 1),
    };
    let ended = runtime.block_on(driver::run(settings));
    // A file that is still being written must not delay the exit.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ Ended::Token(_)) => failed(&error, USAGE),
        Err(error) => failed(&error, 1),
    }
}

fn failed(error: &dyn std::error::Error, code: u8) -> ExitCode {
    tracing::error!("{error}");
    ExitCode::from(code)
}
