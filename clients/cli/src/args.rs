//! All commands and their shared flags.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::ColorChoice;

/// The M2 messenger's command line: talks to the daemon m2d on this machine.
#[derive(Debug, Parser)]
#[command(
    name = "m2",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 success, 1 refused, 2 usage, 3 no daemon, 4 timed out."
)]
pub struct Cli {
    /// The flags of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The daemon's socket [default: $M2_SOCKET, else the first of these on which a daemon answers:
    /// $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock, ~/.local/share/m2d/run/m2d.sock and
    /// /run/m2d/m2d.sock]
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// A file with the access token to show [default: $M2_TOKEN_FILE, else the token in $M2_TOKEN, else none]
    #[arg(long, global = true, value_name = "PATH")]
    pub token_file: Option<PathBuf>,
    /// Print one JSON object per line; errors too, on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// Colours: auto (on a terminal, unless NO_COLOR is set), always, never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: ColorChoice,
}

/// The commands of `m2`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the daemon's state and health
    Status(crate::status::StatusArgs),
    /// Open the identity of a locked daemon
    Unlock(crate::unlock::UnlockArgs),
    /// Show your peer id
    Id(crate::id::IdArgs),
    /// Create, list and revoke invitations
    Invite(crate::invite::InviteArgs),
    /// Manage mailboxes, where messages wait while you are offline
    Mailbox(crate::mailbox::MailboxArgs),
    /// Manage relays, which hide your address from others
    Line(crate::line::LineArgs),
    /// Show statistics of the relay service that this daemon provides
    Relay(crate::relay::RelayArgs),
    /// Show what others can see on the network, and how contacts are reached
    Network(crate::network::NetworkArgs),
    /// Contacts: add, list, accept, verify, …
    Contact(crate::contact::ContactArgs),
    /// Send a message, or one for each line of stdin
    Send(crate::send::SendArgs),
    /// Reply to a message that you received
    Reply(crate::reply::ReplyArgs),
    /// Send a question, and print the contact's reply
    Ask(crate::ask::AskArgs),
    /// Follow a message until its state is final
    Watch(crate::watch::WatchArgs),
    /// Print events as they occur, or run a command for each
    Listen(crate::listen::ListenArgs),
    /// Manage named front-ends, whose position in the event log the daemon keeps
    Client(crate::client::ClientArgs),
    /// Manage access tokens, which limit what a front-end may do
    Token(crate::token::TokenArgs),
    /// Mark received messages as read, and notify their author
    Read(crate::read::ReadArgs),
    /// Replace the text of a message that you sent, on both sides
    Edit(crate::edit::EditArgs),
    /// Delete a message that you sent, on both sides
    Retract(crate::retract::RetractArgs),
    /// React to a message with an emoji
    React(crate::react::ReactArgs),
    /// Tell a contact that you type, or that you stopped
    Typing(crate::typing::TypingArgs),
    /// Show a conversation
    History(crate::history::HistoryArgs),
    /// Find messages by their words
    Search(crate::search::SearchArgs),
    /// Back up the identity and everything stored, and check backups
    Backup(crate::backup::BackupArgs),
    /// Check clock, ports, disk, permissions, key, store, backups, contacts, relays and mailboxes, and say what mends
    /// each fault
    Doctor(crate::doctor::DoctorArgs),
    /// Write a file for a bug report: versions, settings, counters and log lines, no names
    Bugreport(crate::bugreport::BugreportArgs),
    /// Print completions for a shell
    Completions(crate::completions::CompletionsArgs),
    /// Print the man page, or write all of them
    Man(crate::man::ManArgs),
}

/// Returns the complete command, for parsing and for generated documentation.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_valid() {
        super::command().debug_assert();
    }
}
