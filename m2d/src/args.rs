//! The command line of `m2d`.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// What each exit code means. The systemd unit does not restart those that a restart can't mend.
const EXIT_CODES: &str = "\
Exit codes:
  0  The daemon was told to stop, or the command succeeded.
  1  A failure that may pass, such as a full disk. Start it again.
  2  The command line, the configuration or a file's permissions are wrong.
  3  The passphrase is missing or wrong.
  4  Another daemon runs on this data directory or socket.
  5  The store or the key is damaged, read-only, or of another identity.
  6  Another program uses a UDP address of [network] listen.
  7  A part of the daemon failed while it ran. Start it again, and report it.";

/// The M2 messenger's daemon: it owns your keys, sockets and sessions. Talk to it with `m2`.
#[derive(Debug, Parser)]
#[command(
    name = "m2d",
    version,
    arg_required_else_help = true,
    after_help = EXIT_CODES,
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon. Makes the identity when there is none.
    Run(RunArgs),
    /// Make the identity and stop.
    Init(InitArgs),
    /// Read the configuration and the files that it names, say what is wrong, and stop.
    CheckConfig(ConfigArgs),
    /// Look whether the identity and the store are whole, and change nothing.
    Check(CheckArgs),
    /// Put a backup of `m2 backup create` into a data directory that has no identity.
    Restore(RestoreArgs),
    /// Set, change or remove the passphrase of the identity, while the daemon is stopped.
    #[command(subcommand)]
    Passphrase(PassphraseCommand),
}

/// Options of `run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Where configuration and data are.
    #[command(flatten)]
    pub paths: PathArgs,
    /// The Unix socket on which front-ends call [default: $M2_SOCKET, else the first that this user
    /// may make of $XDG_RUNTIME_DIR/m2d/m2d.sock, /run/user/UID/m2d/m2d.sock and
    /// ~/.local/share/m2d/run/m2d.sock].
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// A UDP address to bind in the place of the configured ones. May be given several times.
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Vec<std::net::SocketAddr>,
    /// End with exit code 0 after a failure that a restart can't mend: launchd starts a program
    /// again after every other code.
    #[arg(long)]
    pub launchd: bool,
}

/// Options of `init`.
#[derive(Debug, Clone, Default, Args)]
pub struct InitArgs {
    /// Where configuration and data are.
    #[command(flatten)]
    pub paths: PathArgs,
}

/// Options of `check`.
#[derive(Debug, Clone, Default, Args)]
pub struct CheckArgs {
    /// Where configuration and data are.
    #[command(flatten)]
    pub paths: PathArgs,
    /// Where the passphrase is, if the configuration does not say.
    #[command(flatten)]
    pub passphrase: OldPassphrase,
}

/// Options of `check-config`.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `restore`.
#[derive(Debug, Clone, Args)]
pub struct RestoreArgs {
    /// The backup.
    pub file: PathBuf,
    /// Where configuration and data are.
    #[command(flatten)]
    pub paths: PathArgs,
    /// Read the passphrase from this file, or from stdin for `-`; else it is asked on the terminal.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// What happens to the passphrase. The store stays readable: its key does not depend on it.
#[derive(Debug, Subcommand)]
pub enum PassphraseCommand {
    /// Protect a key that has no passphrase.
    Set {
        /// Where configuration and data are.
        #[command(flatten)]
        paths: PathArgs,
        /// Where the new passphrase comes from.
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// Replace the passphrase by another one.
    Change {
        /// Where configuration and data are.
        #[command(flatten)]
        paths: PathArgs,
        /// Where the present passphrase comes from.
        #[command(flatten)]
        old: OldPassphrase,
        /// Where the new passphrase comes from.
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// Store the key without a passphrase: the permissions of its file are all that protects it.
    Remove {
        /// Where configuration and data are.
        #[command(flatten)]
        paths: PathArgs,
        /// Where the present passphrase comes from.
        #[command(flatten)]
        old: OldPassphrase,
    },
}

/// Where the present passphrase comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct OldPassphrase {
    /// Read the present passphrase from this file, or from stdin for `-`; else it is asked on the
    /// terminal. If both passphrases come from stdin, the first line is the present one.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
}

/// Where the new passphrase comes from.
#[derive(Debug, Clone, Default, Args)]
pub struct NewPassphrase {
    /// Read the new passphrase from this file, or from stdin for `-`; else it is asked on the
    /// terminal, twice.
    #[arg(long, value_name = "FILE")]
    pub new_passphrase_file: Option<PathBuf>,
}

/// Where configuration and data are.
#[derive(Debug, Clone, Default, Args)]
pub struct PathArgs {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The directory of identity and store.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}
