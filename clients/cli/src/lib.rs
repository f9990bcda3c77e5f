#![doc = include_str!("../README.md")]

pub mod args;
pub mod failure;
mod fetch;
pub mod output;
pub mod reference;

mod ask;
mod backup;
mod bugreport;
mod client;
mod completions;
mod contact;
mod context;
mod doctor;
mod edit;
mod events;
mod hints;
mod history;
mod id;
mod input;
mod invite;
mod line;
mod listen;
mod mailbox;
mod man;
mod message;
mod names;
mod network;
mod passphrase;
mod qr;
mod react;
mod read;
mod reconnect;
mod relay;
mod reply;
mod retract;
mod sanitize;
mod search;
mod send;
mod signals;
mod status;
mod table;
mod time;
mod token;
mod typing;
mod unlock;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;

use args::{Cli, Command};
use context::Context;
use failure::Failure;
use output::{ColorChoice, Output};

/// Runs one command. Returns its exit code: 0 success, 1 refused, 2 usage, 3 no daemon, 4 timed
/// out.
#[must_use]
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let early = Output::from_raw(&arguments);
    let parsed = args::command()
        .color(early.clap_color())
        .try_get_matches_from(arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return refuse_arguments(&error, &early),
    };
    let out = Output::new(cli.global.json, cli.global.color);
    match start(cli, out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => out.failure(&failure),
    }
}

fn start(cli: Cli, out: Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Local(format!("can't start: {error}")))?;
    let context = Context::new(out, cli.global.socket, cli.global.token_file);
    let result = runtime.block_on(dispatch(cli.command, &context));
    // A thread that still reads from a terminal must not delay the exit.
    runtime.shutdown_background();
    result
}

async fn dispatch(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Status(args) => status::run(args, context).await,
        Command::Unlock(args) => unlock::run(args, context).await,
        Command::Id(args) => id::run(args, context).await,
        Command::Invite(args) => invite::run(args, context).await,
        Command::Mailbox(args) => mailbox::run(args, context).await,
        Command::Line(args) => line::run(args, context).await,
        Command::Relay(args) => relay::run(args, context).await,
        Command::Network(args) => network::run(args, context).await,
        Command::Contact(args) => contact::run(args, context).await,
        Command::Send(args) => send::run(args, context).await,
        Command::Reply(args) => reply::run(args, context).await,
        Command::Ask(args) => ask::run(args, context).await,
        Command::Watch(args) => watch::run(args, context).await,
        Command::Listen(args) => listen::run(args, context).await,
        Command::Client(args) => client::run(args, context).await,
        Command::Token(args) => token::run(args, context).await,
        Command::Read(args) => read::run(args, context).await,
        Command::Edit(args) => edit::run(args, context).await,
        Command::React(args) => react::run(args, context).await,
        Command::Typing(args) => typing::run(args, context).await,
        Command::Retract(args) => retract::run(args, context).await,
        Command::History(args) => history::run(args, context).await,
        Command::Search(args) => search::run(args, context).await,
        Command::Backup(args) => backup::run(args, context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Bugreport(args) => bugreport::run(args, context).await,
        Command::Completions(args) => completions::run(&args, args::command(), context),
        Command::Man(args) => man::run(&args, args::command(), context),
    }
}

/// Handles errors of the parser. Help and version are successes; everything else is a usage error.
fn refuse_arguments(error: &clap::Error, out: &Output) -> ExitCode {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if !asked && out.is_json() {
        let text = error.to_string();
        let text = text.trim().trim_start_matches("error: ");
        return out.failure(&Failure::Usage(text.to_owned()));
    }
    // An error of this output can't be reported anywhere.
    let _ = error.print();
    if asked {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(failure::USAGE)
    }
}
